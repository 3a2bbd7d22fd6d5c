"""One seed, three times: twice through the ROS graph in lockstep, once in one process. All agree to the last bit."""

import cv2
import numpy as np
import pytest
import torch
from keypoint_interfaces.action import RunTrial
from keypoint_interfaces.msg import TaskStatus

from harness import make_graph
from keypoint_core.geometry.pose import difference
from keypoint_core.types import SECOND
from keypoint_ros.conversions import from_keypoints, from_stamp, from_trajectory
from keypoint_sim.tasks.base import Outcome
from keypoint_trials.evaluate import EvaluationRequest, Evaluator

SEED, CONDITION = 123, "light"
NAMES = ["J1_base", "J2_shoulder", "J3_elbow", "J4_wrist1", "J5_wrist2", "J6_wrist3"]


def in_process(seed, latency, frame_jitter=0.0, frame_drop=0.0, condition=CONDITION, **more):
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    names = ("clock_button", "atk", condition, "hebi_chopsticks", "descriptors", "hybrid")
    request = EvaluationRequest(*names, latency, frame_jitter, frame_drop, **more)
    evaluator = Evaluator(request)
    episode = evaluator.episode(seed)
    return episode.keypoints, episode.chunks, episode.status.outcome == Outcome.SUCCESS


def through_ros(graph, seed, condition=CONDITION):
    graph.clear()
    result = graph.result(graph.send_trial(seed, condition))
    assert result.outcome in (RunTrial.Result.SUCCESS, RunTrial.Result.FAILURE), result.error_msg
    begin = from_stamp(graph.heard["perception/keypoints"][0][1].header.stamp)
    verdicts = [from_stamp(m.header.stamp) for _, m in graph.heard["task/status"] if m.outcome != TaskStatus.RUNNING]
    end = min(stamp for stamp in verdicts if stamp > begin)  # frames go on while the arm is brought to rest

    def during(topic):
        """Each stamp once: lockstep sends again what it waits for too long, and its answers come again."""
        return list({stamp: m for _, m in graph.heard[topic] if (stamp := from_stamp(m.header.stamp)) <= end}.values())

    keypoints = [from_keypoints(message) for message in during("perception/keypoints")]
    chunks = [from_trajectory(message, NAMES, "chopsticks") for message in during("policy/action")]
    return keypoints, chunks, result.outcome == RunTrial.Result.SUCCESS


def assert_equal(first, second, latency=0):
    """Of all frames but the last ones, whose commands an imposed latency kept from being waited for."""
    begins = [episode[0][0].stamp for episode in (first, second)]
    frames = max(len(first[0]), len(second[0])) - latency
    assert min(len(episode[i]) for episode in (first, second) for i in (0, 1)) >= frames > 10
    for a, b in zip(first[0][:frames], second[0][:frames], strict=True):
        assert a.stamp - begins[0] == b.stamp - begins[1]
        for name in ("ids", "pixels", "confidence", "status", "points", "camera_pose"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for a, b in zip(first[1][:frames], second[1][:frames], strict=True):
        assert a.stamp - begins[0] == b.stamp - begins[1]
        assert round(a.dt * SECOND) == round(b.dt * SECOND)
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.gripper, b.gripper)
    assert first[2] == second[2]


@pytest.mark.parametrize(
    "timing", [{"latency": 0}, {"latency": 2}, {"latency": 1, "frame_jitter": 0.03, "frame_drop": 0.1}]
)
def test_graph_and_pipeline_agree(tmp_path, timing):
    with make_graph(tmp_path, "lockstep", {"sim": timing}) as graph:
        graph.until_ready()
        other = through_ros(graph, SEED + 1)
        once = through_ros(graph, SEED)
        again = through_ros(graph, SEED)
        stamps = [from_stamp(message.header.stamp) for _, message in graph.heard["arm/state"]]
    assert_equal(once, again, timing["latency"])
    assert_equal(once, in_process(SEED, **timing), timing["latency"])
    assert stamps == sorted(stamps), "time never goes back, not even between scenes"
    assert not np.array_equal(once[0][0].pixels, other[0][0].pixels), "another seed is another scene"


def test_a_moved_camera_is_followed_alike(tmp_path):
    condition = "rp+camera+bump"
    with make_graph(tmp_path, "lockstep", {"tracker": {"camera_monitor": "follow"}}) as graph:
        graph.until_ready()
        other = through_ros(graph, SEED + 1, "rp")
        once = through_ros(graph, SEED, condition)
        assert "camera moved by" in graph.system.log("tracker").read_text()
    assert_equal(once, in_process(SEED, 0, condition=condition, camera_monitor="follow"))
    poses = [keypoints.camera_pose for keypoints in once[0]]
    assert 0.01 < difference(poses[0], poses[-1])[0] < 0.04, "the knock was noticed"
    assert difference(other[0][0].camera_pose, poses[0])[0] > 0.001, "every scene has a calibration of its own"

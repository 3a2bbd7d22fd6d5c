"""The camera as a process of its own, replaying a recorded trial to the policy, is killed in the middle of a motion."""

import signal

from keypoint_interfaces.action import RunTrial
from keypoint_interfaces.msg import ArmState

from harness import Graph, make_graph, with_parameters
from keypoint_bringup.graph import NodeSpec, SystemOptions, sim_graph
from keypoint_ros.conversions import from_stamp
from keypoint_trials.bag import is_finished

SEED = 11
LIMIT = 0.3 + 0.1  # max_age and what the arm may take to react [s]


def record_trial(folder):
    """The bag of one trial."""
    with make_graph(folder / "recording", "real_time", record=str(folder / "bags")) as graph:
        graph.until_ready()
        graph.result(graph.send_trial(SEED))
        bag = folder / "bags" / f"seed-{SEED}"
        graph.until(lambda: is_finished(bag), 10.0, "the bag")
    return bag


def replaying_graph(folder, bag):
    camera = NodeSpec(
        "keypoint_camera",
        "camera_node",
        "camera",
        parameters={"backend": "replay", "file": str(bag), "loop": True, "frozen_after": 0, "use_sim_time": False},
    )
    specs = with_parameters(sim_graph(SystemOptions(mode="real_time")), {"sim": {"publish_camera": False}})
    return Graph([*specs, camera], folder / "replaying")


def test_killed_camera_ends_in_a_hold(tmp_path):
    with replaying_graph(tmp_path, record_trial(tmp_path)) as graph:
        graph.until_ready()
        graph.until(lambda: graph.heard["timing"], 30.0, "frames")
        handle = graph.moving_trial(SEED)
        graph.clear()
        graph.system.kill("camera", signal.SIGKILL)
        graph.until(lambda: any(ArmState.REASON_STALE in s.reasons for _, s in graph.heard["arm/state"]), 3.0, "STALE")
        states = [s for _, s in graph.heard["arm/state"]]
        stale = next(s for s in states if ArmState.REASON_STALE in s.reasons)
        newest = max(from_stamp(s.observation) for s in states)
        assert from_stamp(stale.header.stamp) - newest <= LIMIT * 1e9
        graph.until(lambda: not any(graph.last("arm/state").applied_velocity), 1.0, "rest")
        result = graph.result(handle)
    assert (result.outcome, result.error_code) == (RunTrial.Result.ERROR, RunTrial.Result.CAMERA), result.error_msg

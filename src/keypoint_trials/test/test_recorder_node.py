"""The recorder as a process of its own, as the graph starts it."""

import os
import signal
import subprocess
import sys
import time

import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("keypoint_interfaces")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from keypoint_interfaces.msg import TrialState  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402

from keypoint_core.types import Intrinsics  # noqa: E402
from keypoint_ros.conversions import to_camera_info, to_header, to_image  # noqa: E402
from keypoint_ros.qos import LATCHED, PUBLISH_STREAM  # noqa: E402
from keypoint_trials.bag import is_finished  # noqa: E402
from keypoint_trials.reader import iterate, read_trial  # noqa: E402
from keypoint_trials.recover import recover  # noqa: E402

COLOR = "camera/color/image_raw"


class Graph:
    """Publishes what the rest of the graph would."""

    def __init__(self, context):
        self.node = rclpy.create_node("graph", context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.state = self.node.create_publisher(TrialState, "trial/state", LATCHED)
        self.info = self.node.create_publisher(CameraInfo, "camera/color/camera_info", LATCHED)
        self.color = self.node.create_publisher(Image, COLOR, PUBLISH_STREAM)
        self.joints = self.node.create_publisher(JointState, "joint_states", PUBLISH_STREAM)
        self.status = None
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)

    def _diagnose(self, message):
        for status in message.status:
            if status.name == "recorder":
                self.status = status

    def spin_until(self, predicate, timeout=20.0):
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, "timed out"
            self.executor.spin_once(timeout_sec=0.01)

    def wait_for_recorder(self):
        publishers = (self.state, self.info, self.color, self.joints)
        self.spin_until(lambda: all(publisher.get_subscription_count() for publisher in publishers))
        self.spin_until(lambda: self.status is not None and self.status.message == "waiting for a trial")

    def count(self, name):
        return next((int(entry.value) for entry in self.status.values if entry.key == name), 0)


@pytest.fixture
def graph(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(100 + os.getpid() % 100))
    context = rclpy.Context()
    rclpy.init(context=context)
    graph = Graph(context)
    yield graph
    graph.executor.shutdown()
    graph.node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def start_recorder(graph):
    processes = []

    def start(folder):
        command = [sys.executable, "-m", "keypoint_trials.recorder_node", "--ros-args", "-p", f"folder:={folder}"]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        graph.wait_for_recorder()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def publish_for(graph, messages, seconds):
    """Publishes 100 joint states and 15 images a second; returns when each joint state was published [ns]."""
    times, begin = [], time.monotonic()
    while (since := time.monotonic() - begin) < seconds:
        graph.executor.spin_once(timeout_sec=max(0.0, 0.01 * len(times) - since))
        if since < 0.01 * len(times):
            continue
        if len(times) % 7 == 0:
            picture = messages.picture(len(times))
            graph.color.publish(to_image(picture, "rgb8", len(times), "camera_color_optical_frame"))
        times.append(time.time_ns())
        graph.joints.publish(JointState(header=to_header(len(times)), name=["J1"], position=[0.0]))
    return times


def test_a_killed_recorder_loses_at_most_the_last_second(tmp_path, graph, start_recorder, messages):
    process = start_recorder(tmp_path)
    graph.state.publish(TrialState(trial="t", phase=TrialState.PHASE_ACT))
    times = publish_for(graph, messages, 1.8)
    killed = time.time_ns()
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = tmp_path / "t"
    assert not is_finished(folder)
    result = recover(folder)
    bag = read_trial(folder)
    first = int(bag.joints.stamps[0])
    assert bag.joints.stamps.tolist() == list(range(first, first + len(bag.joints.stamps)))  # none lost in between
    assert first <= 30
    assert killed - times[int(bag.joints.stamps[-1]) - 1] < 1_000_000_000
    assert len(bag.frames) > 5 and bag.frames[0].shape == (120, 160, 3)
    assert result.messages > 80


def test_each_trial_becomes_a_bag_that_ends_with_it_or_with_the_node(tmp_path, graph, start_recorder, messages):
    intrinsics = Intrinsics(160, 120, 150.0, 151.0, 80.0, 60.0)
    graph.info.publish(to_camera_info(intrinsics, 0, "camera_color_optical_frame"))
    process = start_recorder(tmp_path)
    graph.state.publish(TrialState(trial="t", phase=TrialState.PHASE_ACT))
    graph.spin_until(lambda: graph.status.message.startswith("recording to"))
    for index in range(10):
        graph.color.publish(to_image(messages.picture(index), "rgb8", index, "camera_color_optical_frame"))
        graph.executor.spin_once(timeout_sec=0.02)
    graph.spin_until(lambda: graph.count("messages") >= 12)
    graph.state.publish(TrialState(phase=TrialState.PHASE_IDLE))
    graph.spin_until(lambda: is_finished(tmp_path / "t"))
    bag = read_trial(tmp_path / "t")
    assert bag.frames.stamps.tolist() == list(range(10))
    assert bag.intrinsics == intrinsics
    graph.state.publish(TrialState(trial="next", phase=TrialState.PHASE_HOME))
    graph.spin_until(lambda: (tmp_path / "next").exists())
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert is_finished(tmp_path / "next")
    assert [topic for topic, _, _ in iterate(tmp_path / "next")].count("camera/color/camera_info") == 1


def test_an_unwritable_folder_is_told_while_the_node_lives(tmp_path, graph, start_recorder):
    blocked = tmp_path / "runs"
    blocked.write_text("a file where the folder should be")
    process = start_recorder(blocked)
    graph.state.publish(TrialState(trial="t", phase=TrialState.PHASE_HOME))
    graph.spin_until(lambda: "cannot write a bag" in graph.status.message)
    assert process.poll() is None
    graph.state.publish(TrialState(phase=TrialState.PHASE_IDLE))
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0

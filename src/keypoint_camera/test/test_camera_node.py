"""The camera node on a fake back end: frames flow, and a camera that fails is reported and opened again."""

import gc
import os
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("keypoint_interfaces")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from keypoint_interfaces.msg import StageTiming  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402

from keypoint_camera import CAMERAS  # noqa: E402
from keypoint_camera.camera_node import CameraNode  # noqa: E402
from keypoint_camera.errors import CameraError, StreamEndedError  # noqa: E402
from keypoint_core.parameters import parameter  # noqa: E402
from keypoint_core.types import Frame, Intrinsics  # noqa: E402
from keypoint_ros.frames import FrameSubscriber  # noqa: E402

FULL = Intrinsics(1280, 720, 607.0, 607.0, 638.0, 366.0)


@dataclass(frozen=True)
class FakeParameters:
    mode: str = parameter("", "unused")


class FakeCamera:
    """A camera of 50 frames per second that the test breaks through `state`."""

    Parameters = FakeParameters
    state = "good"
    opened = closed = 0
    tick = threading.Event()  # never set: paces `read`

    def __init__(self, parameters, view):
        self.rng = np.random.default_rng(0)
        self.image = self.rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8)

    def open(self):
        if FakeCamera.state == "absent":
            raise CameraError("the fake camera is absent")
        FakeCamera.opened += 1

    def read(self):
        FakeCamera.tick.wait(0.02)
        state = FakeCamera.state
        if state == "absent":
            raise CameraError("the fake camera vanished")
        if state == "over":
            raise StreamEndedError("the fake recording has ended")
        while FakeCamera.state == "hangs":
            FakeCamera.tick.wait(0.02)
        if state != "frozen":
            self.image = np.roll(self.image, 1, axis=1)
        return Frame(time.time_ns(), self.image, np.ones((720, 1280), np.float32), FULL)

    def close(self):
        FakeCamera.closed += 1


class Listener:
    """The rest of the graph."""

    def __init__(self, node):
        self.node = rclpy.create_node("listener")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)
        self.executor.add_node(self.node)
        self.frames, self.statuses, self.timings, self.errors = [], [], [], []
        self.camera = FrameSubscriber(self.node, self.frames.append, self.errors.append, depth=True, lockstep=False)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)
        self.node.create_subscription(StageTiming, "timing", self.timings.append, 10)

    def _diagnose(self, message):
        self.statuses += [status for status in message.status if status.name == "camera"]

    def spin_until(self, predicate, timeout=15.0):
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, f"timed out; last status: {self.statuses[-1:]}"
            self.executor.spin_once(timeout_sec=0.01)

    def flow(self, count=5):
        """Waits for new frames."""
        del self.frames[:]
        self.spin_until(lambda: len(self.frames) >= count)

    def told(self, words, level=DiagnosticStatus.ERROR):
        """Waits for a diagnostic from now on."""
        del self.statuses[:]
        self.spin_until(lambda: any(words in status.message and status.level == level for status in self.statuses))


@pytest.fixture
def listen(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    CAMERAS.add("fake", f"{FakeCamera.__module__}:FakeCamera")
    FakeCamera.state, FakeCamera.opened, FakeCamera.closed = "good", 0, 0
    nodes, listeners = [], []

    def start(**parameters):
        given = {"backend": "fake", "reconnect_period": 0.05, "timeout": 0.2, **parameters}
        args = [text for name, value in given.items() for text in ("-p", f"{name}:={value}")]
        rclpy.init(args=["--ros-args", *args])
        nodes.append(CameraNode())
        listeners.append(Listener(nodes[0]))
        assert nodes[0].start()
        return listeners[0]

    yield start
    FakeCamera.state = "good"
    for node in nodes:
        node.close()
    for listener in listeners:
        listener.executor.shutdown()
        listener.node.destroy_node()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    gc.collect()  # a participant that is left talks to all that come after it


def test_frames_flow_with_the_region_cut_out(listen):
    graph = listen()
    graph.flow()
    frame = graph.frames[-1].frame
    assert frame.color.shape == (480, 640, 3)
    assert frame.depth.shape == (480, 640)
    assert frame.intrinsics == Intrinsics(640, 480, 607.0, 607.0, 318.0, 246.0)
    assert frame.frame_id == "camera_color_optical_frame"
    assert not graph.errors
    stamps = [received.frame.stamp for received in graph.frames]
    assert stamps == sorted(set(stamps))
    graph.spin_until(lambda: graph.timings)
    assert graph.timings[0].stage == StageTiming.CAMERA
    assert 0 < graph.timings[0].compute < 1
    graph.told("running", DiagnosticStatus.OK)


def test_the_region_is_a_parameter(listen):
    graph = listen(roi_x=100, roi_y=50, roi_width=320, roi_height=240)
    graph.flow(1)
    assert graph.frames[0].frame.intrinsics == Intrinsics(320, 240, 607.0, 607.0, 538.0, 316.0)


def test_a_camera_that_vanishes_is_reported_and_opened_again(listen):
    graph = listen()
    graph.flow()
    FakeCamera.state = "absent"
    graph.told("fake: the fake camera")
    del graph.frames[:]
    FakeCamera.state = "good"
    graph.flow()
    graph.told("running", DiagnosticStatus.OK)
    assert FakeCamera.opened == 2


def test_a_frozen_camera_is_reported_and_opened_again(listen):
    graph = listen()
    graph.flow()
    FakeCamera.state = "frozen"
    graph.told("the image did not change over 15 frames")
    FakeCamera.state = "good"
    graph.flow()


def test_a_driver_that_hangs_is_reported(listen):
    graph = listen()
    graph.flow()
    FakeCamera.state = "hangs"
    graph.told("fake: no frame for")
    FakeCamera.state = "good"
    graph.flow()


def test_a_recording_that_is_over_ends_in_peace(listen):
    graph = listen()
    graph.flow()
    FakeCamera.state = "over"
    graph.told("the fake recording has ended", DiagnosticStatus.OK)
    assert FakeCamera.closed == FakeCamera.opened


def test_deactivation_closes_the_camera(listen):
    graph = listen()
    graph.flow(1)
    node = next(node for node in graph.executor.get_nodes() if isinstance(node, CameraNode))
    node.trigger_deactivate()
    assert FakeCamera.closed == FakeCamera.opened == 1
    node.trigger_activate()
    graph.flow(1)
    assert FakeCamera.opened == 2

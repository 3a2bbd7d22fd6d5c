"""The pictures that a calibration uses, each with the place of the arm's tool at its exposure."""

from __future__ import annotations

import time
from dataclasses import dataclass

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import JointState

from keypoint_core.arms.description import load_arm
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.errors import InputError
from keypoint_core.states import StateHistory
from keypoint_core.types import SECOND, Float64, Frame
from keypoint_ros.conversions import from_joint_state
from keypoint_ros.frames import FrameSubscriber, ReceivedFrame
from keypoint_ros.qos import subscribe_stream


@dataclass(frozen=True)
class View:
    """A picture, and where the tool was at its exposure.

    Attributes:
        frame: from a camera that stands still.
        tool: [4, 4] in the arm's base frame; None where nobody knows.
    """

    frame: Frame
    tool: Float64 | None = None


class _Receiver:
    """Puts the camera's pictures and the arm's joints together.

    Args:
        node: that listens.
        robot: whose joints tell where the tool is; empty for none.
        every: seconds between two pictures that are taken.
    """

    def __init__(self, node: Node, robot: str, every: float) -> None:
        self.views: list[View] = []
        self._every, self._next = round(every * SECOND), 0
        self._arm = load_arm(robot) if robot else None
        self._states = StateHistory()
        self._waiting: Frame | None = None  # for the joints of its exposure
        self._subscriptions: list[object] = [FrameSubscriber(node, self._on_frame, print, False, False)]
        if self._arm:
            self._subscriptions.append(
                node.create_subscription(JointState, "joint_states", self._on_joints, subscribe_stream(False))
            )

    def _on_frame(self, received: ReceivedFrame) -> None:
        if received.stamp >= self._next and self._waiting is None:
            self._waiting, self._next = received.frame, received.stamp + self._every
            self._take()

    def _on_joints(self, message: JointState) -> None:
        if self._arm is not None:
            self._states.add(from_joint_state(message, self._arm.joint_names, ""))
            self._take()

    def _take(self) -> None:
        frame, tool = self._waiting, None
        if frame is None:
            return
        if self._arm is not None:
            if not self._states.reaches(frame.stamp):
                return
            try:
                tool = SerialChain(self._arm).tool_pose(self._states.at(frame.stamp).position)
            except InputError:  # from before the first joints
                self._waiting = None
                return
        self._waiting = None
        self.views.append(View(frame, tool))
        print(f"picture {len(self.views)}", flush=True)


def receive(node: Node, robot: str, count: int, every: float, timeout: float) -> list[View]:
    """The next pictures of the running camera; fewer where one does not come in time.

    Args:
        node: that listens.
        robot: whose joints tell where the tool is; empty for none.
        count: of pictures.
        every: seconds between them.
        timeout: for each of them to come [s].
    """
    receiver = _Receiver(node, robot, every)
    deadline = time.monotonic() + count * (every + timeout)
    while len(receiver.views) < count and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    return receiver.views

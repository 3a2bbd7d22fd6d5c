"""Driver of the simulated robot: feedback and commands over topics to the simulation node."""

from __future__ import annotations

import queue
from dataclasses import dataclass

import numpy as np
from keypoint_interfaces.msg import SimCommand, SimFeedback
from rclpy.node import Node

from keypoint_core.arms.description import ArmDescription
from keypoint_core.errors import ArmError
from keypoint_core.parameters import parameter
from keypoint_core.types import ArmCommand, ArmMode, RobotState
from keypoint_ros.conversions import from_stamp, to_stamp
from keypoint_ros.qos import SUBSCRIBE_STREAM_LOSSLESS

_INBOX = 64  # ticks kept while the control loop is busy


@dataclass(frozen=True)
class SimulatedArmParameters:
    """Parameters of the driver `simulated`."""

    connect_timeout: float = parameter(
        60.0, "longest wait for the simulation to appear, wall clock", unit="s", minimum=0.1, maximum=600.0
    )
    feedback_timeout: float = parameter(
        1.0, "silence of the simulation that counts as lost feedback, wall clock", unit="s", minimum=0.02, maximum=60.0
    )


class SimulatedArm:
    """`Arm` that talks to the simulation node.

    The simulation sends a tick again while it waits for the command it needs. A tick that a follower's command answered
    is not handed out twice, for its controller must not run twice: it gets the same answer again.
    """

    Parameters = SimulatedArmParameters

    def __init__(self, node: Node, arm: ArmDescription, parameters: SimulatedArmParameters) -> None:
        self._node, self._arm, self._parameters = node, arm, parameters
        self._inbox: queue.Queue[SimFeedback | None] = queue.Queue(maxsize=_INBOX)
        self._current: SimFeedback | None = None
        self._answer: SimCommand | None = None
        self._publisher = node.create_publisher(SimCommand, "sim/command", SUBSCRIBE_STREAM_LOSSLESS)
        self._subscription = node.create_subscription(
            SimFeedback, "sim/feedback", self._receive, SUBSCRIBE_STREAM_LOSSLESS
        )

    def connect(self) -> None:
        """Starts anew; feedback comes as soon as the simulation runs."""
        self._inbox, self._current, self._answer = queue.Queue(maxsize=_INBOX), None, None

    def read(self) -> RobotState:
        """Blocks until the next feedback; raises ArmError when the simulation is silent."""
        while True:
            message = self._next()
            if self._answer is None or message.tick != self._answer.tick:
                self._current = message
                return self._state(message)
            self._publisher.publish(self._answer)  # it was lost, or the simulation had not found us yet

    def write(self, command: ArmCommand) -> None:
        """Answers the newest feedback."""
        if self._current is None:
            return
        message = SimCommand(header=self._current.header, tick=self._current.tick, mode=int(command.mode))
        message.position, message.velocity = command.position.tolist(), command.velocity.tolist()
        message.gripper = float(command.gripper)
        message.observation = to_stamp(command.observation)
        if command.mode == ArmMode.FOLLOW and from_stamp(self._current.awaits) in (0, command.observation):
            self._answer = message
        self._publisher.publish(message)

    def stop(self) -> None:
        """The position held is the gate's; a simulated motor needs no brake."""

    def close(self) -> None:
        """Wakes up a `read` that waits."""
        self._receive(None)

    def _receive(self, message: SimFeedback | None) -> None:
        try:
            self._inbox.put_nowait(message)
        except queue.Full:
            self._inbox.get_nowait()
            self._inbox.put_nowait(message)

    def _next(self) -> SimFeedback:
        timeout = self._parameters.feedback_timeout if self._current else self._parameters.connect_timeout
        try:
            message = self._inbox.get(timeout=timeout)
        except queue.Empty as error:
            raise ArmError(f"no feedback from the simulation for {timeout:g} s") from error
        if message is None:
            raise ArmError("the driver is closed")
        return message

    def _state(self, message: SimFeedback) -> RobotState:
        joints = len(self._arm.joints)
        if len(message.position) != joints:
            raise ArmError(f"the simulated robot has {len(message.position)} joints, '{self._arm.name}' has {joints}")
        return RobotState(
            stamp=from_stamp(message.header.stamp),
            position=np.array(message.position),
            velocity=np.array(message.velocity),
            effort=np.array(message.effort),
            gripper=float(message.gripper),
            awaits=from_stamp(message.awaits),
        )

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


@dataclass(frozen=True)
class SimulatedArmParameters:
    """Parameters of the driver `simulated`."""

    feedback_timeout: float = parameter(
        0.5, "silence of the simulation that counts as lost feedback, wall clock", unit="s", minimum=0.02, maximum=60.0
    )


class SimulatedArm:
    """`Arm` that talks to the simulation node.

    The simulation may send a tick again while it waits for the command it needs; a tick that was answered so that time
    can go on is not handed out twice.
    """

    Parameters = SimulatedArmParameters

    def __init__(self, node: Node, arm: ArmDescription, parameters: SimulatedArmParameters) -> None:
        self._node, self._arm, self._parameters = node, arm, parameters
        self._inbox: queue.Queue[SimFeedback] = queue.Queue(maxsize=64)
        self._current: SimFeedback | None = None
        self._answered = -1
        self._publisher = node.create_publisher(SimCommand, "sim/command", SUBSCRIBE_STREAM_LOSSLESS)
        self._subscription = node.create_subscription(
            SimFeedback, "sim/feedback", self._receive, SUBSCRIBE_STREAM_LOSSLESS
        )

    def connect(self) -> None:
        """Nothing to do: feedback comes as soon as the simulation runs."""

    def read(self) -> RobotState:
        """Blocks until the next feedback; raises ArmError when the simulation is silent."""
        while True:
            try:
                message = self._inbox.get(timeout=self._parameters.feedback_timeout)
            except queue.Empty as error:
                raise ArmError(
                    f"no feedback from the simulation for {self._parameters.feedback_timeout:g} s"
                ) from error
            if message.tick > self._answered:
                self._current = message
                return self._state(message)

    def write(self, command: ArmCommand) -> None:
        """Answers the newest feedback."""
        if self._current is None:
            return
        message = SimCommand(header=self._current.header, tick=self._current.tick, mode=int(command.mode))
        message.position, message.velocity = command.position.tolist(), command.velocity.tolist()
        message.gripper = float(command.gripper)
        message.observation = to_stamp(command.observation)
        awaits = from_stamp(self._current.awaits)
        if awaits == 0 or command.observation == awaits or command.mode == ArmMode.HOME:
            self._answered = self._current.tick
        self._publisher.publish(message)

    def stop(self) -> None:
        """The position held is the gate's; a simulated motor needs no brake."""

    def close(self) -> None:
        """Nothing to give back but the topics, which the node owns."""

    def _receive(self, message: SimFeedback) -> None:
        try:
            self._inbox.put_nowait(message)
        except queue.Full:
            self._inbox.get_nowait()
            self._inbox.put_nowait(message)

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

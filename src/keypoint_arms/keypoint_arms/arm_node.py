"""The arm: follows one commander through the safety gate, and says what it applied and why."""

from __future__ import annotations

import time
from collections import OrderedDict

from keypoint_interfaces.msg import ArmState, StageTiming
from keypoint_interfaces.srv import Engage
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from keypoint_arms import ARMS
from keypoint_arms.control_loop import ControlLoop, ReceivedChunk, Turn
from keypoint_core.arms.description import load_arm
from keypoint_core.arms.limits import Reason
from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.errors import InputError
from keypoint_core.protocols import Arm
from keypoint_core.types import ActionChunk, RobotState
from keypoint_ros.conversions import from_stamp, from_trajectory, to_header, to_joint_state, to_stamp
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.parameters import declare_parameters
from keypoint_ros.qos import PUBLISH_STREAM, command
from keypoint_ros.timing import TimingPublisher


class ArmNode(KeypointNode):
    """Topics joint_states and arm/state, services ~/stop, ~/release, ~/home, ~/engage; follows policy/action."""

    Parameters = ArmParameters

    def __init__(self) -> None:
        super().__init__("arm")
        self._arm = load_arm(self.parameters.robot)
        self._driver_class = ARMS.load(self.parameters.driver)
        self._driver_parameters = declare_parameters(self, self._driver_class.Parameters)
        self._gripper = self._arm.gripper.name if self._arm.gripper else ""
        self._driver: Arm | None = None
        self._loop: ControlLoop | None = None
        self._last_mode = ArmState.MODE_HOLD
        self._frame_id = f"{self._arm.name}_base"
        self._received: OrderedDict[int, int] = OrderedDict()  # exposure -> when its action came in [ns]
        self._states = self.create_publisher(JointState, "joint_states", PUBLISH_STREAM)
        self._arm_states = self.create_publisher(ArmState, "arm/state", PUBLISH_STREAM)
        self._timing = TimingPublisher(self, StageTiming.ARM)
        self.create_subscription(JointTrajectory, "policy/action", self._on_action, command(self.lockstep))
        self.create_service(Engage, "~/engage", self._engage)
        self.create_service(Trigger, "~/stop", self._stop)
        self.create_service(Trigger, "~/release", self._release)
        self.create_service(Trigger, "~/home", self._home)

    def configure(self) -> None:
        """Makes the driver."""
        self._driver = self._driver_class(self, self._arm, self._driver_parameters)

    def activate(self) -> None:
        """Connects and starts the control loop; the arm holds where it is."""
        if self._driver is None:
            raise InputError("the arm node must be configured first")
        p = self.parameters
        controller = make_controller(self._arm, p)
        self._driver.connect()
        self._loop = ControlLoop(
            self._driver,
            controller,
            self._publish_state,
            self._publish_turn,
            self._on_fault,
            self.lockstep,
            p.lockstep_timeout,
        )

    def deactivate(self) -> None:
        """Stops the arm and disconnects."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _on_action(self, message: JointTrajectory) -> None:
        if self._loop is None:
            return
        received, steady = time.time_ns(), time.monotonic_ns()
        chunk = self._chunk(message)
        self._received[chunk.stamp] = received
        while len(self._received) > 30:
            self._received.popitem(last=False)
        self.diagnostics.tick("actions")
        self._loop.submit(ReceivedChunk(chunk, message.header.frame_id, received, steady))

    def _chunk(self, message: JointTrajectory) -> ActionChunk:
        """The chunk; one without targets, which the controller refuses, where the message does not fit the arm."""
        try:
            return from_trajectory(message, self._arm.joint_names, self._gripper)
        except InputError as error:
            self.report(str(error))
            return ActionChunk.empty(from_stamp(message.header.stamp))

    def _engage(self, request: Engage.Request, response: Engage.Response) -> Engage.Response:
        if self._loop is None:
            response.error_code, response.error_msg = Engage.Response.NOT_ACTIVE, "the arm node is not active"
        elif not request.commander:
            self._loop.command(lambda controller: controller.disengage())
        elif not self._loop.engage(request.commander):
            stopped = self._last_mode == ArmState.MODE_STOPPED
            response.error_code = Engage.Response.STOPPED if stopped else Engage.Response.BUSY
            response.error_msg = (
                "the arm is stopped; call ~/release first" if stopped else "the arm moves home or follows somebody else"
            )
        return response

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._loop is not None:
            self._loop.stop()
        response.success, response.message = True, "stopped; ~/release ends it"
        return response

    def _release(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._loop is not None:
            self._loop.command(lambda controller: controller.release())
        response.success = self._loop is not None
        return response

    def _home(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._loop is not None and bool(self._loop.command(lambda controller: controller.go_home()))
        response.message = "" if response.success else "the arm is stopped, follows somebody, or is not active"
        return response

    def _publish_state(self, state: RobotState) -> None:
        self._states.publish(to_joint_state(state, self._arm.joint_names, self._gripper, self._frame_id))

    def _publish_turn(self, turn: Turn) -> None:
        tick, command = turn.tick, turn.tick.command
        self._last_mode = int(tick.mode)
        message = ArmState(
            header=to_header(turn.state.stamp, self._frame_id), mode=int(tick.mode), at_home=tick.at_home
        )
        message.reasons = [int(reason) for reason in tick.reasons]
        message.message = "; ".join(reason.words for reason in tick.reasons)
        message.commander = tick.commander
        message.joint_names = self._arm.joint_names
        message.position, message.velocity = turn.state.position.tolist(), turn.state.velocity.tolist()
        message.commanded_position = tick.commanded.tolist()
        message.applied_position, message.applied_velocity = command.position.tolist(), command.velocity.tolist()
        message.gripper_position, message.gripper_applied = float(turn.state.gripper), float(command.gripper)
        message.observation = to_stamp(command.observation)
        self._arm_states.publish(message)
        self.diagnostics.tick("control")
        received = self._received.get(command.observation)
        if tick.new_observation and received is not None:
            self._timing.publish(command.observation, received, turn.compute, turn.written)

    def _on_fault(self, reason: Reason, message: str) -> None:
        """Without feedback there are no turns; the state is told all the same."""
        self.report(message)
        fault = ArmState(mode=ArmState.MODE_STOPPED, reasons=[int(reason)], message=message)
        fault.header = to_header(self.get_clock().now().nanoseconds, self._frame_id)
        self._last_mode = ArmState.MODE_STOPPED
        self._arm_states.publish(fault)


def main() -> None:
    """Runs the node."""
    run(ArmNode)

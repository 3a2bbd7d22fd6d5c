"""Driver of arms made of HEBI modules, through hebi-py.

Positions and velocities go to the modules' own control loops at every feedback, with the effort that holds the arm
against gravity. Modules obey a command for `command_lifetime` only: when commands cease, for whatever reason, the
motors let go, and an arm without brakes sinks. Support the arm before this driver is stopped.

Tested against hebi-py's imitation group, which only echoes commands. Not tried on modules: lookup, timing of feedback,
expiry of commands, the M-stop, the modules' limits and strategies, temperatures, and whether gravity compensation fits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from rclpy.node import Node

from keypoint_core.arms.description import ArmDescription
from keypoint_core.errors import ArmError, InputError, MissingDependencyError
from keypoint_core.parameters import parameter
from keypoint_core.types import ArmCommand, Float64, RobotState

MSTOP_PRESSED = 0  # feedback.mstop_state: 0 triggered, 1 not triggered
_LOOKUP_TIME = 2.0  # modules announce themselves within this time [s]
_ACKNOWLEDGE = 500  # [ms]
_MSTOP_STRATEGIES = ("HoldPosition", "MotorOff", "Disabled")
_LIMIT_STRATEGIES = ("HoldPosition", "DampedSpring", "MotorOff", "Disabled")


@dataclass(frozen=True)
class HebiParameters:
    """Parameters of the driver `hebi`."""

    families: tuple[str, ...] = parameter(("Arm",), "family of the modules, or one for each")
    names: tuple[str, ...] = parameter(
        ("J1_base", "J2_shoulder", "J3_elbow", "J4_wrist1", "J5_wrist2", "J6_wrist3", "chopsticks"),
        "names of the modules, base to tool, the gripper's last",
    )
    command_lifetime: float = parameter(
        0.1, "a module lets go when it gets no command for so long", unit="s", minimum=0.02, maximum=1.0
    )
    feedback_timeout: float = parameter(
        0.1, "silence of the modules that counts as lost feedback", unit="s", minimum=0.02, maximum=2.0
    )
    hrdf: str = parameter(
        "", "HEBI robot description with the gripper, for gravity compensation; empty: A-2085-06 and a tool"
    )
    gravity: tuple[float, ...] = parameter((0.0, 0.0, -9.81), "gravity in the base frame", unit="m/s^2")
    tool_mass: float = parameter(
        0.36,
        "the tool: gripper with its actuator, beyond the last joint; not used with hrdf",
        unit="kg",
        minimum=0.0,
        maximum=5.0,
    )
    tool_com: tuple[float, ...] = parameter(
        (-0.004, 0.0, 0.03), "its centre of mass in the frame of the last joint", unit="m"
    )
    mstop_strategy: str = parameter(
        "HoldPosition", "what the modules do while the M-stop is pressed", choices=_MSTOP_STRATEGIES
    )
    limit_strategy: str = parameter(
        "DampedSpring", "what the modules do at the joint limits of the arm's description", choices=_LIMIT_STRATEGIES
    )

    def __post_init__(self) -> None:
        if len(self.gravity) != 3 or len(self.tool_com) != 3:
            raise InputError(f"gravity and tool_com need 3 numbers each, got {self.gravity} and {self.tool_com}")


class HebiArm:
    """`Arm` of HEBI modules; the gripper's actuator, where there is one, is the group's last.

    Args:
        node: for the log.
        arm: its description.
        parameters: of this driver.
        find_group: makes the group; by default it is looked up on the network.

    Raises:
        MissingDependencyError: hebi-py is not installed.
        InputError: the number of names does not fit the arm, or the HRDF cannot be read.
    """

    Parameters = HebiParameters

    def __init__(
        self,
        node: Node | None,
        arm: ArmDescription,
        parameters: HebiParameters,
        find_group: Callable[[HebiParameters], Any] | None = None,
    ) -> None:
        self._hebi = load_hebi()
        self._node, self._arm, self._parameters = node, arm, parameters
        self._find_group = find_group or (lambda p: look_up(self._hebi, p))
        self._joints = len(arm.joints)
        expected = self._joints + (arm.gripper is not None)
        if len(parameters.names) != expected or len(parameters.families) not in (1, expected):
            raise InputError(
                f"driver hebi: '{arm.name}' needs {expected} module names, the gripper's last, and 1 or {expected} "
                f"families; got {list(parameters.names)} and {list(parameters.families)}"
            )
        self._model = gravity_model(parameters, self._joints)
        self._group: Any = None
        self._command: Any = None
        self._measured = np.full(expected, np.nan)
        self._lock = threading.Lock()  # `stop` comes from another thread than `write`

    def connect(self) -> None:
        """Finds the modules and sets their safety; nothing moves. Raises ArmError saying which modules are absent."""
        self.close()
        group = self._find_group(self._parameters)
        if group.size != len(self._measured):
            raise ArmError(f"the HEBI group has {group.size} modules, '{self._arm.name}' needs {len(self._measured)}")
        group.feedback_frequency = 100.0
        group.command_lifetime = round(self._parameters.command_lifetime * 1e3)  # [ms]
        self._group, self._command = group, self._hebi.GroupCommand(group.size)
        if not group.send_command_with_acknowledgement(self._safety(), timeout_ms=_ACKNOWLEDGE):
            self.close()
            raise ArmError("the HEBI modules did not acknowledge their safety settings; check network and power")

    def read(self) -> RobotState:
        """Blocks until the next feedback.

        Raises:
            ArmError: none came in time, a value is missing, or the M-stop is pressed.
        """
        group = self._group
        if group is None:
            raise ArmError("the HEBI arm is not connected")
        feedback = group.get_next_feedback(timeout_ms=self._parameters.feedback_timeout * 1e3)
        stamp = time.time_ns()
        if feedback is None:
            raise ArmError(f"no feedback from the HEBI modules for {self._parameters.feedback_timeout:g} s")
        self._require_sound(feedback)
        position, velocity = np.array(feedback.position, np.float64), np.array(feedback.velocity, np.float64)
        self._measured = position
        arm = slice(0, self._joints)
        effort = np.array(feedback.effort, np.float64)[arm]
        gripper = float(position[-1]) if self._arm.gripper else float("nan")
        return RobotState(stamp, position[arm].copy(), velocity[arm], effort, gripper)

    def write(self, command: ArmCommand) -> None:
        """Sends positions, velocities and the efforts that hold the arm up where it is."""
        target, velocity = command.position, command.velocity
        if self._arm.gripper:
            target, velocity = np.append(target, command.gripper), np.append(velocity, np.nan)
        self._send(target, velocity)

    def stop(self) -> None:
        """Tells the modules to stay where they were measured last, for the lifetime of a command."""
        if self._group is not None and np.isfinite(self._measured).all():
            self._send(self._measured, np.zeros(len(self._measured)))

    def close(self) -> None:
        """Lets go of the modules; those of an arm without brakes sink when the last command has expired."""
        with self._lock:
            self._group = self._command = None

    def _send(self, target: Float64, velocity: Float64) -> None:
        effort = np.full(len(self._measured), np.nan)
        effort[: self._joints] = self._hold_up()
        with self._lock:
            if self._group is None:
                return
            self._command.position, self._command.velocity, self._command.effort = target, velocity, effort
            sent = self._group.send_command(self._command)
        if not sent:
            raise ArmError("a command could not be sent to the HEBI modules; check the network")

    def _hold_up(self) -> Float64:
        """[D] efforts against gravity where the arm was measured last [N m]."""
        position = self._measured[: self._joints]
        gravity = np.array(self._parameters.gravity)
        if not np.isfinite(position).all():
            return np.full(self._joints, np.nan)
        efforts = np.asarray(self._model.get_grav_comp_efforts(position, gravity), dtype=np.float64)
        limits = np.array([joint.effort for joint in self._arm.joints])
        return np.clip(efforts, -limits, limits)

    def _safety(self) -> Any:
        """The command that sets limits and strategies; they live in the modules until those are switched off."""
        lower, upper = list(self._arm.lower), list(self._arm.upper)
        if self._arm.gripper:
            low, high = self._arm.gripper.range
            lower, upper = [*lower, low], [*upper, high]
        command = self._hebi.GroupCommand(len(lower))
        command.mstop_strategy = self._parameters.mstop_strategy
        command.position_limit_min, command.position_limit_max = np.array(lower), np.array(upper)
        command.min_position_limit_strategy = self._parameters.limit_strategy
        command.max_position_limit_strategy = self._parameters.limit_strategy
        return command

    def _require_sound(self, feedback: Any) -> None:
        names = np.array(self._parameters.names)
        silent = ~np.isfinite(feedback.position)
        if silent.any():
            raise ArmError(f"driver fault: no position from HEBI modules {', '.join(names[silent])}")
        pressed = np.asarray(feedback.mstop_state) == MSTOP_PRESSED
        if pressed.any() and self._parameters.mstop_strategy != "Disabled":
            raise ArmError(
                f"driver fault: the M-stop is pressed (modules {', '.join(names[pressed])}); pull it out, then ~/release"
            )


def load_hebi() -> ModuleType:
    """hebi-py, which is imported only when asked for; raises MissingDependencyError."""
    try:
        import hebi
    except ImportError as error:
        raise MissingDependencyError(
            f"driver hebi: hebi-py cannot be imported ({error}); pip install -r requirements-hardware.txt"
        ) from error
    module: ModuleType = hebi
    return module


def look_up(hebi: ModuleType, parameters: HebiParameters) -> Any:
    """The group of the named modules on the network; raises ArmError with those that are absent and those found."""
    lookup = hebi.Lookup()
    families, names = list(parameters.families), list(parameters.names)
    try:
        group = lookup.get_group_from_names(families, names, timeout_ms=_LOOKUP_TIME * 1e3)
    except RuntimeError:
        group = None
    if group is not None:
        return group
    found = sorted(f"{entry.family}/{entry.name}" for entry in lookup.entrylist)
    wanted = families * len(names) if len(families) == 1 else families
    absent = [module for module in map("/".join, zip(wanted, names, strict=True)) if module not in found]
    raise ArmError(
        f"HEBI modules not found: {', '.join(absent) or 'none, but the group could not be made'}; on the network: "
        f"{', '.join(found) or 'none'}. Check power, cable and subnet, or the parameters families and names"
    )


def gravity_model(parameters: HebiParameters, joints: int) -> Any:
    """HEBI's RobotModel of the arm with its gripper.

    Raises:
        InputError: the HRDF cannot be read, or has another number of joints.
    """
    robot_model = load_hebi().robot_model
    if parameters.hrdf:
        try:
            model = robot_model.import_from_hrdf(parameters.hrdf)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"driver hebi: cannot read '{parameters.hrdf}': {error.args}") from error
    else:
        model = a_2085_06(robot_model.RobotModel())
        tool = np.eye(4)
        tool[:3, 3] = parameters.tool_com
        model.add_rigid_body(tool, np.zeros(6), parameters.tool_mass, np.eye(4))  # inertia does not hold anything up
    if model.dof_count != joints:
        raise InputError(f"driver hebi: the model for gravity has {model.dof_count} joints, the arm {joints}")
    return model


def a_2085_06(model: Any) -> Any:
    """Adds HEBI's 6-DoF arm, element by element (HebiRobotics/hebi-hrdf, A-2085-06.hrdf) to an empty model."""
    model.add_actuator("X8-9")
    model.add_bracket("X5-HeavyBracket", "right-outside")
    model.add_actuator("X8-9")
    model.add_link("X5", 0.325, np.pi)
    model.add_actuator("X5-9")
    model.add_link("X5", 0.325, np.pi)
    model.add_actuator("X5-1")
    model.add_bracket("X5-LightBracket", "right")
    model.add_actuator("X5-1")
    model.add_bracket("X5-LightBracket", "right")
    model.add_actuator("X5-1")
    return model

"""Parameters of the arm node, and the controller they make; the in-process pipeline runs the same one."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_core.arms.controller import ArmController, ControllerSettings
from keypoint_core.arms.description import ArmDescription
from keypoint_core.arms.limits import SafetyLimits
from keypoint_core.parameters import parameter


@dataclass(frozen=True)
class ArmParameters:
    """Parameters of the arm node."""

    robot: str = parameter("hebi_chopsticks", "the arm's description: a name of keypoint_core.robots, or a YAML file")
    driver: str = parameter("simulated", "a name of keypoint_arms")
    control_rate: float = parameter(100.0, "rate of the robot's feedback", unit="1/s", minimum=10.0, maximum=1000.0)
    workspace: tuple[float, ...] = parameter(
        (-1.0, -1.0, 0.0, 1.0, 1.0, 1.0), "box for the tool in the base frame: x, y, z lower, then upper", unit="m"
    )
    max_age: float = parameter(0.3, "oldest exposure a command may derive from", unit="s", minimum=0.02, maximum=2.0)
    tracking_error: float = parameter(
        0.25, "measured minus applied position that stops the arm", unit="rad", minimum=0.01, maximum=1.0
    )
    speed_scale: float = parameter(1.0, "share of the arm's velocity limits to use", minimum=0.01, maximum=1.0)
    home_speed: float = parameter(0.5, "share of the velocity limits on the way home", minimum=0.01, maximum=1.0)
    lockstep_timeout: float = parameter(
        5.0, "lockstep: longest wait for an awaited action, wall clock", unit="s", minimum=0.1, maximum=600.0
    )


def make_controller(arm: ArmDescription, parameters: ArmParameters) -> ArmController:
    """The controller with its gate; raises InputError for limits that make no sense."""
    p = parameters
    limits = SafetyLimits.of_arm(arm, p.workspace, p.max_age, p.tracking_error, p.speed_scale)
    return ArmController(arm, limits, 1.0 / p.control_rate, ControllerSettings(home_speed=p.home_speed))

"""Limits of the safety gate, each with its unit and the reason for its default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from keypoint_core.arms.description import ArmDescription
from keypoint_core.errors import InputError
from keypoint_core.types import Float64


class Reason(IntEnum):
    """Why the applied command differs from the commanded one; the numbers are those of ArmState.msg."""

    NON_FINITE = 1
    STALE = 2
    NOT_COMMANDER = 3
    JOINT_LIMIT = 4
    WORKSPACE = 5
    VELOCITY = 6
    ACCELERATION = 7
    TRACKING_ERROR = 8
    STOP_REQUESTED = 9
    FEEDBACK_LOST = 10
    WRONG_SHAPE = 11
    DRIVER_FAULT = 12

    @property
    def words(self) -> str:
        """For people."""
        return _WORDS[self]


_WORDS = {
    Reason.NON_FINITE: "the command held NaN or infinity",
    Reason.STALE: "no fresh command",
    Reason.NOT_COMMANDER: "the command came from somebody whom the arm is not engaged to",
    Reason.JOINT_LIMIT: "a joint target lay outside its limits",
    Reason.WORKSPACE: "the tool would have left the workspace",
    Reason.VELOCITY: "slowed to the velocity limit",
    Reason.ACCELERATION: "eased to the acceleration limit",
    Reason.TRACKING_ERROR: "measured and applied positions parted too far",
    Reason.STOP_REQUESTED: "stop was requested",
    Reason.FEEDBACK_LOST: "the robot's feedback ceased",
    Reason.WRONG_SHAPE: "the command's joints, horizon or time step do not fit the arm",
    Reason.DRIVER_FAULT: "the driver reported a fault",
}


@dataclass(frozen=True)
class SafetyLimits:
    """What the gate holds every command against.

    Attributes:
        lower, upper: [D] joint positions [rad].
        velocity: [D] [rad/s].
        acceleration: [D] [rad/s^2].
        workspace_lower, workspace_upper: [3] box for the tool centre point in the arm's base frame [m].
        max_age: oldest exposure a command may derive from [s].
        tracking_error: largest distance of measured from applied position on any joint [rad].
        gripper_lower, gripper_upper: gripper range in the driver's unit; NaN without a gripper.
        gripper_velocity: in the driver's unit per second.
    """

    lower: Float64
    upper: Float64
    velocity: Float64
    acceleration: Float64
    workspace_lower: Float64
    workspace_upper: Float64
    max_age: float
    tracking_error: float
    gripper_lower: float
    gripper_upper: float
    gripper_velocity: float

    def __post_init__(self) -> None:
        if not (self.lower < self.upper).all() or not (self.workspace_lower < self.workspace_upper).all():
            raise InputError("safety limits: every lower bound must be below its upper bound")
        if not ((self.velocity > 0).all() and (self.acceleration > 0).all()):
            raise InputError("safety limits: velocity and acceleration limits must be positive")
        if not (self.max_age > 0 and self.tracking_error > 0):
            raise InputError("safety limits: max_age and tracking_error must be positive")

    @classmethod
    def of_arm(
        cls,
        arm: ArmDescription,
        workspace: tuple[float, ...],
        max_age: float,
        tracking_error: float,
        speed_scale: float = 1.0,
    ) -> SafetyLimits:
        """The arm's own limits, with what depends on the site.

        Args:
            arm: whose joints are limited.
            workspace: x, y, z lower, then x, y, z upper bounds of the tool in the base frame [m].
            max_age: oldest exposure a command may derive from [s].
            tracking_error: [rad].
            speed_scale: 0..1, share of the arm's velocity limits to use.

        Raises:
            InputError: the workspace is no box, or the scale lies outside 0..1.
        """
        if len(workspace) != 6:
            raise InputError(f"workspace needs 6 numbers (x, y, z lower, x, y, z upper), got {len(workspace)}")
        if not 0 < speed_scale <= 1:
            raise InputError(f"speed_scale must lie in (0, 1], got {speed_scale}")
        low, high = arm.gripper.range if arm.gripper else (float("nan"), float("nan"))
        return cls(
            lower=arm.lower,
            upper=arm.upper,
            velocity=arm.velocity * speed_scale,
            acceleration=arm.acceleration,
            workspace_lower=np.array(workspace[:3], dtype=np.float64),
            workspace_upper=np.array(workspace[3:], dtype=np.float64),
            max_age=max_age,
            tracking_error=tracking_error,
            gripper_lower=low,
            gripper_upper=high,
            gripper_velocity=arm.gripper.velocity if arm.gripper else float("nan"),
        )

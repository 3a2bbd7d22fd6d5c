"""A safety gate with an ideal arm underneath, for the tests of the gate."""

from __future__ import annotations

import numpy as np
from arm_bench import ARM, ATOL, PERIOD, TICK

from keypoint_core.arms.gate import Applied, SafetyGate, Setpoint
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.arms.limits import Reason, SafetyLimits
from keypoint_core.types import SECOND, RobotState

CHAIN = SerialChain(ARM)
NOW = 100 * SECOND
WIDE = (-2.0, -2.0, -2.0, 2.0, 2.0, 2.0)
GRIPPER = -0.4


def make_limits(workspace: tuple[float, ...] = WIDE, **changes: float) -> SafetyLimits:
    return SafetyLimits.of_arm(ARM, workspace, **{"max_age": 0.3, "tracking_error": 0.25, **changes})


def make_gate(workspace: tuple[float, ...] = WIDE, **changes: float) -> SafetyGate:
    return SafetyGate(CHAIN, make_limits(workspace, **changes), PERIOD)


def state_at(position: np.ndarray, gripper: float = GRIPPER) -> RobotState:
    return RobotState(NOW, position, np.zeros(6), np.zeros(6), gripper)


def ask(position: np.ndarray, velocity: np.ndarray | None = None, **changes: object) -> Setpoint:
    velocity = np.zeros(6) if velocity is None else velocity
    fields = {"gripper": GRIPPER, "commander": "me", "exposure": NOW, "observation": 7, **changes}
    return Setpoint(position, velocity, **fields)  # type: ignore[arg-type]


def outside(position: np.ndarray, limits: SafetyLimits) -> float:
    tool = CHAIN.tool_position(position)
    return float(np.linalg.norm(tool - np.clip(tool, limits.workspace_lower, limits.workspace_upper)))


class Robot:
    """Plays an ideal arm underneath the gate and checks every command that comes out."""

    def __init__(self, gate: SafetyGate, start: np.ndarray, gripper: float = GRIPPER) -> None:
        self.gate, self.limits = gate, gate.limits
        self.applied = Applied(start.copy(), np.zeros(6), gripper)
        self.began_outside = outside(start, gate.limits)
        self.now = NOW

    def tick(self, setpoint: Setpoint | None) -> tuple[Reason, ...]:
        before = self.applied
        state = state_at(before.position, before.gripper)
        verdict = self.gate(setpoint, state, before, "me", self.now)
        command = verdict.command
        self.applied = Applied(command.position, command.velocity, command.gripper)
        self.now += TICK
        self._check(before, self.applied)
        assert not verdict.must_stop
        return verdict.reasons

    def _check(self, before: Applied, after: Applied) -> None:
        limits = self.limits
        assert np.isfinite(after.position).all() and np.isfinite(after.velocity).all() and np.isfinite(after.gripper)
        np.testing.assert_allclose(after.position - before.position, after.velocity * PERIOD, atol=ATOL)
        assert (np.abs(after.velocity) <= limits.velocity + ATOL).all()
        assert (np.abs(after.velocity - before.velocity) <= limits.acceleration * PERIOD + ATOL).all()
        assert (after.position >= limits.lower - ATOL).all() and (after.position <= limits.upper + ATOL).all()
        assert outside(after.position, limits) <= self.began_outside + ATOL
        assert abs(after.gripper - before.gripper) <= limits.gripper_velocity * PERIOD + ATOL
        assert limits.gripper_lower - ATOL <= after.gripper <= limits.gripper_upper + ATOL

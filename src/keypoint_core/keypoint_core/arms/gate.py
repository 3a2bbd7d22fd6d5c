"""The safety gate: every command passes it, right in front of the driver, whoever sent it.

A pure function of (command, state, limits, now) and of what was applied last. Checks run in one order: finite, fresh,
single commander, joint limits, workspace, velocity and acceleration, tracking error. A refused command does not freeze
the arm where it is: it brakes at the acceleration limit and then holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.arms.limits import Reason, SafetyLimits
from keypoint_core.types import SECOND, ArmCommand, Float64, RobotState

_ROUNDING = 1e-9  # a command counts as altered beyond this [rad]; less is arithmetic
_PARTS = (1.0, 0.5, 0.25, 0.1)  # of the highest rate straight ahead that are tried at the edge of the workspace


@dataclass(frozen=True)
class Setpoint:
    """What a commander asks for at one control tick.

    Attributes:
        position: [D] [rad].
        velocity: [D] [rad/s], the rate of the setpoint itself; zeros are always right, if slower.
        gripper: in the driver's unit, NaN for "as it is".
        commander: who asks.
        exposure: of the frame behind it, on the gate's clock [ns].
        observation: the same exposure as stamped by the camera [ns]; 0 for none.
    """

    position: Float64
    velocity: Float64
    gripper: float
    commander: str
    exposure: int
    observation: int = 0


@dataclass(frozen=True)
class Applied:
    """What was sent to the driver last: position [D] [rad], velocity [D] [rad/s], gripper in the driver's unit."""

    position: Float64
    velocity: Float64
    gripper: float

    @classmethod
    def at_rest(cls, state: RobotState) -> Applied:
        """As if the arm had been told to stay where it is."""
        gripper = state.gripper if np.isfinite(state.gripper) else float("nan")
        return cls(state.position.copy(), np.zeros_like(state.position), gripper)


@dataclass(frozen=True)
class Verdict:
    """The gate's answer.

    Attributes:
        command: to be written to the driver.
        reasons: why it differs from the setpoint, in the order of the checks; empty when it does not.
        must_stop: the arm must be stopped and stay so until it is released.
    """

    command: ArmCommand
    reasons: tuple[Reason, ...]
    must_stop: bool = False


class SafetyGate:
    """Holds setpoints against limits.

    Args:
        chain: kinematics of the arm.
        limits: of the arm and the site.
        period: control period [s].
    """

    def __init__(self, chain: SerialChain, limits: SafetyLimits, period: float) -> None:
        self.limits = limits
        self._chain = chain
        self._period = period

    def __call__(
        self, setpoint: Setpoint | None, state: RobotState, applied: Applied, commander: str, now: int
    ) -> Verdict:
        """Returns what to apply.

        Args:
            setpoint: None when nobody asks for anything.
            state: newest feedback.
            applied: what was sent last.
            commander: whom the arm is engaged to.
            now: on the gate's clock [ns]: steady on robots, simulated in lockstep.
        """
        refusal = self.refusal(setpoint, commander, now)
        if setpoint is None or refusal is not None:
            position, velocity, reasons = (
                self._brake(applied),
                self._braked(applied.velocity),
                [refusal] if refusal else [],
            )
        else:
            position, velocity, reasons = self._limited(setpoint, applied)
        if self._lost_track(state, applied):
            return Verdict(self._hold_measured(state, applied), (*reasons, Reason.TRACKING_ERROR), must_stop=True)
        accepted = setpoint if refusal is None else None
        command = ArmCommand(
            position, velocity, self._gripper(accepted, applied), accepted.observation if accepted else 0
        )
        return Verdict(command, tuple(reasons))

    def refusal(self, setpoint: Setpoint | None, commander: str, now: int) -> Reason | None:
        """The first check that the setpoint fails as a whole; None when it passes or nothing is asked."""
        if setpoint is None:
            return None
        if setpoint.position.shape != self.limits.lower.shape or setpoint.velocity.shape != self.limits.lower.shape:
            return Reason.WRONG_SHAPE
        if not (np.isfinite(setpoint.position).all() and np.isfinite(setpoint.velocity).all()):
            return Reason.NON_FINITE
        if not 0 <= now - setpoint.exposure <= self.limits.max_age * SECOND:
            return Reason.STALE
        if setpoint.commander != commander:
            return Reason.NOT_COMMANDER
        if (setpoint.position < self.limits.lower).any() or (setpoint.position > self.limits.upper).any():
            return Reason.JOINT_LIMIT
        return None

    def _limited(self, setpoint: Setpoint, applied: Applied) -> tuple[Float64, Float64, list[Reason]]:
        velocity, reasons = self._velocity(setpoint, applied)
        for rates in (velocity, *self._straight(setpoint, applied)):
            position = applied.position + rates * self._period
            ahead = np.vstack([setpoint.position, position, self._braking(position, rates)])
            if not self._leaves_workspace(ahead, applied.position):
                return position, rates, reasons
        return self._brake(applied), self._braked(applied.velocity), [Reason.WORKSPACE]

    def _straight(self, setpoint: Setpoint, applied: Applied) -> Iterator[Float64]:
        """Rates [D] straight towards the setpoint, fast and slower; none when the arm moves another way.

        Each joint on its own accelerates as fast as it may, which bends the way. Close to the edge of the workspace that
        could lead out of it, again and again, and the arm would never get to a setpoint inside.
        """
        distance, step = setpoint.position - applied.position, self.limits.acceleration * self._period
        moving = np.abs(distance) > _ROUNDING
        if not moving.any() or (np.abs(applied.velocity[~moving]) > step[~moving]).any():
            return
        way, now, room = np.abs(distance[moving]), applied.velocity[moving] * np.sign(distance[moving]), step[moving]
        highest = np.minimum(
            now + room, np.minimum(self._stoppable(np.abs(distance))[moving], self.limits.velocity[moving])
        )
        fastest, slowest = float((highest / way).min()), float(((now - room) / way).max())
        for part in _PARTS:
            if part * fastest >= max(slowest, 0.0):
                yield np.where(moving, distance * part * fastest, 0.0)

    def _velocity(self, setpoint: Setpoint, applied: Applied) -> tuple[Float64, list[Reason]]:
        """Rate towards the setpoint that can still be braked in time: at the setpoint, and before the joint limits."""
        limits, reasons = self.limits, []
        distance = setpoint.position - applied.position
        wanted = distance / self._period
        behind = distance - setpoint.velocity * self._period
        velocity = setpoint.velocity + np.sign(behind) * self._stoppable(np.abs(behind))
        if (np.abs(wanted) > limits.velocity + _ROUNDING / self._period).any():
            reasons.append(Reason.VELOCITY)
        velocity = np.clip(velocity, -limits.velocity, limits.velocity)
        to_upper = self._stoppable(np.maximum(limits.upper - applied.position, 0))
        to_lower = self._stoppable(np.maximum(applied.position - limits.lower, 0))
        velocity = np.clip(velocity, -to_lower, to_upper)
        step = limits.acceleration * self._period
        eased = np.clip(velocity, applied.velocity - step, applied.velocity + step)
        if (np.abs(eased - wanted) * self._period > _ROUNDING).any() and Reason.VELOCITY not in reasons:
            reasons.append(Reason.ACCELERATION)
        return eased, reasons

    def _brake(self, applied: Applied) -> Float64:
        return applied.position + self._braked(applied.velocity) * self._period

    def _braked(self, velocity: Float64) -> Float64:
        return np.asarray(np.sign(velocity) * np.maximum(np.abs(velocity) - self.limits.acceleration * self._period, 0))

    def _stoppable(self, distance: Float64) -> Float64:
        """Highest rate [rad/s] that, kept for one tick and then braked tick by tick, ends within the distance [rad].

        Braking from n steps of the rate takes n more ticks, so distance = T ((n + 1) v - step n (n + 1) / 2).
        """
        step = self.limits.acceleration * self._period
        n = np.floor((np.sqrt(1 + 8 * distance / (step * self._period)) - 1) / 2)
        return np.asarray((distance / self._period + step * n * (n + 1) / 2) / (n + 1))

    def _braking(self, position: Float64, velocity: Float64) -> Float64:
        """Postures [N, D] that braking passes through, tick by tick, until rest."""
        steps = np.abs(velocity) / (self.limits.acceleration * self._period)
        ticks = np.arange(1, int(np.ceil(steps.max())) + 1)[:, None]
        rates = np.sign(velocity) * np.maximum(steps - ticks, 0) * self.limits.acceleration * self._period
        return np.asarray(position + np.cumsum(rates, axis=0) * self._period)

    def _leaves_workspace(self, positions: Float64, current: Float64) -> bool:
        """Whether any of the postures [N, D] lies outside the box and not nearer to it than the current one."""
        outside = self._outside(np.vstack([positions, current]))
        return bool(((outside[:-1] > 0) & (outside[:-1] >= outside[-1])).any())

    def _outside(self, positions: Float64) -> Float64:
        """Distance [N] of the tool centre point to the workspace box [m] in postures [N, D]; 0 inside."""
        tools = self._chain.tool_positions(positions)
        nearest = np.clip(tools, self.limits.workspace_lower, self.limits.workspace_upper)
        return np.asarray(np.linalg.norm(tools - nearest, axis=1))

    def _lost_track(self, state: RobotState, applied: Applied) -> bool:
        return bool((np.abs(state.position - applied.position) > self.limits.tracking_error).any())

    @staticmethod
    def _hold_measured(state: RobotState, applied: Applied) -> ArmCommand:
        return ArmCommand(state.position.copy(), np.zeros_like(state.position), applied.gripper)

    def _gripper(self, setpoint: Setpoint | None, applied: Applied) -> float:
        if setpoint is None or not np.isfinite(setpoint.gripper) or not np.isfinite(applied.gripper):
            return applied.gripper
        step = self.limits.gripper_velocity * self._period
        target = np.clip(setpoint.gripper, self.limits.gripper_lower, self.limits.gripper_upper)
        return float(np.clip(target, applied.gripper - step, applied.gripper + step))

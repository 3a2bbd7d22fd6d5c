"""The arm's control loop as a state machine without hardware, clocks or threads: read -> update -> write.

The arm node runs it against a driver, the in-process pipeline against the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from keypoint_core.arms.description import ArmDescription
from keypoint_core.arms.gate import Applied, SafetyGate, Setpoint
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.arms.limits import Reason, SafetyLimits
from keypoint_core.arms.motion import ChunkFollower, HomeMotion
from keypoint_core.errors import ArmError
from keypoint_core.types import SECOND, ActionChunk, ArmCommand, ArmMode, Float64, RobotState

_HOME = "home"  # the controller itself, as a commander
_LONGEST = 60.0  # no chunk reaches farther ahead [s]


@dataclass(frozen=True)
class ControllerSettings:
    """Attributes: home_speed, share of the joint velocity limits; home_tolerance, how near home counts as home [rad]."""

    home_speed: float = 0.5
    home_tolerance: float = 0.02


@dataclass(frozen=True)
class Tick:
    """One turn of the control loop.

    Attributes:
        command: to be written to the driver.
        commanded: [D] what was asked for, NaN when nothing was.
        mode: after this tick.
        commander: whom the arm is engaged to; empty for nobody.
        reasons: why the command differs from what was asked for.
        at_home: the measured position is home.
        new_observation: the command is the first one that derives from its observation.
    """

    command: ArmCommand
    commanded: Float64
    mode: ArmMode
    commander: str
    reasons: tuple[Reason, ...]
    at_home: bool
    new_observation: bool


@dataclass(frozen=True)
class _Pending:
    """A chunk that takes effect at the next tick."""

    chunk: ActionChunk
    commander: str
    exposure: int
    submitted: int

    def join(self, applied: Applied) -> ChunkFollower:
        return ChunkFollower(
            self.chunk, self.commander, self.exposure, self.submitted, applied.position, applied.gripper
        )


class ArmController:
    """Follows one commander through the safety gate; stops latch.

    Args:
        arm: its description.
        limits: for the gate.
        period: control period [s].
        settings: how to go home.
    """

    def __init__(
        self, arm: ArmDescription, limits: SafetyLimits, period: float, settings: ControllerSettings | None = None
    ) -> None:
        self.arm = arm
        self.mode = ArmMode.HOLD
        self.commander = ""
        self.chain = SerialChain(arm)
        self._settings = settings or ControllerSettings()
        self._gate = SafetyGate(self.chain, limits, period)
        self._limits = limits
        self._period = round(period * SECOND)
        self._applied: Applied | None = None
        self._pending: _Pending | None = None
        self._follower: ChunkFollower | None = None
        self._home: HomeMotion | None = None
        self._engaged_at = 0
        self._newest = 0  # exposure of the newest chunk taken in [ns]
        self._refused: Reason | None = None
        self._stop_reasons: tuple[Reason, ...] = ()
        self._last_observation = 0

    def engage(self, commander: str, now: int) -> bool:
        """Follows this commander from now on; False when stopped, going home, or engaged to somebody else."""
        if not commander or self.mode not in (ArmMode.HOLD, ArmMode.FOLLOW) or self.commander not in ("", commander):
            return False
        self.mode, self.commander, self._engaged_at = ArmMode.FOLLOW, commander, now
        self._newest = 0
        self._follower = self._pending = self._refused = None
        self._start_from_measured()
        return True

    def disengage(self) -> None:
        """Ramps to a hold and follows nobody."""
        self.commander = ""
        self._follower = self._pending = self._home = self._refused = None
        if self.mode != ArmMode.STOPPED:
            self.mode = ArmMode.HOLD

    def stop(self, reason: Reason = Reason.STOP_REQUESTED) -> None:
        """Brakes and stays so until released, whatever is commanded."""
        self.disengage()
        self.mode = ArmMode.STOPPED
        if reason not in self._stop_reasons:
            self._stop_reasons = (*self._stop_reasons, reason)

    def reset(self) -> None:
        """Forgets everything, stops too: a simulated arm was put somewhere else."""
        self.disengage()
        self.mode, self._stop_reasons, self._applied = ArmMode.HOLD, (), None

    def release(self) -> None:
        """Ends a stop; the arm holds where it is measured next."""
        if self.mode == ArmMode.STOPPED:
            self.mode, self._stop_reasons = ArmMode.HOLD, ()
            self._start_from_measured()

    def go_home(self) -> bool:
        """Starts towards home; False when stopped or following somebody."""
        if self.mode not in (ArmMode.HOLD, ArmMode.HOME):
            return False
        if self.mode == ArmMode.HOLD:
            self.mode, self._home = ArmMode.HOME, None
        return True

    def submit(self, chunk: ActionChunk, commander: str, exposure: int, now: int) -> Reason | None:
        """Takes in an action chunk.

        A chunk that is malformed or not finite also ends the one before: whoever sends such a thing is not trusted to
        have meant the other. A chunk from somebody else, one that is too old already, and one that was overtaken by a
        newer one change nothing but what is reported.

        Args:
            chunk: the targets.
            commander: who sent it.
            exposure: of its frame, on the gate's clock [ns].
            now: on the gate's clock [ns].

        Returns:
            Why it was refused, or None.
        """
        if self.mode != ArmMode.FOLLOW:
            return Reason.NOT_COMMANDER
        self._refused = self._refusal(chunk, commander, exposure, now)
        if self._refused is None:
            self._pending = _Pending(chunk, commander, exposure, now)
            self._newest = exposure
        elif self._refused not in (Reason.NOT_COMMANDER, Reason.STALE):
            self._follower = self._pending = None
        return self._refused

    def update(self, state: RobotState, now: int) -> Tick:
        """Returns the command for this control tick.

        Args:
            state: newest feedback.
            now: on the gate's clock [ns].

        Raises:
            ArmError: the first feedback is no number, so that there is no position to hold.
        """
        at_home = self._at_home(state)
        if not np.isfinite(state.position).all():
            self.stop(Reason.FEEDBACK_LOST)
            state = self._unmoved(state)
        if self._applied is None:
            self._applied = Applied.at_rest(state)
        setpoint = self._setpoint(self._applied, now, now + self._period)
        commander = _HOME if self.mode == ArmMode.HOME else self.commander
        verdict = self._gate(setpoint, state, self._applied, commander, now)
        if verdict.must_stop:
            self.stop(verdict.reasons[-1])
        reasons = self._reasons(verdict.reasons, now)
        command = replace(verdict.command, mode=self.mode)
        self._applied = Applied(command.position, command.velocity, command.gripper)
        fresh = command.observation not in (0, self._last_observation)
        self._last_observation = command.observation or self._last_observation
        if self.mode == ArmMode.HOME and at_home and self._home is not None and now >= self._home.end_time:
            self.disengage()
        commanded = setpoint.position if setpoint else np.full_like(state.position, np.nan)
        return Tick(command, commanded, self.mode, self.commander, reasons, at_home, fresh)

    def _setpoint(self, applied: Applied, now: int, end: int) -> Setpoint | None:
        """Where the arm should be at the end of this tick."""
        if self.mode == ArmMode.FOLLOW:
            if self._pending is not None:
                self._follower, self._pending = self._pending.join(applied), None
            return self._follower.setpoint(end) if self._follower else None
        if self.mode == ArmMode.HOME:
            if self._home is None:
                self._home = self._plan_home(applied, now)
            return self._home.setpoint(end, _HOME, now)
        return None

    def _plan_home(self, applied: Applied, now: int) -> HomeMotion:
        speed = self._settings.home_speed
        velocity, acceleration = self._limits.velocity * speed, self._limits.acceleration * speed
        return HomeMotion.plan(applied.position, self.arm.home, now, velocity, acceleration, self.arm.gripper_home)

    def _reasons(self, gate: tuple[Reason, ...], now: int) -> tuple[Reason, ...]:
        if self.mode == ArmMode.STOPPED:
            return self._stop_reasons
        if self.mode == ArmMode.FOLLOW and self._follower is None and not self._refused:
            return (Reason.STALE,) if now - self._engaged_at > self._limits.max_age * SECOND else ()
        refused = (self._refused,) if self._refused else ()
        return (*refused, *(reason for reason in gate if reason not in refused))

    def _refusal(self, chunk: ActionChunk, commander: str, exposure: int, now: int) -> Reason | None:
        if commander != self.commander:
            return Reason.NOT_COMMANDER
        shape = chunk.positions.shape
        if len(shape) != 2 or shape[0] == 0 or shape[1] != len(self.arm.joints) or chunk.gripper.shape != shape[:1]:
            return Reason.WRONG_SHAPE
        if not 0 < chunk.dt * len(chunk.positions) <= _LONGEST:
            return Reason.WRONG_SHAPE
        if not np.isfinite(chunk.positions).all() or np.isinf(chunk.gripper).any():
            return Reason.NON_FINITE
        fresh = 0 <= now - exposure <= self._limits.max_age * SECOND and exposure >= self._newest
        return None if fresh else Reason.STALE

    def _at_home(self, state: RobotState) -> bool:
        return bool((np.abs(state.position - self.arm.home) <= self._settings.home_tolerance).all())

    def _start_from_measured(self) -> None:
        """An arm at rest goes on from where it is measured next, not from where it was once sent."""
        if self._applied is not None and not self._applied.velocity.any():
            self._applied = None

    def _unmoved(self, state: RobotState) -> RobotState:
        """The state of an arm that is where it was sent, in place of feedback that is no number."""
        if self._applied is None:
            raise ArmError(f"the first feedback of the arm must be finite, got positions {state.position.tolist()}")
        return replace(state, position=self._applied.position, gripper=self._applied.gripper)

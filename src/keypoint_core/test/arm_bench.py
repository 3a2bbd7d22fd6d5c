"""A controller with a simulated arm, for the tests of the control loop's state machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keypoint_core.arms.controller import ArmController, ControllerSettings, Tick
from keypoint_core.arms.description import load_arm
from keypoint_core.arms.limits import Reason, SafetyLimits
from keypoint_core.types import SECOND, ActionChunk, ArmMode, RobotState

ARM = load_arm("hebi_chopsticks")
BOX = (-0.10, -0.45, -0.235, 0.75, 0.45, 0.60)
PERIOD = 0.01
TICK = 10_000_000
START = 50 * SECOND
MAX_AGE = 0.3
DT = 1 / 15
ATOL = 1e-9


def make_limits() -> SafetyLimits:
    return SafetyLimits.of_arm(ARM, BOX, MAX_AGE, tracking_error=0.25)


def chunk_to(target: np.ndarray, stamp: int = 1, gripper: float = -0.5, horizon: int = 8, dt: float = DT):
    """Straight to a posture, and on it until the end."""
    return ActionChunk(stamp, dt, np.tile(target, (horizon, 1)), np.full(horizon, gripper))


class Bench:
    """A controller with an arm that lags a little behind; every tick is checked against the limits.

    `jumps` is set where the applied position may jump: when the arm starts anew from where it is measured.
    """

    def __init__(self, start: np.ndarray | None = None, lag: float = 0.5, **settings_: float) -> None:
        self.limits = make_limits()
        self.controller = ArmController(ARM, self.limits, PERIOD, ControllerSettings(**settings_))
        self.measured = (ARM.home if start is None else start).copy()
        self.gripper, self.lag, self.now = -0.4, lag, START
        self.last: Tick | None = None
        self.jumps = True

    def state(self, **changes: object) -> RobotState:
        state = RobotState(self.now, self.measured.copy(), np.zeros(6), np.zeros(6), self.gripper)
        return replace(state, **changes)  # type: ignore[arg-type]

    def submit(self, chunk: ActionChunk, commander: str = "me", age: int = 0) -> Reason | None:
        return self.controller.submit(chunk, commander, self.now - age, self.now)

    def engage(self, commander: str = "me") -> bool:
        self.jumps |= self.at_rest
        return self.controller.engage(commander, self.now)

    def release(self) -> None:
        self.jumps |= self.at_rest
        self.controller.release()

    @property
    def at_rest(self) -> bool:
        return self.last is None or not self.last.command.velocity.any()

    def tick(self, state: RobotState | None = None) -> Tick:
        tick = self.controller.update(state or self.state(), self.now)
        self._check(tick)
        self.last, self.jumps = tick, False
        self.measured += (1 - self.lag) * (tick.command.position - self.measured)
        self.gripper += float(np.nan_to_num(tick.command.gripper - self.gripper))
        self.now += TICK
        return tick

    def run(self, ticks: int) -> Tick:
        for _ in range(ticks):
            tick = self.tick()
        return tick

    def _check(self, tick: Tick) -> None:
        command, limits = tick.command, self.limits
        assert np.isfinite(command.position).all() and np.isfinite(command.velocity).all()
        assert np.isnan(command.gripper) or limits.gripper_lower <= command.gripper <= limits.gripper_upper
        assert (np.abs(command.velocity) <= limits.velocity + ATOL).all()
        assert (command.position >= limits.lower - ATOL).all() and (command.position <= limits.upper + ATOL).all()
        tool = self.controller.chain.tool_position(command.position)
        assert (tool >= limits.workspace_lower - ATOL).all() and (tool <= limits.workspace_upper + ATOL).all()
        if tick.mode in (ArmMode.HOLD, ArmMode.STOPPED) and command.mode == tick.mode:
            assert command.observation == 0
        if self.last is None or self.jumps or Reason.TRACKING_ERROR in tick.reasons:
            return
        before = self.last.command
        np.testing.assert_allclose(command.position - before.position, command.velocity * PERIOD, atol=ATOL)
        assert (np.abs(command.velocity - before.velocity) <= limits.acceleration * PERIOD + ATOL).all()

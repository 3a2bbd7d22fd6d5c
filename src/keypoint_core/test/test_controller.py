"""The control loop's state machine, fed with streams of chunks and events from which no arm may be hurt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypoint_core.arms.controller import ArmController, ControllerSettings, Tick
from keypoint_core.arms.description import load_arm
from keypoint_core.arms.limits import Reason, SafetyLimits
from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.errors import ArmError, InputError
from keypoint_core.types import SECOND, ActionChunk, ArmMode, RobotState

ARM = load_arm("hebi_chopsticks")
BOX = (-0.10, -0.45, -0.235, 0.75, 0.45, 0.60)
PERIOD = 0.01
TICK = 10_000_000
START = 50 * SECOND
MAX_AGE = 0.3
DT = 1 / 15
ATOL = 1e-9
SLACK = 100_000_000  # within which a hold has to follow its cause [ns]


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


def random_chunk(rng: np.random.Generator, bench: Bench) -> ActionChunk:
    """Now and then a sane one; else ragged, not finite, out of range, far, or absurdly timed."""
    horizon = int(rng.integers(1, 10))
    positions = bench.measured + rng.normal(0, rng.choice([0.01, 0.1, 1.0]), (horizon, 6))
    gripper = rng.uniform(-1, 0.5, horizon)
    dt = float(rng.choice([DT, DT, DT, 0.001, 1.0, 0.0, -1.0, np.nan, np.inf, 1e300, 1e-300]))
    kind = rng.integers(10)
    if kind == 0:
        positions[rng.integers(horizon), rng.integers(6)] = rng.choice([np.nan, np.inf, -np.inf, 1e308, -1e308])
    elif kind == 1:
        gripper[rng.integers(horizon)] = rng.choice([np.nan, np.inf])
    elif kind == 2:
        positions = positions[:, : rng.integers(6)]
    elif kind == 3:
        gripper = gripper[:-1]
    elif kind == 4:
        return ActionChunk.empty(1)
    return ActionChunk(int(rng.integers(1, 1000)), dt, positions, gripper)


def random_event(rng: np.random.Generator, bench: Bench) -> None:
    kind = int(rng.integers(40))
    events: dict[int, Callable[[], object]] = {
        0: bench.controller.stop,
        1: bench.controller.disengage,
        2: lambda: bench.engage("other"),
        3: bench.controller.go_home,
    }
    if kind in (0, 1, 2, 3):
        events[kind]()
    elif kind in (4, 5, 6):
        bench.release()
        bench.engage()
    elif kind < 25:
        age = int(rng.choice([0, 50_000_000, 299_000_000, 301_000_000, SECOND, -1, -SECOND]))
        bench.submit(random_chunk(rng, bench), str(rng.choice(["me", "me", "me", "other", ""])), age)


@pytest.mark.filterwarnings("ignore:overflow encountered")  # targets of 1e308 rad
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_whatever_comes_limits_hold_at_every_tick(seed: int) -> None:
    bench = Bench()
    rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
    bench.engage()
    for _ in range(400):
        random_event(rng, bench)
        bench.tick()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_stop_latches_through_everything_until_released(seed: int) -> None:
    bench = Bench()
    rng = np.random.default_rng(np.random.SeedSequence([seed, 4]))
    bench.engage()
    bench.submit(chunk_to(ARM.home + 0.3))
    bench.run(int(rng.integers(1, 20)))
    bench.controller.stop()
    for i in range(60):
        bench.engage(str(rng.choice(["me", "other"])))
        bench.controller.go_home()
        if rng.random() < 0.2:
            bench.controller.disengage()
        bench.submit(random_chunk(rng, bench))
        tick = bench.tick()
        assert tick.mode == ArmMode.STOPPED and tick.command.mode == ArmMode.STOPPED
        assert tick.reasons == (Reason.STOP_REQUESTED,) and tick.commander == ""
        if i > 20:
            assert not tick.command.velocity.any()
    bench.release()
    assert bench.tick().mode == ArmMode.HOLD


class TestFollowing:
    def test_a_chunk_is_followed_to_its_targets_in_time(self) -> None:
        bench = Bench()
        bench.engage()
        way = np.linspace(0, 0.1, 9)[1:, None]
        bench.submit(ActionChunk(77, DT, ARM.home + way, np.full(8, -0.3)))
        began = bench.now
        while bench.now < began + round(0.25 * SECOND):
            tick = bench.tick()
        np.testing.assert_allclose(tick.command.position, ARM.home + 0.25 / (8 * DT) * 0.1, atol=0.003)
        assert tick.command.observation == 77 and tick.commander == "me" and tick.mode == ArmMode.FOLLOW

    def test_a_healthy_stream_gives_no_reasons(self) -> None:
        bench = Bench()
        bench.engage()
        bench.tick()
        target, reasons = ARM.home.copy(), []
        for frame in range(30):
            way = 0.02 * np.arange(1, 9)[:, None] * np.array([1, 0, 0, -1, 0, 0.5])
            exposure = bench.now
            bench.controller.submit(ActionChunk(exposure, DT, target + way, np.full(8, -0.4)), "me", exposure, exposure)
            for _ in range(7 if frame % 3 else 6):
                reasons.append(bench.tick().reasons)
            target = bench.last.command.position  # type: ignore[union-attr]
        assert sum(map(bool, reasons[20:])) <= 0.1 * len(reasons)

    def test_targets_whose_time_has_passed_are_skipped(self) -> None:
        late, prompt = Bench(), Bench()
        way = ARM.home + 0.01 * np.arange(1, 9)[:, None]
        for bench, delay in ((prompt, 0), (late, 200_000_000)):
            bench.engage()
            bench.submit(ActionChunk(1, DT, way, np.full(8, -0.4)), age=delay)
            bench.run(8)
        assert late.last.command.position[0] > prompt.last.command.position[0]  # type: ignore[union-attr]

    def test_the_first_command_of_an_observation_is_marked_once(self) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home, stamp=5))
        assert [bench.tick().new_observation for _ in range(3)] == [True, False, False]
        bench.submit(chunk_to(ARM.home, stamp=6))
        assert [bench.tick().new_observation for _ in range(2)] == [True, False]

    def test_nobody_is_obeyed_who_is_not_engaged(self) -> None:
        bench = Bench()
        assert bench.submit(chunk_to(ARM.home + 0.1)) == Reason.NOT_COMMANDER
        assert bench.submit(chunk_to(ARM.home + 0.1), "") == Reason.NOT_COMMANDER
        tick = bench.run(10)
        assert tick.mode == ArmMode.HOLD and np.array_equal(tick.command.position, ARM.home)
        assert tick.reasons == ()

    def test_a_second_commander_is_refused_and_the_first_one_followed_on(self) -> None:
        bench = Bench()
        bench.engage()
        assert not bench.engage("other")
        bench.submit(chunk_to(ARM.home + 0.05, stamp=5))
        assert bench.submit(chunk_to(ARM.home - 0.05, stamp=6), "other") == Reason.NOT_COMMANDER
        tick = bench.tick()
        assert tick.reasons[0] == Reason.NOT_COMMANDER and tick.command.observation == 5
        assert (bench.run(15).command.position > ARM.home).all()

    def test_nobody_can_engage_without_a_name(self) -> None:
        assert not Bench().engage("")

    def test_after_disengaging_another_may_engage(self) -> None:
        bench = Bench()
        bench.engage()
        bench.controller.disengage()
        assert bench.engage("other")

    def test_engaging_starts_from_the_measured_posture(self) -> None:
        bench = Bench()
        bench.run(3)
        bench.measured = ARM.home + 0.04  # sags while it holds
        assert np.array_equal(bench.tick().command.position, ARM.home)
        bench.measured = ARM.home + 0.04
        bench.engage()
        assert np.array_equal(bench.tick().command.position, ARM.home + 0.04)

    def test_engaging_while_in_motion_brakes_smoothly(self) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home + 0.3))
        bench.run(12)
        bench.engage()
        assert bench.run(30).command.velocity.any() == np.False_

    def test_engaging_again_forgets_the_old_chunk(self) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home + 0.3))
        bench.engage()
        assert np.array_equal(bench.run(5).command.position, ARM.home)

    def test_a_chunk_overtaken_by_a_newer_one_changes_nothing(self) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home + 0.05, stamp=9), age=50_000_000)
        bench.tick()
        assert bench.submit(chunk_to(ARM.home - 0.05, stamp=8), age=150_000_000) == Reason.STALE
        assert bench.tick().command.observation == 9
        assert (bench.run(10).command.position > ARM.home).all()

    @pytest.mark.parametrize("age", [301_000_000, -1])
    def test_a_chunk_that_comes_too_late_or_from_the_future_does_not_end_a_good_one(self, age: int) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home + 0.05, stamp=9))
        assert bench.submit(chunk_to(ARM.home - 0.05, stamp=8), age=age) == Reason.STALE
        tick = bench.tick()
        assert tick.command.observation == 9 and Reason.STALE in tick.reasons
        bench.submit(chunk_to(ARM.home + 0.05, stamp=10))
        assert Reason.STALE not in bench.tick().reasons

    def test_out_of_range_targets_end_at_the_limit_with_the_reason(self) -> None:
        bench = Bench()
        bench.engage()
        far = ARM.home.copy()
        far[5] = ARM.upper[5] + 1.0
        for _ in range(120):
            bench.submit(chunk_to(far, stamp=bench.now))
            tick = bench.tick()
        assert Reason.JOINT_LIMIT in tick.reasons and bench.at_rest
        assert ARM.upper[5] - 0.05 < tick.command.position[5] <= ARM.upper[5]


class TestHolding:
    """Every way a stream can end ends in a hold, in time."""

    def moving(self) -> Bench:
        bench = Bench()
        bench.engage()
        for _ in range(3):
            bench.submit(chunk_to(ARM.home + np.array([0.5, -0.3, 0, 0, 0.3, 0.5]), stamp=bench.now, dt=0.3))
            bench.run(7)
        assert np.abs(bench.last.command.velocity).max() > 0.3  # type: ignore[union-attr]
        return bench

    def ticks_to_rest(self, bench: Bench, reason: Reason) -> int:
        ticks = 0
        while not bench.at_rest or reason not in bench.last.reasons:  # type: ignore[union-attr]
            bench.tick()
            ticks += 1
            assert ticks < 1000
        return ticks

    def braking_time(self) -> int:
        return round(float((ARM.velocity / ARM.acceleration).max()) * SECOND) + TICK

    def test_a_stream_that_ends_holds_within_the_age_limit_and_the_braking_time(self) -> None:
        bench = self.moving()
        exposure = bench.now - 7 * TICK
        self.ticks_to_rest(bench, Reason.STALE)
        limit = exposure + round(MAX_AGE * SECOND)
        assert bench.now <= limit + max(SLACK, self.braking_time()) + TICK
        position = bench.last.command.position  # type: ignore[union-attr]
        assert np.array_equal(bench.run(300).command.position, position), "a hold must not drift"
        assert bench.last.reasons == (Reason.STALE,)  # type: ignore[union-attr]
        assert bench.last.mode == ArmMode.FOLLOW  # type: ignore[union-attr]

    def test_braking_begins_at_the_tick_after_the_age_limit(self) -> None:
        bench = self.moving()
        exposure = bench.now - 7 * TICK
        while bench.now - exposure <= MAX_AGE * SECOND:
            assert Reason.STALE not in bench.tick().reasons
        assert Reason.STALE in bench.tick().reasons

    def test_a_commander_that_never_speaks_is_reported(self) -> None:
        bench = Bench()
        bench.engage()
        assert bench.tick().reasons == ()
        bench.run(round(MAX_AGE / PERIOD))
        assert bench.tick().reasons == (Reason.STALE,)

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            (chunk_to(np.full(6, np.nan)), Reason.NON_FINITE),
            (chunk_to(ARM.home, gripper=np.inf), Reason.NON_FINITE),
            (chunk_to(ARM.home[:5]), Reason.WRONG_SHAPE),
            (chunk_to(ARM.home, dt=0.0), Reason.WRONG_SHAPE),
            (chunk_to(ARM.home, dt=float("nan")), Reason.WRONG_SHAPE),
            (chunk_to(ARM.home, dt=1e300), Reason.WRONG_SHAPE),
            (ActionChunk(1, DT, ARM.home, np.zeros(6)), Reason.WRONG_SHAPE),
            (ActionChunk(1, DT, np.tile(ARM.home, (3, 1)), np.zeros(2)), Reason.WRONG_SHAPE),
            (ActionChunk.empty(1), Reason.WRONG_SHAPE),
        ],
    )
    def test_a_bad_chunk_brakes_at_once_and_says_why(self, bad: ActionChunk, reason: Reason) -> None:
        bench = self.moving()
        began = bench.now
        assert bench.submit(bad) == reason
        speed = np.abs(bench.last.command.velocity)  # type: ignore[union-attr]
        tick = bench.tick()
        assert tick.reasons == (reason,) and (np.abs(tick.command.velocity) <= speed).all()
        self.ticks_to_rest(bench, reason)
        assert bench.now - began <= max(SLACK, self.braking_time()) + TICK
        bench.submit(chunk_to(ARM.home, stamp=bench.now))
        assert reason not in bench.tick().reasons, "the next good chunk is followed again"
        assert bench.last.command.observation  # type: ignore[union-attr]

    def test_one_nan_in_the_last_target_is_enough(self) -> None:
        bench = Bench()
        bench.engage()
        chunk = chunk_to(ARM.home)
        chunk.positions[-1, 3] = np.nan
        assert bench.submit(chunk) == Reason.NON_FINITE

    def test_a_gripper_without_a_target_is_left(self) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home, gripper=np.nan))
        assert bench.run(5).command.gripper == -0.4

    @pytest.mark.parametrize("action", ["stop", "disengage"])
    def test_stop_and_disengage_brake_at_the_acceleration_limit(self, action: str) -> None:
        bench = self.moving()
        getattr(bench.controller, action)()
        speed = np.abs(bench.last.command.velocity)  # type: ignore[union-attr]
        expected = np.maximum(speed - ARM.acceleration * PERIOD, 0)
        np.testing.assert_allclose(np.abs(bench.tick().command.velocity), expected)
        assert bench.last.mode == (ArmMode.STOPPED if action == "stop" else ArmMode.HOLD)  # type: ignore[union-attr]
        bench.run(20)
        assert bench.at_rest

    def test_releasing_in_motion_goes_on_braking(self) -> None:
        bench = self.moving()
        bench.controller.stop()
        bench.tick()
        bench.release()
        assert bench.tick().mode == ArmMode.HOLD
        bench.run(20)
        assert bench.at_rest

    def test_release_holds_where_the_arm_is_measured(self) -> None:
        bench = self.moving()
        bench.controller.stop()
        bench.run(60)
        bench.measured = bench.measured + 0.1
        bench.release()
        here = bench.measured.copy()
        assert np.array_equal(bench.tick().command.position, here)

    def test_release_does_nothing_to_an_arm_that_is_not_stopped(self) -> None:
        bench = self.moving()
        bench.controller.release()
        assert bench.tick().mode == ArmMode.FOLLOW


class TestFeedback:
    def test_a_tracking_error_latches(self) -> None:
        bench = Bench()
        bench.engage()
        bench.tick()
        bench.measured[2] += 0.3
        held = bench.measured.copy()
        tick = bench.tick()
        assert tick.mode == ArmMode.STOPPED and tick.reasons == (Reason.TRACKING_ERROR,)
        assert np.array_equal(tick.command.position, held) and not tick.command.velocity.any()
        assert not bench.engage()
        assert bench.run(50).reasons == (Reason.TRACKING_ERROR,)
        bench.release()
        assert bench.engage() and bench.tick().mode == ArmMode.FOLLOW

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_feedback_that_is_no_number_stops_smoothly(self, value: float) -> None:
        bench = TestHolding().moving()
        broken = bench.measured.copy()
        broken[4] = value
        tick = bench.tick(bench.state(position=broken))
        assert tick.mode == ArmMode.STOPPED and tick.reasons == (Reason.FEEDBACK_LOST,) and not tick.at_home
        for _ in range(20):
            bench.tick(bench.state(position=broken))
        assert bench.at_rest
        assert bench.tick().mode == ArmMode.STOPPED, "it stays stopped when feedback is back"

    def test_without_any_finite_feedback_nothing_is_commanded(self) -> None:
        bench = Bench()
        with pytest.raises(ArmError, match="finite"):
            bench.controller.update(bench.state(position=np.full(6, np.nan)), bench.now)
        assert bench.controller.mode == ArmMode.STOPPED

    def test_both_reasons_of_two_stops_are_told(self) -> None:
        bench = Bench()
        bench.controller.stop()
        bench.controller.stop(Reason.FEEDBACK_LOST)
        bench.controller.stop()
        assert bench.tick().reasons == (Reason.STOP_REQUESTED, Reason.FEEDBACK_LOST)
        bench.release()
        bench.controller.stop()
        assert bench.tick().reasons == (Reason.STOP_REQUESTED,), "a release ends the reasons too"


class TestHome:
    @pytest.mark.parametrize("speed", [0.1, 0.5, 1.0])
    def test_home_ends_exactly_home(self, speed: float) -> None:
        bench = Bench(start=ARM.home + np.array([0.3, 0.1, -0.2, 0.2, 0.1, -0.4]), home_speed=speed)
        assert bench.controller.go_home()
        ticks, reasons, peak = 0, set(), np.zeros(6)
        while bench.controller.mode == ArmMode.HOME:
            tick = bench.tick()
            reasons |= set(tick.reasons)
            peak = np.maximum(peak, np.abs(tick.command.velocity))
            ticks += 1
            assert ticks < 1500
        np.testing.assert_allclose(tick.command.position, ARM.home, atol=1e-9)
        assert tick.at_home and tick.mode == ArmMode.HOLD
        assert reasons <= {Reason.ACCELERATION}
        assert (peak <= speed * ARM.velocity + 1e-3).all()
        assert bench.run(10).command.position == pytest.approx(ARM.home)
        assert bench.gripper == pytest.approx(ARM.gripper_home)

    def test_home_is_not_over_before_the_arm_is_there(self) -> None:
        bench = Bench(start=ARM.home + 0.1, lag=0.97)
        bench.controller.go_home()
        while bench.controller.mode == ArmMode.HOME:
            tick = bench.tick()
        assert np.abs(bench.measured - ARM.home).max() <= 0.02 and tick.at_home

    def test_home_is_refused_when_stopped_or_following(self) -> None:
        bench = Bench()
        bench.engage()
        assert not bench.controller.go_home()
        bench.controller.stop()
        assert not bench.controller.go_home()

    def test_on_the_way_home_nobody_engages_and_no_chunk_counts(self) -> None:
        bench = Bench(start=ARM.home + 0.2)
        bench.controller.go_home()
        bench.tick()
        assert not bench.engage()
        assert bench.submit(chunk_to(ARM.home + 0.3)) == Reason.NOT_COMMANDER
        assert bench.controller.go_home(), "asked twice, it goes on"
        bench.run(400)
        np.testing.assert_allclose(bench.last.command.position, ARM.home, atol=1e-9)  # type: ignore[union-attr]

    def test_asking_again_and_again_does_not_hold_it_up(self) -> None:
        bench = Bench(start=ARM.home + 0.2)
        for _ in range(200):
            bench.controller.go_home()
            bench.tick()
        np.testing.assert_allclose(bench.last.command.position, ARM.home, atol=1e-9)  # type: ignore[union-attr]

    def test_at_home_is_about_the_measured_posture(self) -> None:
        assert Bench().tick().at_home
        assert not Bench(start=ARM.home + 0.021).tick().at_home
        assert Bench(start=ARM.home + 0.019).tick().at_home


class TestParameters:
    def test_the_defaults_make_a_controller(self) -> None:
        assert isinstance(make_controller(ARM, ArmParameters()), ArmController)

    def test_a_short_workspace_is_refused(self) -> None:
        with pytest.raises(InputError, match="6 numbers"):
            make_controller(ARM, ArmParameters(workspace=(0.0, 1.0)))

    def test_limits_reach_the_gate(self) -> None:
        controller = make_controller(ARM, ArmParameters(max_age=0.1, control_rate=50.0, home_speed=0.25))
        controller.engage("me", START)
        assert controller.submit(chunk_to(ARM.home), "me", START - 101_000_000, START) == Reason.STALE
        assert controller.submit(chunk_to(ARM.home), "me", START - 99_000_000, START) is None

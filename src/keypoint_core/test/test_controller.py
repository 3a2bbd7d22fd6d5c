"""The control loop's state machine, fed with streams of chunks and events from which no arm may be hurt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from arm_bench import ARM, DT, Bench, chunk_to

from keypoint_core.arms.limits import Reason
from keypoint_core.types import SECOND, ActionChunk, ArmMode


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

    def test_a_clock_that_was_set_back_counts_from_the_next_engagement(self) -> None:
        bench = Bench()
        bench.engage()
        bench.submit(chunk_to(ARM.home))
        bench.controller.disengage()
        bench.now -= 10 * SECOND
        bench.engage()
        assert bench.submit(chunk_to(ARM.home)) is None

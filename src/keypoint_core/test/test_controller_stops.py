"""Every way in which an arm comes to rest: holds, stops, lost feedback, and home."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from arm_bench import ARM, DT, MAX_AGE, PERIOD, START, TICK, Bench, chunk_to

from keypoint_core.arms.controller import ArmController
from keypoint_core.arms.limits import Reason
from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.errors import ArmError, InputError
from keypoint_core.types import SECOND, ActionChunk, ArmMode

SLACK = 100_000_000  # within which a hold has to follow its cause [ns]


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

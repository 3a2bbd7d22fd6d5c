"""Where the arm should be: along a chunk, and on the way home."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypoint_core.arms.motion import ChunkFollower, HomeMotion
from keypoint_core.types import SECOND, ActionChunk

EXPOSURE = 7 * SECOND
DT = 66_666_667  # of 1/15 s [ns]
WAY = np.array([[1.0, -1.0], [2.0, -2.0], [4.0, -2.0]])


def follower(joined: int = 0, position: tuple[float, float] = (0.0, 0.0)) -> ChunkFollower:
    chunk = ActionChunk(3, 1 / 15, WAY, np.array([0.1, 0.2, 0.3]))
    return ChunkFollower(chunk, "me", EXPOSURE, EXPOSURE + joined, np.array(position), 0.0)


def test_targets_are_met_at_their_times_bit_for_bit() -> None:
    for row in range(3):
        np.testing.assert_array_equal(follower().setpoint(EXPOSURE + (row + 1) * DT).position, WAY[row])


def test_between_targets_the_setpoint_is_linear_and_knows_its_rate() -> None:
    setpoint = follower().setpoint(EXPOSURE + DT + DT // 2)
    np.testing.assert_allclose(setpoint.position, [1.5, -1.5], atol=1e-7)
    np.testing.assert_allclose(setpoint.velocity, np.array([1, -1]) * SECOND / DT)


def test_it_begins_where_the_arm_is_when_the_chunk_takes_effect() -> None:
    follow = follower(joined=DT + 10_000_000, position=(5.0, 5.0))
    np.testing.assert_array_equal(follow.setpoint(EXPOSURE + DT + 10_000_000).position, [5.0, 5.0])
    np.testing.assert_array_equal(follow.setpoint(EXPOSURE + 2 * DT).position, WAY[1])


def test_a_target_due_right_now_is_past() -> None:
    follow = follower(joined=DT, position=(5.0, 5.0))
    np.testing.assert_array_equal(follow.setpoint(EXPOSURE + DT).position, [5.0, 5.0])


@pytest.mark.parametrize("since", [3 * DT, 3 * DT + 1, 100 * DT])
def test_after_the_last_target_it_rests_there(since: int) -> None:
    setpoint = follower().setpoint(EXPOSURE + since)
    np.testing.assert_array_equal(setpoint.position, WAY[-1])
    assert not setpoint.velocity.any() and setpoint.gripper == 0.3


def test_a_chunk_that_is_over_when_it_comes_holds() -> None:
    setpoint = follower(joined=4 * DT, position=(5.0, 5.0)).setpoint(EXPOSURE + 5 * DT)
    np.testing.assert_array_equal(setpoint.position, [5.0, 5.0])
    assert not setpoint.velocity.any() and setpoint.gripper == 0.0


def test_the_gripper_goes_to_the_target_that_is_due_next() -> None:
    assert [follower().setpoint(EXPOSURE + t).gripper for t in (0, DT - 1, DT, 2 * DT)] == [0.1, 0.1, 0.2, 0.3]


def test_setpoints_carry_commander_exposure_and_stamp_unchanged() -> None:
    setpoint = follower().setpoint(EXPOSURE + 5)
    assert (setpoint.commander, setpoint.exposure, setpoint.observation) == ("me", EXPOSURE, 3)


postures = st.lists(st.floats(-3, 3), min_size=6, max_size=6).map(np.array)


@given(start=postures, end=postures)
def test_the_way_home_keeps_its_limits_and_ends_there(start: np.ndarray, end: np.ndarray) -> None:
    velocity, acceleration = np.full(6, 0.7), np.full(6, 3.0)
    motion = HomeMotion.plan(start, end, EXPOSURE, velocity, acceleration, -0.3)
    times = EXPOSURE + np.linspace(0, motion.duration * SECOND, 400).astype(np.int64)
    setpoints = [motion.setpoint(int(when), "home", 1) for when in times]
    way, rates = np.array([s.position for s in setpoints]), np.array([s.velocity for s in setpoints])
    step = motion.duration / 399
    assert (np.abs(rates) <= velocity + 1e-9).all()
    assert (np.abs(np.diff(rates, axis=0)) / step <= acceleration * 1.001 + 1e-6).all()
    np.testing.assert_allclose(np.diff(way, axis=0) / step, (rates[1:] + rates[:-1]) / 2, atol=2e-3)
    np.testing.assert_array_equal(way[0], start)
    np.testing.assert_allclose(motion.setpoint(motion.end_time, "home", 1).position, end, atol=1e-12)
    assert (way >= np.minimum(start, end) - 1e-9).all() and (way <= np.maximum(start, end) + 1e-9).all()


def test_the_way_home_is_as_quick_as_one_limit_allows() -> None:
    start, end, ones = np.zeros(6), np.full(6, 2.0), np.ones(6)
    times = np.linspace(0, 1, 2001)
    for velocity, acceleration in ((0.5, 100.0), (100.0, 1.0)):
        motion = HomeMotion.plan(start, end, 0, velocity * ones, acceleration * ones, 0.0)
        rates = [motion.setpoint(round(t * motion.duration * SECOND), "home", 0).velocity[0] for t in times]
        peak = np.abs(np.gradient(rates, motion.duration / 2000)).max()
        assert max(rates) == pytest.approx(velocity, rel=1e-3) or peak == pytest.approx(acceleration, rel=1e-2)


def test_at_home_already_it_is_short_and_still() -> None:
    motion = HomeMotion.plan(np.ones(6), np.ones(6), 0, np.ones(6), np.ones(6), 0.0)
    assert motion.duration == 0.1
    assert not motion.setpoint(50_000_000, "home", 0).velocity.any()


def test_outside_its_time_it_rests_at_its_ends() -> None:
    motion = HomeMotion.plan(np.zeros(6), np.ones(6), EXPOSURE, np.ones(6), np.ones(6), 0.0)
    for when, posture in ((0, 0.0), (motion.end_time + SECOND, 1.0)):
        setpoint = motion.setpoint(when, "home", 9)
        assert (setpoint.position == posture).all() and not setpoint.velocity.any() and setpoint.exposure == 9

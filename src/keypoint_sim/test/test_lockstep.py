"""When simulated time may go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypoint_core.types import ArmMode
from keypoint_sim.lockstep import NEVER, Lockstep, Phase

HOLD, FOLLOW, HOME, STOPPED = ArmMode.HOLD, ArmMode.FOLLOW, ArmMode.HOME, ArmMode.STOPPED


def ready(latency: int = 0) -> Lockstep:
    """Put up, its first frame exposed at 100."""
    rule = Lockstep(latency)
    rule.reset()
    rule.exposed(100)
    return rule


def running() -> Lockstep:
    rule = ready()
    assert rule.may_advance(FOLLOW, 100)
    rule.ticked(over=False)
    return rule


@pytest.mark.parametrize("mode", list(ArmMode))
def test_before_a_scene_is_put_up_any_command_will_do(mode: ArmMode) -> None:
    rule = Lockstep()
    rule.exposed(100)
    assert rule.awaits == 0 and rule.may_advance(mode, 0) and rule.phase == Phase.FREE


@pytest.mark.parametrize("mode", [HOLD, STOPPED])
def test_a_scene_stands_still_until_the_arm_follows(mode: ArmMode) -> None:
    rule = ready()
    assert rule.awaits == 100
    assert not rule.may_advance(mode, 0) and not rule.may_advance(mode, 100) and rule.phase == Phase.READY


def test_it_begins_with_the_command_from_its_first_frame() -> None:
    rule = ready()
    assert not rule.may_advance(FOLLOW, 0) and not rule.may_advance(FOLLOW, 99)
    assert rule.phase == Phase.READY
    assert rule.may_advance(FOLLOW, 100) and rule.phase == Phase.RUNNING


def test_going_home_frees_a_scene_that_waits() -> None:
    rule = ready()
    assert rule.may_advance(HOME, 0) and rule.phase == Phase.FREE and rule.awaits == 0


def test_between_frames_any_command_of_the_follower_will_do() -> None:
    rule = running()
    assert rule.awaits == 0 and rule.may_advance(FOLLOW, 100) and rule.may_advance(FOLLOW, 0)


def test_a_frame_is_passed_only_with_its_own_command() -> None:
    rule = running()
    rule.exposed(200)
    assert rule.awaits == 200
    assert not rule.may_advance(FOLLOW, 100) and not rule.may_advance(FOLLOW, 0) and not rule.may_advance(FOLLOW, 300)
    assert rule.may_advance(FOLLOW, 200)
    rule.ticked(over=False)
    assert rule.awaits == 0


@pytest.mark.parametrize("mode", [HOLD, HOME, STOPPED])
def test_time_goes_on_freely_when_the_arm_lets_go(mode: ArmMode) -> None:
    rule = running()
    rule.exposed(200)
    assert rule.may_advance(mode, 0) and rule.phase == Phase.FREE
    assert rule.awaits == 0 and rule.may_advance(FOLLOW, 0)


def test_it_stands_still_once_the_outcome_is_known_until_the_arm_lets_go() -> None:
    rule = running()
    rule.ticked(over=True)
    rule.exposed(200)
    assert rule.phase == Phase.OVER and rule.awaits == NEVER
    assert not rule.may_advance(FOLLOW, 200) and not rule.may_advance(FOLLOW, 0)
    assert rule.may_advance(HOLD, 0) and rule.phase == Phase.FREE


def test_an_outcome_counts_only_while_it_runs() -> None:
    rule = Lockstep()
    rule.ticked(over=True)
    assert rule.phase == Phase.FREE


def test_a_new_scene_forgets_the_frames_of_the_old_one() -> None:
    rule = running()
    rule.exposed(200)
    rule.reset()
    assert rule.phase == Phase.READY and rule.awaits == 0
    rule.exposed(300)
    assert rule.awaits == 300


@given(latency=st.integers(0, 6), frames=st.integers(1, 20))
def test_an_imposed_latency_awaits_the_frame_that_many_before(latency: int, frames: int) -> None:
    rule = Lockstep(latency)
    rule.reset()
    for index in range(frames):
        rule.exposed(100 * (index + 1))
        due = 100 * (index + 1 - latency) if index >= latency else 0
        assert rule.awaits == due
        assert rule.may_advance(FOLLOW, due)
        if due:
            rule.phase = Phase.RUNNING
            assert not rule.may_advance(FOLLOW, due + 100)
        rule.ticked(over=False)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(list(ArmMode)), st.sampled_from([0, 100, 200]), st.booleans(), st.booleans()),
        max_size=40,
    )
)
def test_whatever_comes_it_never_passes_an_awaited_frame_while_followed(
    steps: list[tuple[ArmMode, int, bool, bool]],
) -> None:
    rule, stamp = ready(), 100
    for mode, observation, expose, over in steps:
        awaits, phase = rule.awaits, rule.phase
        passed = rule.may_advance(mode, observation)
        if passed and mode == FOLLOW and phase in (Phase.READY, Phase.RUNNING):
            assert awaits in (0, observation) and rule.phase == Phase.RUNNING
        if mode != FOLLOW and phase in (Phase.RUNNING, Phase.OVER):
            assert passed, "an arm that does not follow is never held up"
        if passed:
            rule.ticked(over)
            if expose:
                stamp += 100
                rule.exposed(stamp)

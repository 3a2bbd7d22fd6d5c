"""The safety gate under streams of setpoints that no sane commander would send, and under some that one would."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from arm_bench import ARM, ATOL, BOX, PERIOD, TICK
from gate_bench import GRIPPER, NOW, WIDE, Robot, ask, make_gate, make_limits, state_at

from keypoint_core.arms.gate import Applied, Setpoint
from keypoint_core.arms.limits import Reason
from keypoint_core.types import SECOND


def random_setpoint(rng: np.random.Generator, robot: Robot) -> Setpoint | None:
    """Anything at all, with a bias towards plausible and towards the edge of the limits."""
    limits, kind = robot.limits, rng.integers(12)
    position = rng.uniform(limits.lower, limits.upper)
    velocity = rng.uniform(-3, 3, 6) * rng.integers(0, 2)
    if kind == 0:
        return None
    if kind == 1:
        position[rng.integers(6)] = rng.choice([np.nan, np.inf, -np.inf, 1e308])
    elif kind == 2:
        velocity[rng.integers(6)] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 3:
        position += rng.normal(0, 10, 6)
    elif kind in (4, 5):
        position = np.where(rng.random(6) < 0.5, limits.lower, limits.upper)
    elif kind in (6, 7, 8):
        position = np.clip(robot.applied.position + rng.normal(0, 0.05, 6), limits.lower, limits.upper)
    age = int(rng.choice([0, 0, 0, 0, SECOND, -TICK]))
    return Setpoint(
        position,
        velocity,
        float(rng.choice([-10.0, GRIPPER, 10.0, np.nan, np.inf])),
        str(rng.choice(["me", "me", "me", "me", "other"])),
        robot.now - age,
    )


def play_random(robot: Robot, seed: int, turns: int) -> None:
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    while turns > 0:
        setpoint = random_setpoint(rng, robot)
        for _ in range(min(turns, int(rng.choice([1, 2, 10, 40])))):
            if setpoint is not None and robot.now - TICK <= setpoint.exposure + SECOND:
                setpoint = Setpoint(**{**setpoint.__dict__, "exposure": setpoint.exposure + TICK})
            robot.tick(setpoint)
            turns -= 1


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), box=st.sampled_from([WIDE, BOX]))
def test_whatever_is_asked_limits_hold_at_every_tick(seed: int, box: tuple[float, ...]) -> None:
    play_random(Robot(make_gate(box), ARM.home), seed, 300)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_an_arm_that_starts_outside_the_box_never_gets_farther_out(seed: int) -> None:
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    limits = make_limits(BOX)
    start = rng.uniform(limits.lower, limits.upper)
    play_random(Robot(make_gate(BOX), start), seed, 150)


@pytest.mark.parametrize("box", [WIDE, BOX])
@pytest.mark.parametrize("seed", range(4))
def test_bang_bang_between_extremes(box: tuple[float, ...], seed: int) -> None:
    """The hardest stream for braking: full speed towards one limit, then the other, at random moments."""
    robot = Robot(make_gate(box), ARM.home)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    span = 0.3 if box == BOX else 6.0
    for _ in range(12):
        target = np.clip(ARM.home + rng.uniform(-span, span, 6), ARM.lower, ARM.upper)
        for _ in range(int(rng.integers(5, 120))):
            robot.tick(ask(target, exposure=robot.now))


def test_a_reachable_target_is_reached_without_overshoot_and_says_nothing_at_the_end() -> None:
    robot = Robot(make_gate(), ARM.home)
    target = ARM.home + np.array([0.5, -0.5, 0.2, 0.01, 0.0, 1.0])
    path = []
    for _ in range(250):
        reasons = robot.tick(ask(target, exposure=robot.now))
        path.append(robot.applied.position)
    np.testing.assert_allclose(path[-1], target, atol=1e-9)
    assert reasons == ()
    sign = np.sign(target - ARM.home)
    assert ((target - np.array(path)) * sign >= -ATOL).all(), "the target was passed"


def test_the_way_to_a_target_takes_little_longer_than_the_limits_ask() -> None:
    robot = Robot(make_gate(), ARM.home)
    target = ARM.home + np.array([1.0, 0, 0, 0, 0, 0])
    ticks = 0
    while abs(robot.applied.position[0] - target[0]) > 1e-6:
        robot.tick(ask(target, exposure=robot.now))
        ticks += 1
    quickest = 1.0 / ARM.velocity[0] + ARM.velocity[0] / ARM.acceleration[0]
    assert ticks * PERIOD <= quickest + 0.05


def test_a_ramp_within_the_limits_is_followed_exactly() -> None:
    """After it has caught up, a moving setpoint is applied as asked, without reasons."""
    robot = Robot(make_gate(), ARM.home)
    rate = np.full(6, 0.3)
    for i in range(1, 100):
        setpoint = ask(ARM.home + rate * PERIOD * i, rate, exposure=robot.now)
        reasons = robot.tick(setpoint)
        if i > 20:
            np.testing.assert_allclose(robot.applied.position, setpoint.position, atol=1e-9)
            assert reasons == ()


def test_joint_limits_are_reached_but_not_passed() -> None:
    robot = Robot(make_gate(), np.clip(ARM.home, ARM.lower, ARM.upper))
    for bound in (ARM.upper, ARM.lower):
        for _ in range(600):
            robot.tick(ask(bound, exposure=robot.now))
        np.testing.assert_allclose(robot.applied.position, bound, atol=1e-9)


def test_an_arm_outside_its_joint_limits_may_only_come_back() -> None:
    gate = make_gate()
    start = ARM.home.copy()
    start[0] = ARM.upper[0] + 0.1
    applied = Applied(start, np.zeros(6), GRIPPER)
    for _ in range(100):
        verdict = gate(ask(ARM.home), state_at(applied.position), applied, "me", NOW)
        assert verdict.command.position[0] <= applied.position[0]
        applied = Applied(verdict.command.position, verdict.command.velocity, GRIPPER)
    assert applied.position[0] < ARM.upper[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_setpoint_that_runs_into_the_limits_is_braked_in_time(sign: int) -> None:
    """It moves at full rate until it passes the limit and is refused; by then the arm must be able to stop."""
    robot = Robot(make_gate(), ARM.home)
    limit = ARM.upper if sign > 0 else ARM.lower
    robot = Robot(make_gate(), limit - sign * 0.5)
    rate, reasons = sign * 0.9 * ARM.velocity, []
    for i in range(1, 80):
        reasons = robot.tick(ask(limit - sign * 0.5 + rate * PERIOD * i, rate, exposure=robot.now))
    assert reasons == (Reason.JOINT_LIMIT,) and not robot.applied.velocity.any()
    assert (np.abs(robot.applied.position - limit) < 0.1).all()


def test_braking_takes_no_longer_than_the_acceleration_limit_allows() -> None:
    robot = Robot(make_gate(), ARM.home)
    robot.applied = Applied(ARM.home, ARM.velocity * np.array([1, -1, 1, -1, 1, -1]), GRIPPER)
    ticks = int(np.ceil((ARM.velocity / ARM.acceleration).max() / PERIOD))
    for _ in range(ticks):
        robot.tick(None)
    assert not robot.applied.velocity.any()

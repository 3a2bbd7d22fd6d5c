"""The safety gate under streams of setpoints that no sane commander would send."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypoint_core.arms.description import load_arm
from keypoint_core.arms.gate import Applied, SafetyGate, Setpoint
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.arms.limits import Reason, SafetyLimits
from keypoint_core.errors import InputError
from keypoint_core.types import SECOND, RobotState

ARM = load_arm("hebi_chopsticks")
CHAIN = SerialChain(ARM)
PERIOD = 0.01
TICK = 10_000_000
NOW = 100 * SECOND
WIDE = (-2.0, -2.0, -2.0, 2.0, 2.0, 2.0)
BOX = (-0.10, -0.45, -0.235, 0.75, 0.45, 0.60)
ATOL = 1e-9
GRIPPER = -0.4
FAR = ARM.home - np.array([0, 0, 1.5, 0, 0, 0])  # the tool is above BOX


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


def verdict_of(setpoint: Setpoint | None, gate: SafetyGate | None = None, velocity: np.ndarray | None = None):
    applied = Applied(ARM.home, np.zeros(6) if velocity is None else velocity, GRIPPER)
    return (gate or make_gate())(setpoint, state_at(ARM.home), applied, "me", NOW)


BAD = {
    "position NaN": ({"position": np.full(6, np.nan)}, Reason.NON_FINITE),
    "position inf": ({"position": ARM.home + np.array([0, 0, np.inf, 0, 0, 0])}, Reason.NON_FINITE),
    "velocity NaN": ({"velocity": np.array([0, 0, 0, 0, 0, np.nan])}, Reason.NON_FINITE),
    "too old": ({"exposure": NOW - round(0.3 * SECOND) - 1}, Reason.STALE),
    "from the future": ({"exposure": NOW + 1}, Reason.STALE),
    "somebody else": ({"commander": "other"}, Reason.NOT_COMMANDER),
    "above the limit": ({"position": ARM.home + np.array([0, 0, 0, 0, 0, 9.0])}, Reason.JOINT_LIMIT),
    "below the limit": ({"position": ARM.home - np.array([9.0, 0, 0, 0, 0, 0])}, Reason.JOINT_LIMIT),
    "too few joints": ({"position": np.zeros(5)}, Reason.WRONG_SHAPE),
    "too few rates": ({"velocity": np.zeros(7)}, Reason.WRONG_SHAPE),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_setpoint_is_refused_and_the_arm_brakes(name: str) -> None:
    changes, reason = BAD[name]
    moving = np.full(6, 0.5)
    verdict = verdict_of(ask(**{"position": ARM.home, "gripper": -0.2, **changes}), velocity=moving)
    assert verdict.reasons == (reason,)
    np.testing.assert_allclose(verdict.command.velocity, moving - ARM.acceleration * PERIOD)
    np.testing.assert_allclose(verdict.command.position, ARM.home + verdict.command.velocity * PERIOD)
    assert verdict.command.observation == 0 and verdict.command.gripper == GRIPPER


def test_checks_run_in_the_order_of_the_architecture() -> None:
    everything = {
        "position": np.full(6, np.nan),
        "exposure": NOW - SECOND,
        "commander": "other",
    }
    assert verdict_of(ask(**everything)).reasons == (Reason.NON_FINITE,)
    everything["position"] = ARM.home + 9.0
    assert verdict_of(ask(**everything)).reasons == (Reason.STALE,)
    everything["exposure"] = NOW
    assert verdict_of(ask(**everything)).reasons == (Reason.NOT_COMMANDER,)
    everything["commander"] = "me"
    assert verdict_of(ask(**everything), make_gate(BOX)).reasons == (Reason.JOINT_LIMIT,)


def test_the_oldest_allowed_exposure_passes() -> None:
    verdict = verdict_of(ask(ARM.home, exposure=NOW - round(0.3 * SECOND)))
    assert verdict.reasons == () and verdict.command.observation == 7


def test_nothing_asked_is_a_quiet_brake() -> None:
    verdict = verdict_of(None, velocity=np.full(6, -0.01))
    assert verdict.reasons == () and not verdict.command.velocity.any()
    assert verdict.command.observation == 0


def test_braking_takes_no_longer_than_the_acceleration_limit_allows() -> None:
    robot = Robot(make_gate(), ARM.home)
    robot.applied = Applied(ARM.home, ARM.velocity * np.array([1, -1, 1, -1, 1, -1]), GRIPPER)
    ticks = int(np.ceil((ARM.velocity / ARM.acceleration).max() / PERIOD))
    for _ in range(ticks):
        robot.tick(None)
    assert not robot.applied.velocity.any()


def test_a_target_outside_the_workspace_stops_inside() -> None:
    gate = make_gate(BOX)
    robot = Robot(gate, ARM.home)
    assert outside(FAR, gate.limits) > 0
    assert robot.tick(ask(FAR, exposure=robot.now)) == (Reason.WORKSPACE,)
    np.testing.assert_array_equal(robot.applied.position, ARM.home)


def test_a_path_that_would_leave_the_workspace_ends_before_its_face() -> None:
    """The setpoint creeps out of the box: each one is near, the arm is stopped by where braking would end."""
    gate = make_gate(BOX)
    robot = Robot(gate, ARM.home)
    rate, reasons = np.array([0, 0, -0.8, 0, 0, 0]), ()
    for i in range(1, 200):
        reasons = robot.tick(ask(ARM.home + rate * PERIOD * i, rate, exposure=robot.now))
    assert reasons == (Reason.WORKSPACE,)
    assert outside(robot.applied.position, gate.limits) == 0
    assert np.abs(robot.applied.position - ARM.home).max() > 0.01


def reach(target: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Joint angles near `start` that bring the tool to a target [3] in the base frame."""
    joints = start.copy()
    for _ in range(30):
        joints += np.linalg.pinv(CHAIN.jacobian(joints)[:3]) @ (target - CHAIN.tool_position(joints))
    return joints


@pytest.mark.parametrize("seed", range(8))
def test_a_target_just_inside_the_workspace_is_reached_along_its_face(seed: int) -> None:
    rng, floor = np.random.default_rng(seed), BOX[2] + 0.0002
    low = np.array([0.175, 0.844, 1.748, 2.476, -1.571, 1.746])  # the tool is near the floor of BOX
    start = reach(np.array([0.55, rng.uniform(-0.1, 0.1), floor]), low)
    target = reach(CHAIN.tool_position(start) + [*rng.uniform(-0.03, 0.03, 2), rng.uniform(0, 0.002)], start)
    robot = Robot(make_gate(BOX), start)
    for _ in range(600):
        robot.tick(ask(target))
    np.testing.assert_allclose(robot.applied.position, target, atol=1e-6)


def test_an_arm_outside_the_workspace_may_come_back() -> None:
    gate = make_gate(BOX)
    robot = Robot(gate, FAR)
    for _ in range(300):
        robot.tick(ask(ARM.home, exposure=robot.now))
    np.testing.assert_allclose(robot.applied.position, ARM.home, atol=1e-9)


def test_an_arm_outside_the_workspace_that_is_asked_to_stay_says_so() -> None:
    robot = Robot(make_gate(BOX), FAR)
    assert robot.tick(ask(FAR, exposure=robot.now)) == (Reason.WORKSPACE,)
    np.testing.assert_array_equal(robot.applied.position, FAR)


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


def test_reasons_tell_velocity_from_acceleration() -> None:
    assert verdict_of(ask(ARM.home + 0.5)).reasons == (Reason.VELOCITY,)
    assert verdict_of(ask(ARM.home + 0.01)).reasons == (Reason.ACCELERATION,)
    assert verdict_of(ask(ARM.home + 0.0005)).reasons == ()


def test_lost_track_holds_where_measured_and_demands_a_stop() -> None:
    measured = ARM.home + np.array([0, 0.26, 0, 0, 0, 0])
    applied = Applied(ARM.home, np.full(6, 0.1), GRIPPER)
    verdict = make_gate()(ask(ARM.home), state_at(measured, -0.2), applied, "me", NOW)
    assert verdict.must_stop and verdict.reasons[-1] == Reason.TRACKING_ERROR
    np.testing.assert_array_equal(verdict.command.position, measured)
    assert not verdict.command.velocity.any() and verdict.command.gripper == GRIPPER


def test_a_small_tracking_error_is_none() -> None:
    measured = ARM.home + 0.24
    assert not make_gate()(None, state_at(measured), Applied(ARM.home, np.zeros(6), GRIPPER), "me", NOW).must_stop


def test_tracking_is_checked_when_nothing_is_asked() -> None:
    measured = ARM.home - 0.3
    assert make_gate()(None, state_at(measured), Applied(ARM.home, np.zeros(6), GRIPPER), "me", NOW).must_stop


@pytest.mark.parametrize(("target", "end"), [(5.0, -0.175), (-5.0, -0.646), (-0.3, -0.3)])
def test_the_gripper_stays_in_range_and_arrives(target: float, end: float) -> None:
    robot = Robot(make_gate(), ARM.home)
    for _ in range(80):
        robot.tick(ask(ARM.home, gripper=target, exposure=robot.now))
    assert robot.applied.gripper == pytest.approx(end)


@pytest.mark.parametrize("target", [np.nan, np.inf, -np.inf])
def test_a_gripper_target_that_is_no_number_leaves_it(target: float) -> None:
    assert verdict_of(ask(ARM.home, gripper=target)).command.gripper == GRIPPER


def test_feedback_without_a_finite_gripper_commands_none() -> None:
    for gripper in (np.nan, np.inf):
        assert np.isnan(Applied.at_rest(state_at(ARM.home, gripper)).gripper)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_age": 0.0},
        {"max_age": float("nan")},
        {"tracking_error": float("nan")},
        {"tracking_error": -1.0},
        {"speed_scale": 0.0},
        {"speed_scale": 1.5},
        {"speed_scale": float("nan")},
    ],
)
def test_limits_without_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        make_limits(**changes)


def test_a_workspace_without_volume_is_refused() -> None:
    with pytest.raises(InputError, match="lower bound"):
        make_limits((0, 0, 0, 1, -1, 1))
    with pytest.raises(InputError, match="6 numbers"):
        make_limits((0, 0, 0))


def test_speed_scale_scales_the_velocity_limit() -> None:
    robot = Robot(make_gate(speed_scale=0.2), ARM.home)
    peak = 0.0
    for _ in range(100):
        robot.tick(ask(ARM.lower, exposure=robot.now))
        peak = max(peak, np.abs(robot.applied.velocity).max())
    assert peak == pytest.approx(0.2 * ARM.velocity.max())

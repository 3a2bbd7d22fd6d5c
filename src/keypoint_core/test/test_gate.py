"""What the safety gate refuses and says, tick by tick: order of checks, tracking, gripper, limits."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from arm_bench import ARM, BOX, PERIOD
from gate_bench import GRIPPER, NOW, Robot, ask, make_gate, make_limits, state_at

from keypoint_core.arms.gate import Applied, SafetyGate, Setpoint
from keypoint_core.arms.limits import Reason
from keypoint_core.errors import InputError
from keypoint_core.types import SECOND


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

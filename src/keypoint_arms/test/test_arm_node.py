"""The arm node over real topics and services, with a simulated robot in the same process."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from keypoint_interfaces.msg import ArmState  # noqa: E402
from keypoint_interfaces.srv import Engage  # noqa: E402

from keypoint_core.arms.description import load_arm  # noqa: E402
from keypoint_core.types import SECOND  # noqa: E402
from keypoint_ros.conversions import from_stamp  # noqa: E402

HOME = load_arm("hebi_chopsticks").home
NEAR = HOME + 0.1
MAX_AGE = 0.3


def moving(arm, commander: str = "policy") -> int:
    """Follows a commander towards a posture it does not reach in the chunk's time; returns the exposure."""
    assert arm.engage(commander).error_code == Engage.Response.OK
    stamp = arm.act(HOME + 0.3, commander, dt=0.1)
    arm.next_state(lambda state: state.mode == ArmState.MODE_FOLLOW and np.abs(state.applied_velocity).max() > 0.1)
    return stamp


def is_still(state: ArmState) -> bool:
    return not np.any(state.applied_velocity)


def test_it_holds_and_tells_what_it_measures(start_arm) -> None:
    arm = start_arm()
    state = arm.next_state()
    assert state.mode == ArmState.MODE_HOLD and list(state.reasons) == [] and state.message == "" and state.at_home
    assert state.header.frame_id == "hebi_chopsticks_base" and state.commander == ""
    np.testing.assert_array_equal(state.applied_position, HOME)
    assert np.isnan(state.commanded_position).all() and from_stamp(state.observation) == 0
    arm.spin_until(lambda: arm.joints)
    assert arm.joints[0].name == [*state.joint_names, "chopsticks"] and arm.joints[0].position[6] == -0.4


def test_it_follows_its_commander_and_stamps_pass_unchanged(start_arm) -> None:
    arm = start_arm()
    assert arm.engage().error_code == Engage.Response.OK
    stamp = arm.act(HOME + 0.02)
    state = arm.next_state(lambda state: from_stamp(state.observation) == stamp)
    assert state.mode == ArmState.MODE_FOLLOW and state.commander == "policy"
    arm.spin_until(lambda: arm.timings)
    assert from_stamp(arm.timings[0].header.stamp) == stamp
    assert stamp <= from_stamp(arm.timings[0].received) <= from_stamp(arm.timings[0].finished)
    arm.spin_until(lambda: arm.position[0] > HOME[0] + 0.01)
    command = arm.commands[-1]
    assert from_stamp(command.observation) == stamp and command.mode == ArmState.MODE_FOLLOW


def test_what_it_says_it_applied_is_what_the_robot_was_told(start_arm) -> None:
    arm = start_arm()
    moving(arm)
    arm.spin_until(lambda: len(arm.states) > 10)
    arm.silent = True
    arm.next_state(lambda state: state.mode == ArmState.MODE_STOPPED)
    told = {from_stamp(command.header.stamp): command for command in arm.commands}
    pairs = [(state, told[from_stamp(state.header.stamp)]) for state in arm.states[:-1] if state.joint_names]
    assert len(pairs) >= 10
    for state, command in pairs:
        assert list(state.applied_position) == list(command.position)
        assert list(state.applied_velocity) == list(command.velocity)
        assert state.observation == command.observation


def test_somebody_else_is_refused(start_arm) -> None:
    arm = start_arm()
    arm.engage()
    assert arm.engage("other").error_code == Engage.Response.BUSY
    arm.act(NEAR, "other")
    state = arm.next_state(lambda state: ArmState.REASON_NOT_COMMANDER in state.reasons)
    assert "not engaged to" in state.message
    np.testing.assert_array_equal(state.applied_position, HOME)


def test_stop_stops_at_once_and_latches_until_release(start_arm) -> None:
    arm = start_arm()
    moving(arm)
    called, since = time.time_ns(), len(arm.states)
    assert arm.trigger("stop").success
    stopped = arm.next_state(lambda state: state.mode == ArmState.MODE_STOPPED and is_still(state), since)
    assert from_stamp(stopped.header.stamp) - called < 400_000_000
    assert list(stopped.reasons) == [ArmState.REASON_STOP_REQUESTED] and stopped.commander == ""
    assert arm.engage().error_code == Engage.Response.STOPPED
    assert not arm.trigger("home").success
    arm.act(NEAR)
    held = arm.next_state()
    assert list(held.applied_position) == list(stopped.applied_position)
    assert arm.trigger("release").success
    assert arm.next_state(lambda state: state.mode == ArmState.MODE_HOLD).message == ""
    assert arm.engage().error_code == Engage.Response.OK


@pytest.mark.parametrize("spoil", ["nan", "inf", "far", "short"])
def test_a_bad_action_ends_in_a_hold_that_says_why(start_arm, spoil: str) -> None:
    arm = start_arm()
    moving(arm)
    sent = time.time_ns()
    bad = {"nan": np.full(6, np.nan), "inf": HOME + np.inf, "far": HOME + 50.0, "short": HOME}[spoil]
    if spoil == "short":
        arm.arm._on_action(arm.actions.msg_type(header=arm.states[-1].header.__class__(frame_id="policy")))
    else:
        arm.act(bad)
    reasons = {"far": ArmState.REASON_JOINT_LIMIT, "short": ArmState.REASON_WRONG_SHAPE}
    reason = reasons.get(spoil, ArmState.REASON_NON_FINITE)
    state = arm.next_state(lambda state: reason in state.reasons and is_still(state))
    if spoil != "far":
        assert from_stamp(state.header.stamp) - sent < 350_000_000
    assert state.mode == ArmState.MODE_FOLLOW and state.message


def test_silence_is_stale_within_100_ms_of_the_limit(start_arm) -> None:
    arm = start_arm(f"max_age:={MAX_AGE}")
    arm.engage()
    stamp = arm.act(HOME + np.array([0.05, 0, 0, 0, 0, 0]), dt=0.1)
    state = arm.next_state(lambda state: ArmState.REASON_STALE in state.reasons and is_still(state))
    age = (from_stamp(state.header.stamp) - stamp) / SECOND
    assert MAX_AGE - 0.02 < age < MAX_AGE + 0.1
    assert state.mode == ArmState.MODE_FOLLOW and "no fresh command" in state.message
    again = arm.act(HOME)
    arm.next_state(lambda state: from_stamp(state.observation) == again)


def test_home_brings_the_arm_home(start_arm) -> None:
    arm = start_arm("home_speed:=1.0")
    moving(arm)
    assert not arm.trigger("home").success, "not while somebody is followed"
    assert arm.engage("").error_code == Engage.Response.OK
    arm.next_state(lambda state: state.mode == ArmState.MODE_HOLD and is_still(state))
    assert arm.trigger("home").success
    arm.next_state(lambda state: state.mode == ArmState.MODE_HOME)
    assert arm.engage().error_code == Engage.Response.BUSY
    state = arm.next_state(lambda state: state.mode == ArmState.MODE_HOLD)
    assert state.at_home
    np.testing.assert_allclose(state.applied_position, HOME, atol=1e-6)


def test_lost_feedback_is_told_and_latches(start_arm) -> None:
    arm = start_arm("feedback_timeout:=0.1")
    moving(arm)
    arm.silent = True
    state = arm.next_state(lambda state: list(state.reasons) == [ArmState.REASON_FEEDBACK_LOST])
    assert state.mode == ArmState.MODE_STOPPED and "no feedback from the simulation for 0.1 s" in state.message
    arm.silent = False
    back = arm.next_state(lambda state: state.joint_names)
    assert back.mode == ArmState.MODE_STOPPED and list(back.reasons) == [ArmState.REASON_FEEDBACK_LOST]


def test_an_inactive_arm_says_so(start_arm) -> None:
    arm = start_arm()
    arm.arm.trigger_deactivate()
    assert arm.engage().error_code == Engage.Response.NOT_ACTIVE
    assert not arm.trigger("home").success and not arm.trigger("release").success
    arm.arm.trigger_activate()
    assert arm.next_state().mode == ArmState.MODE_HOLD, "activated again, it holds and is not stopped"


def test_in_lockstep_the_awaited_action_is_waited_for(start_arm) -> None:
    arm = start_arm("use_sim_time:=true", "feedback_timeout:=5.0", paced=False)
    arm.send_feedback(stamp=SECOND)
    arm.spin_until(lambda: arm.states)
    arm.engage()
    arm.send_feedback(stamp=SECOND + 1, awaits=SECOND + 1)
    arm.act(HOME + 0.01, stamp=SECOND + 1)
    state = arm.next_state(since=1)
    assert from_stamp(state.observation) == SECOND + 1 and from_stamp(state.header.stamp) == SECOND + 1
    arm.spin_until(lambda: len(arm.commands) == 2)
    assert arm.commands[-1].tick == 2 and arm.commands[-1].mode == ArmState.MODE_FOLLOW


def test_in_lockstep_stop_ends_the_wait_at_once(start_arm) -> None:
    arm = start_arm("use_sim_time:=true", "feedback_timeout:=5.0", "lockstep_timeout:=60.0", paced=False)
    arm.send_feedback(stamp=SECOND)
    arm.spin_until(lambda: arm.states)
    arm.engage()
    arm.send_feedback(stamp=SECOND + 1, awaits=SECOND + 1)
    arm.spin_until(lambda: len(arm.joints) == 2)
    began, since = time.monotonic(), len(arm.states)
    arm.trigger("stop")
    assert arm.next_state(lambda state: state.mode == ArmState.MODE_STOPPED, since).message == "stop was requested"
    assert time.monotonic() - began < 5.0

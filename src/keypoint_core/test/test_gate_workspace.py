"""The workspace box of the safety gate: how it is kept, reached, and entered again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from arm_bench import ARM, BOX, PERIOD
from gate_bench import CHAIN, Robot, ask, make_gate, outside

from keypoint_core.arms.limits import Reason

FAR = ARM.home - np.array([0, 0, 1.5, 0, 0, 0])  # the tool is above BOX


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

"""Openings and positions of the grippers, against each other and against the models."""

import mujoco
import numpy as np
import pytest

from keypoint_core.arms.description import GripperDescription
from keypoint_sim.grippers import Chopsticks, Gripper, ParallelFingers
from keypoint_sim.robots import ROBOTS, load_robot

GRIPPERS = {name: spec.gripper() for name, spec in ROBOTS.items()}


@pytest.fixture(params=sorted(GRIPPERS))
def gripper(request: pytest.FixtureRequest) -> Gripper:
    return GRIPPERS[request.param]


def limits(gripper: Gripper) -> tuple[float, float]:
    assert isinstance(gripper, Chopsticks | ParallelFingers)
    return gripper.joint.range


def test_an_opening_comes_back_from_its_position(gripper: Gripper) -> None:
    for opening in np.linspace(0.002, gripper.widest, 20):
        assert gripper.opening(gripper.position(opening)) == pytest.approx(opening, abs=1e-9)


def test_wider_is_wider(gripper: Gripper) -> None:
    positions = [gripper.position(opening) for opening in np.linspace(0.002, gripper.widest, 20)]
    assert len(set(np.sign(np.diff(positions)))) == 1


def test_closed_squeezes(gripper: Gripper) -> None:
    assert isinstance(gripper, Chopsticks | ParallelFingers)
    assert gripper.position(0.0) == gripper.position(-0.01) == gripper.joint.closed
    assert gripper.opening(gripper.joint.closed) == pytest.approx(0.0, abs=0.003)


def test_nothing_beyond_the_joint_is_asked_for(gripper: Gripper) -> None:
    low, high = limits(gripper)
    for opening in (-1.0, 0.0, 0.01, gripper.widest, 1.0):
        assert low <= gripper.position(opening) <= high
    assert gripper.position(1.0) == pytest.approx(gripper.position(gripper.widest))


def test_widest_is_the_open_position(gripper: Gripper) -> None:
    assert isinstance(gripper, Chopsticks | ParallelFingers)
    assert gripper.widest == gripper.opening(gripper.joint.open) > 0.05


def test_where_a_thing_is_gripped() -> None:
    assert GRIPPERS["hebi_chopsticks"].center(0.03, 0.005) == pytest.approx(0.02)
    assert GRIPPERS["franka"].center(0.03, 0.005) == 0.0


@pytest.mark.parametrize("position", [-0.6, -0.4, -0.175])
def test_the_gap_of_the_chopsticks_is_that_of_the_model(position: float) -> None:
    spec = load_robot("hebi_chopsticks")
    model = mujoco.MjModel.from_xml_string(spec.mjcf())
    data = mujoco.MjData(model)
    data.joint("chopsticks").qpos = position
    mujoco.mj_kinematics(model, data)
    site = data.site(spec.tcp_site)
    geom = int(model.body("moving_stick").geomadr[0]) + int(model.body("moving_stick").geomnum[0]) - 1
    radius, half = model.geom_size[geom, :2]
    axis = data.geom_xmat[geom].reshape(3, 3)[:, 2]
    ends = (data.geom_xpos[geom] + np.array([[half], [-half]]) * axis - site.xpos) @ site.xmat.reshape(3, 3)
    tip = ends[np.argmax(ends[:, 2])]
    assert GRIPPERS["hebi_chopsticks"].opening(position) == pytest.approx(tip[0] - radius, abs=1e-6)


def test_a_gap_of_parallel_fingers_is_twice_a_fingers_way() -> None:
    fingers = ParallelFingers(GripperDescription("finger", open=0.04, closed=0.0, velocity=0.05), tip=(0.007, 0.009))
    assert fingers.widest == pytest.approx(0.08)
    assert fingers.position(0.03) == pytest.approx(0.015)

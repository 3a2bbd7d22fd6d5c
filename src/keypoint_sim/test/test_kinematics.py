import mujoco
import numpy as np
import pytest

from keypoint_core.arms.description import load_arm
from keypoint_core.arms.kinematics import SerialChain
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.objects import clock
from keypoint_sim.robots import load_robot
from keypoint_sim.tasks.base import TOOL_DOWN
from keypoint_sim.tasks.clock_button import CLOCK, HOVER, PRESS_DEPTH
from keypoint_sim.world import World

HRDF = """
<robot>
  <actuator type="X8-9"/> <bracket type="X5HeavyRightOutside"/>
  <actuator type="X8-9"/> <link type="X5" extension="0.325" twist="3.14159265358979323846264338327950288"/>
  <actuator type="X5-9"/> <link type="X5" extension="0.325" twist="3.14159265358979323846264338327950288"/>
  <actuator type="X5-1"/> <bracket type="X5LightRight"/>
  <actuator type="X5-1"/> <bracket type="X5LightRight"/>
  <actuator type="X5-1"/>
</robot>"""


def test_mjcf_and_chain_agree_with_hebi() -> None:
    robot_model = pytest.importorskip("hebi.robot_model")
    hebi = robot_model.import_from_hrdf_string(HRDF)
    arm, spec = load_arm("hebi_chopsticks"), load_robot("hebi_chopsticks")
    chain = SerialChain(arm)
    model = mujoco.MjModel.from_xml_string(spec.mjcf())
    data = mujoco.MjData(model)
    for joints in np.random.default_rng(0).uniform(-np.pi, np.pi, (1000, 6)):
        expected = hebi.get_forward_kinematics("endeffector", joints)[0] @ arm.tool
        data.qpos[:6] = joints
        mujoco.mj_kinematics(model, data)
        site = data.site(spec.tcp_site)
        np.testing.assert_allclose(site.xpos, expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(site.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)
        np.testing.assert_allclose(chain.tool_pose(joints), expected, atol=1e-9)


def test_masses_are_hebis() -> None:
    robot_model = pytest.importorskip("hebi.robot_model")
    hebi = robot_model.import_from_hrdf_string(HRDF)
    model = mujoco.MjModel.from_xml_string(load_robot("hebi_chopsticks").mjcf())
    gripper = model.body("wrist3").mass[0] + model.body("moving_stick").mass[0]
    assert model.body_mass.sum() - gripper == pytest.approx(float(np.sum(hebi.masses)), abs=1e-6)


def test_home_points_straight_down(world: World) -> None:
    arm = ArmKinematics(world.model, world.robot)
    _, rotation = arm.forward(world.arm.home)
    np.testing.assert_allclose(rotation, TOOL_DOWN, atol=1e-9)


def test_every_pose_is_within_reach(world: World) -> None:
    arm = ArmKinematics(world.model, world.robot)
    for x in np.linspace(CLOCK.low[0], CLOCK.high[0], 5):
        for y in np.linspace(CLOCK.low[1], CLOCK.high[1], 5):
            for height in (clock.BUTTON_REST - PRESS_DEPTH, clock.BUTTON_REST + HOVER):
                _, residual = arm.solve(np.array([x, y, height]), world.arm.home)
                assert residual < 1e-5, f"({x:.2f}, {y:.2f}, {height:.2f}) is out of reach by {residual}"


def test_poses_cover_what_was_promised() -> None:
    spread = np.subtract(CLOCK.high, CLOCK.low)
    assert spread[0] >= 0.20 - 1e-9 and spread[1] >= 0.25 and spread[2] >= np.deg2rad(90) - 1e-9

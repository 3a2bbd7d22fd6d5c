"""The Franka against what its maker publishes, and whether it stands, reaches, follows and grips."""

import mujoco
import numpy as np
import pytest

from keypoint_core.arms.description import load_arm
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.types import ArmCommand
from keypoint_sim import kinematics
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.robots import ArmAddresses, load_robot
from keypoint_sim.scene import build_model
from keypoint_sim.tasks.base import TOOL_DOWN, tool_down
from keypoint_sim.world import World

ARM, SPEC = load_arm("franka"), load_robot("franka")
HALF = np.pi / 2
# Franka Control Interface documentation, "Robot and interface specifications": a [m], d [m], alpha of joints 1 to 7.
DH = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -HALF),
    (0.0, 0.316, HALF),
    (0.0825, 0.0, HALF),
    (-0.0825, 0.384, -HALF),
    (0.0, 0.0, HALF),
    (0.088, 0.0, HALF),
)
FLANGE, HAND_TURN, FINGERTIP = 0.107, -np.pi / 4, 0.112  # [m], [rad], [m]
LOWER = (-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159)
UPPER = (2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159)
FASTEST = (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26)
TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)


def craig(a: float, d: float, alpha: float, theta: float) -> np.ndarray:
    """Transform of one link (Craig, Introduction to Robotics, eq. 3.6)."""
    ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
    return np.array(
        [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]], dtype=float
    )


def published_tool_pose(joints: np.ndarray) -> np.ndarray:
    """The fingertips' end; x along the hand's y, in which the fingers move."""
    pose = np.eye(4)
    for row, angle in zip(DH, joints, strict=True):
        pose = pose @ craig(*row, angle)
    return pose @ craig(0, FLANGE, 0, HAND_TURN) @ craig(0, FINGERTIP, 0, HALF)


def block(width: float, mass: float = 0.05) -> str:
    return f"""<mujoco><worldbody><body name="block" pos="0.45 0 0.015"><freejoint/>
      <geom type="box" size="{width / 2} 0.015 0.015" mass="{mass}"/></body></worldbody></mujoco>"""


@pytest.fixture(scope="module")
def world() -> World:
    """Never draws, so there is nothing to close."""
    return World(robot="franka")


@pytest.fixture(scope="module")
def kinematic(world: World) -> ArmKinematics:
    return ArmKinematics(world.model, SPEC)


def hold(world: World, gripper: float, ticks: int) -> None:
    for _ in range(ticks):
        world.step(ArmCommand(world.arm.home, np.zeros(7), gripper))


def test_kinematics_are_the_published_ones() -> None:
    chain, model = SerialChain(ARM), mujoco.MjModel.from_xml_string(SPEC.mjcf())
    data, columns = mujoco.MjData(model), [int(model.joint(name).qposadr[0]) for name in ARM.joint_names]
    for joints in np.random.default_rng(0).uniform(-np.pi, np.pi, (1000, 7)):
        expected = published_tool_pose(joints)
        data.qpos[columns] = joints
        mujoco.mj_kinematics(model, data)
        site = data.site(SPEC.tcp_site)
        np.testing.assert_allclose(site.xpos, expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(site.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)
        np.testing.assert_allclose(chain.tool_pose(joints), expected, atol=1e-9)


def test_fingers_end_at_the_tcp_and_close_along_its_x() -> None:
    model = mujoco.MjModel.from_xml_string(SPEC.mjcf())
    data = mujoco.MjData(model)
    data.joint("fr3_finger_joint1").qpos = data.joint("fr3_finger_joint2").qpos = 0.03
    mujoco.mj_kinematics(model, data)
    site, rotation = data.site(SPEC.tcp_site).xpos, data.site(SPEC.tcp_site).xmat.reshape(3, 3)
    for finger, side in (("fr3_leftfinger", 1), ("fr3_rightfinger", -1)):
        body = model.body(finger)
        pad = int(body.geomadr[0]) + int(body.geomnum[0]) - 1
        center = (data.geom_xpos[pad] - site) @ rotation
        thickness = model.geom_size[pad, 1]
        np.testing.assert_allclose(center[:2], [side * (0.03 + thickness), 0], atol=1e-9)
        assert center[2] + model.geom_size[pad, 2] == pytest.approx(0, abs=1e-9)


def test_limits_are_the_published_ones() -> None:
    np.testing.assert_array_equal(ARM.lower, LOWER)
    np.testing.assert_array_equal(ARM.upper, UPPER)
    np.testing.assert_array_equal([joint.effort for joint in ARM.joints], TORQUE)
    assert (ARM.velocity <= FASTEST).all() and (ARM.acceleration <= 10).all()


def test_the_mjcf_has_the_limits_of_the_description(world: World) -> None:
    for joint in ARM.joints:
        np.testing.assert_array_equal(world.model.joint(joint.name).range, [joint.lower, joint.upper])
        assert world.model.actuator(joint.name).forcerange[1] <= joint.effort
    assert ARM.gripper is not None
    np.testing.assert_array_equal(world.model.joint(ARM.gripper.name).range, ARM.gripper.range)


def test_masses_are_the_published_ones() -> None:
    model = mujoco.MjModel.from_xml_string(SPEC.mjcf())
    links = (2.9274653454, 2.9355370338, 2.2449013699, 2.6155955791, 2.3271207594, 1.8170376524, 0.6271432862)
    for number, mass in enumerate(links, 1):
        assert model.body(f"fr3_link{number}").mass[0] == pytest.approx(mass)
    assert model.body("fr3_hand").mass[0] == pytest.approx(0.6544)


def test_home_points_straight_down(kinematic: ArmKinematics) -> None:
    _, rotation = kinematic.forward(ARM.home)
    np.testing.assert_allclose(rotation, TOOL_DOWN, atol=1e-9)
    assert (ARM.home > ARM.lower + 0.2).all() and (ARM.home < ARM.upper - 0.2).all()


@pytest.mark.parametrize("degrees", [-90, -45, 0, 45, 90])
def test_reach(kinematic: ArmKinematics, degrees: float) -> None:
    for x in (0.30, 0.46, 0.62):
        for y in (-0.25, 0.0, 0.25):
            for z in (0.005, 0.15, 0.30):
                joints = ARM.home
                for part in (1 / 3, 2 / 3, 1):
                    goal = tool_down(np.deg2rad(degrees) * part)
                    joints, residual = kinematic.solve(np.array([x, y, z]), joints, goal, iterations=200)
                assert residual < 1e-5, f"({x}, {y}, {z}) is out of reach by {residual}"


def elbow_after(kinematic: ArmKinematics, way: list[tuple[float, float, float]]) -> np.ndarray:
    joints = ARM.home
    for stop in way:
        start = kinematic.forward(joints)[0]
        for part in np.linspace(0, 1, 30)[1:]:
            joints, _ = kinematic.solve(start + part * (np.array(stop) - start), joints, iterations=12)
    return joints


def test_the_elbow_does_not_wander(kinematic: ArmKinematics, monkeypatch: pytest.MonkeyPatch) -> None:
    lap = [(0.6, 0.25, 0.1), (0.6, -0.25, 0.1), (0.32, -0.25, 0.1), (0.32, 0.25, 0.1)]
    straight = elbow_after(kinematic, [(0.45, 0.0, 0.1)])
    np.testing.assert_allclose(elbow_after(kinematic, [*3 * lap, (0.45, 0.0, 0.1)]), straight, atol=0.03)
    monkeypatch.setattr(kinematics, "HOMING", 0.0)
    assert np.abs(elbow_after(kinematic, [*3 * lap, (0.45, 0.0, 0.1)]) - straight).max() > 0.03


def test_an_arm_of_six_joints_is_solved_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    arm, goal = ArmKinematics(world.model, world.robot), np.array([0.45, 0.1, 0.1])
    before, _ = arm.solve(goal, world.arm.home)
    monkeypatch.setattr(kinematics, "HOMING", 0.5)
    np.testing.assert_array_equal(arm.solve(goal, world.arm.home)[0], before)


def test_it_holds_home_without_sagging(world: World) -> None:
    world.reset(0)
    hold(world, float("nan"), 100)
    state = world.state()
    np.testing.assert_allclose(state.position, ARM.home, atol=1e-5)
    np.testing.assert_allclose(state.velocity, 0, atol=1e-5)


def test_it_follows_a_stream_of_commands(world: World) -> None:
    world.reset(0)
    way, rate, errors = 0.3 * np.array([1, 0.5, 1, 0.5, 1, 1, 1]), np.pi, []
    for second in np.arange(1, 201) * 0.01:
        wanted = ARM.home + way * (1 - np.cos(rate * second))
        world.step(ArmCommand(wanted, way * rate * np.sin(rate * second), float("nan")))
        errors.append(world.state().position - wanted)
    assert np.abs(errors).max() < 0.007


def test_fingers_follow_and_stay_symmetric(world: World) -> None:
    world.reset(0)
    gripper = world.robot.gripper()
    for opening in (gripper.widest, 0.03, 0.0):
        hold(world, gripper.position(opening), 200)
        assert gripper.opening(world.state().gripper) == pytest.approx(opening, abs=2e-4)
        other = float(world.data.joint("fr3_finger_joint2").qpos[0])
        assert other == pytest.approx(world.state().gripper, abs=1e-4)


@pytest.mark.parametrize("width", [0.03, 0.06])
def test_it_lifts_a_block_with_the_force_of_its_fingers(width: float) -> None:
    model = build_model(SPEC, block(width))
    data, arm, solver = mujoco.MjData(model), ArmAddresses.find(model, ARM), ArmKinematics(model, SPEC)
    low, _ = solver.solve(np.array([0.45, 0, 0.006]), ARM.home)
    high, _ = solver.solve(np.array([0.45, 0, 0.106]), low)
    data.qpos[arm.qpos] = data.ctrl[arm.servos] = low
    data.qpos[[arm.gripper_qpos, arm.gripper_qpos + 1]] = 0.04
    mujoco.mj_step(model, data, 1000)
    force = np.zeros((2, 6))
    for contact in range(data.ncon):
        bodies = {model.body(int(model.geom_bodyid[geom])).name for geom in data.contact[contact].geom}
        for side, finger in enumerate(("fr3_leftfinger", "fr3_rightfinger")):
            if bodies == {finger, "block"}:
                one = np.zeros(6)
                mujoco.mj_contactForce(model, data, contact, one)
                force[side] += one
    assert (force[:, 0] > 20).all() and (force[:, 0] < 40).all()
    for part in np.linspace(0, 1, 100):
        data.ctrl[arm.servos] = low + part * (high - low)
        mujoco.mj_step(model, data, 5)
    mujoco.mj_step(model, data, 1000)
    assert data.body("block").xpos[2] == pytest.approx(0.115, abs=0.002)

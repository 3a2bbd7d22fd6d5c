"""The chain of the robot's YAML against MuJoCo's model of it, and its Jacobian against differences."""

import numpy as np
import pytest

from keypoint_core.arms.description import load_arm
from keypoint_core.arms.kinematics import SerialChain

ARM = load_arm("hebi_chopsticks")
CHAIN = SerialChain(ARM)


def postures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, (count, 6))


def test_forward_kinematics_is_that_of_the_simulated_arm() -> None:
    mujoco = pytest.importorskip("mujoco")
    robots = pytest.importorskip("keypoint_sim.robots")
    spec = robots.load_robot("hebi_chopsticks")
    model = mujoco.MjModel.from_xml_string(spec.mjcf())
    data = mujoco.MjData(model)
    columns = [int(model.joint(name).qposadr[0]) for name in ARM.joint_names]
    for position in postures(300, 0):
        data.qpos[columns] = position
        mujoco.mj_kinematics(model, data)
        pose, site = CHAIN.tool_pose(position), data.site(spec.tcp_site)
        np.testing.assert_allclose(pose[:3, 3], site.xpos, atol=1e-9)
        np.testing.assert_allclose(pose[:3, :3], site.xmat.reshape(3, 3), atol=1e-9)


def test_jacobian_agrees_with_finite_differences() -> None:
    step = 1e-6
    for position in postures(50, 1):
        jacobian, rotation = CHAIN.jacobian(position), CHAIN.tool_pose(position)[:3, :3]
        for joint in range(6):
            change = np.zeros(6)
            change[joint] = step
            after, before = CHAIN.tool_pose(position + change), CHAIN.tool_pose(position - change)
            linear = (after[:3, 3] - before[:3, 3]) / (2 * step)
            turn = (after[:3, :3] - before[:3, :3]) / (2 * step) @ rotation.T
            angular = np.array([turn[2, 1], turn[0, 2], turn[1, 0]])
            np.testing.assert_allclose(jacobian[:, joint], [*linear, *angular], atol=1e-8)


def test_frames_are_rigid() -> None:
    for frame in CHAIN.joint_frames(postures(1, 2)[0]):
        np.testing.assert_allclose(frame[:3, :3] @ frame[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(frame[:3, :3]) == pytest.approx(1.0)
        np.testing.assert_array_equal(frame[3], [0, 0, 0, 1])


def test_many_postures_at_once_give_the_same_tools() -> None:
    many = postures(20, 3)
    np.testing.assert_allclose(CHAIN.tool_positions(many), [CHAIN.tool_position(q) for q in many], atol=1e-12)
    assert CHAIN.tool_positions(many[:0]).shape == (0, 3)

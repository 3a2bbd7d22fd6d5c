import numpy as np
import pytest
import torch

from keypoint_core.arms.description import load_arm
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.errors import CheckpointError, InputError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpPolicy, KeypointMlpSettings
from keypoint_core.policies.tool_features import ToolFeatures

ARM = load_arm("hebi_chopsticks")


def settings(**changes):
    values = {
        "keypoints": 4,
        "joints": 6,
        "history": 3,
        "horizon": 8,
        "dt": 1 / 15,
        "hidden": 16,
        "layers": 1,
        "focal": 80.0,
        "centre": (320.0, 240.0),
        "joint_centre": (0.0,) * 6,
        "joint_scale": (1.0,) * 6,
        "action_scale": 0.05,
        "gripper_centre": -0.6,
        "gripper_scale": 0.25,
        "robot": "hebi_chopsticks",
    }
    return KeypointMlpSettings(**{**values, **changes})


def test_the_tool_is_where_the_kinematics_say():
    joints = np.random.default_rng(0).uniform(ARM.lower, ARM.upper, (20, 6))
    positions, axes = ToolFeatures(ARM).pose(torch.tensor(joints, dtype=torch.float32))
    poses = np.array([SerialChain(ARM).tool_pose(posture) for posture in joints])
    np.testing.assert_allclose(positions, poses[:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(axes, poses[:, :3, 2], atol=1e-5)


def test_width_is_that_of_the_features():
    features = ToolFeatures(ARM)(torch.zeros(2, 3, 6))
    assert features.shape == (2, ToolFeatures.width(3))


def test_a_millimetre_shows():
    tool, chain = ToolFeatures(ARM), SerialChain(ARM)
    change = np.linalg.pinv(chain.jacobian(ARM.home)[:3]) @ [0, 0, 0.001]
    joints = torch.tensor(np.array([ARM.home, ARM.home + change]), dtype=torch.float32)[:, None]
    one, other = tool(joints)
    assert float((one - other).abs().max()) > 0.1


def test_weights_do_not_hold_the_kinematics(tmp_path):
    network = KeypointMlp(settings())
    assert not [name for name in network.state_dict() if name.startswith("tool")]
    policy = KeypointMlpPolicy(network)
    card = policy.save(tmp_path / "policy.safetensors")
    assert KeypointMlpPolicy.load(tmp_path / "policy.safetensors", card).settings == policy.settings


def test_an_arm_with_other_joints_is_refused():
    with pytest.raises(InputError, match="6 joints, not 5"):
        KeypointMlp(settings(joints=5, joint_centre=(0.0,) * 5, joint_scale=(1.0,) * 5))


def test_an_unknown_robot_is_refused(tmp_path):
    policy = KeypointMlpPolicy(KeypointMlp(settings()))
    card = policy.save(tmp_path / "policy.safetensors")
    with pytest.raises(CheckpointError, match="nobody"):
        KeypointMlpPolicy.load(tmp_path / "policy.safetensors", {**card, "robot": "nobody"})

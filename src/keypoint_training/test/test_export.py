"""The exported checkpoint is what deployment loads, and nothing else passes for it."""

import json

import numpy as np
import pytest

from keypoint_core.checkpoint import CARD, load_checkpoint
from keypoint_core.errors import CheckpointError, InputError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpPolicy, KeypointMlpSettings
from keypoint_core.types import Frame, Observation, RobotState
from keypoint_sim.truth import ReferenceView
from keypoint_training.annotate import annotate
from keypoint_training.export import camera_in_base, export_checkpoint, rig_of
from keypoint_training.rollout import as_keypoints
from keypoint_training.tracks import NO_NOISE, NoisyTracks


@pytest.fixture(scope="module")
def policy(settings):
    shape = KeypointMlpSettings(
        keypoints=8,
        joints=6,
        history=2,
        horizon=8,
        dt=1 / 15,
        hidden=32,
        layers=1,
        focal=200.0,
        centre=(320.0, 240.0),
        joint_centre=(0.0,) * 6,
        joint_scale=(1.0,) * 6,
        action_scale=0.1,
        gripper_centre=-0.6,
        gripper_scale=0.25,
    )
    return KeypointMlpPolicy(KeypointMlp(shape))


@pytest.fixture
def checkpoint(tmp_path, world, policy, settings, pixels):
    """An exported folder; its reference is drawn by nobody, to be quick."""
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    depth = rng.uniform(0.5, 1.5, (480, 640)).astype(np.float32)
    depth[:5] = np.nan
    view = ReferenceView(Frame(0, color, depth, world.camera.intrinsics), np.eye(4))
    folder = tmp_path / "atk"
    export_checkpoint(
        folder, rig_of(world), view.frame, pixels, policy, settings, {"seed": 0}, {"success_rate": 1.0}, "atk"
    )
    return folder, view


def test_it_holds_what_was_exported(checkpoint, policy, pixels):
    folder, view = checkpoint
    loaded = load_checkpoint(folder)
    reference = loaded.reference()
    np.testing.assert_array_equal(reference.color, view.frame.color)
    np.testing.assert_allclose(reference.depth, view.frame.depth, atol=6e-4)
    np.testing.assert_array_equal(reference.pixels, pixels)
    assert loaded.card.task == "clock_button"
    assert loaded.card.training["settings"]["noise"]["kick"] == 0.01

    keypoints = as_keypoints(
        NoisyTracks(NO_NOISE, 8, np.random.default_rng(0)).step(pixels, np.ones(8, bool), pixels[0]), 0
    )
    observation = Observation(keypoints, RobotState(0, np.zeros(6), np.zeros(6), np.zeros(6), -0.6))
    policy.reset()
    np.testing.assert_array_equal(loaded.load_policy().act(observation).positions, policy.act(observation).positions)


def test_it_fits_the_camera_and_arm_it_was_made_for(checkpoint, world):
    loaded = load_checkpoint(checkpoint[0])
    loaded.require_camera(world.camera.intrinsics)
    loaded.require_joints(world.arm.joint_names)
    loaded.require_rate(world.timing.camera_rate)


def test_the_camera_pose_is_given_in_the_base_frame(checkpoint, world):
    pose = np.array(load_checkpoint(checkpoint[0]).card.camera_pose)
    np.testing.assert_allclose(pose, camera_in_base(world), atol=1e-6)
    x, y, z = world.robot.base
    np.testing.assert_allclose(pose[:3, 3] + [x, y, z], world.camera.position, atol=1e-6)


@pytest.mark.parametrize("name", ["policy.safetensors", "reference.png", "reference_depth.png"])
def test_an_altered_file_is_refused(checkpoint, name):
    path = checkpoint[0] / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(checkpoint[0])


def test_a_missing_file_is_refused(checkpoint):
    (checkpoint[0] / "policy.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"policy\.safetensors"):
        load_checkpoint(checkpoint[0])


def test_exporting_again_leaves_nothing_old(checkpoint, world, policy, settings, pixels):
    folder, view = checkpoint
    (folder / "old.safetensors").write_bytes(b"old")
    export_checkpoint(folder, rig_of(world), view.frame, pixels, policy, settings, {}, {}, "atk")
    assert not (folder / "old.safetensors").exists()
    assert (folder / CARD).is_file()


def write_summary(folder, **changes):
    figures = {"task": "clock_button", "mode": "in_process", "condition": "light", "trials": 50, "successes": 48}
    folder.mkdir(exist_ok=True)
    (folder / "summary.json").write_text(json.dumps({**figures, **changes}))
    return folder


def test_figures_of_an_evaluation_go_on_the_card(checkpoint, tmp_path):
    annotate(checkpoint[0], write_summary(tmp_path / "run"))
    card = load_checkpoint(checkpoint[0]).card
    assert card.metrics["in_process_light"]["successes"] == 48
    assert card.metrics["success_rate"] == 1.0


def test_figures_of_another_task_are_refused(checkpoint, tmp_path):
    with pytest.raises(InputError, match="kettle"):
        annotate(checkpoint[0], write_summary(tmp_path / "run", task="kettle"))


def test_a_run_without_figures_is_refused(checkpoint, tmp_path):
    with pytest.raises(InputError, match=r"no summary\.json"):
        annotate(checkpoint[0], tmp_path)

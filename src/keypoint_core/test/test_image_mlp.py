"""Policies that look at pictures: what they see, and what they refuse."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from keypoint_core.errors import CheckpointError, InputError
from keypoint_core.policies import POLICIES
from keypoint_core.policies.image_mlp import (
    MODALITIES,
    ImageMlp,
    ImageMlpPolicy,
    ImageMlpSettings,
    Picture,
    _soft_argmax,
    shrink,
)
from keypoint_core.policies.keypoint_mlp import KeypointMlpSettings
from keypoint_core.types import Frame, Intrinsics, Keypoints, Observation, RobotState

INTRINSICS = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
HEAD = KeypointMlpSettings(
    keypoints=4,
    joints=6,
    history=1,
    horizon=3,
    dt=0.05,
    hidden=16,
    layers=1,
    focal=80.0,
    centre=(320.0, 240.0),
    joint_centre=(0.0,) * 6,
    joint_scale=(1.0,) * 6,
    action_scale=0.05,
    gripper_centre=0.0,
    gripper_scale=1.0,
    gripper_input=True,
)
NO_KEYPOINTS = Keypoints(
    7,
    np.empty(0, np.int32),
    np.empty((0, 2), np.float32),
    np.empty(0, np.float32),
    np.empty(0, np.uint8),
    np.empty((0, 3), np.float32),
)


def settings(modality: str) -> ImageMlpSettings:
    return ImageMlpSettings(modality, 32, 24, 0.3, 1.6, 40, HEAD)


def policy(modality: str) -> ImageMlpPolicy:
    torch.manual_seed(0)
    return ImageMlpPolicy(ImageMlp(settings(modality), INTRINSICS))


def frame(seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.4, 1.4, (48, 64)).astype(np.float32)
    depth[:10] = np.nan
    return Frame(7, rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), depth, INTRINSICS)


def seen(picture: Frame | None, gripper: float = 0.2, joints: int = 6) -> Observation:
    state = RobotState(7, np.zeros(joints), np.zeros(joints), np.zeros(joints), gripper)
    return Observation(NO_KEYPOINTS, state, picture)


def test_shrinking_mixes_colour_and_picks_depth() -> None:
    color = np.zeros((48, 64, 3), np.uint8)
    color[:, ::2] = 200
    depth = np.full((48, 64), 1.0, np.float32)
    depth[:, ::2], depth[0, 0] = 0.5, np.nan
    small = shrink(Frame(0, color, depth, INTRINSICS), 32, 24)
    assert small.color.shape == (24, 32, 3) and set(np.unique(small.color)) == {100}
    assert small.depth.dtype == np.uint16 and set(np.unique(small.depth)) <= {0, 500, 1000}, "never a depth between"
    assert small.depth[0, 0] == 0
    with pytest.raises(InputError, match="need depth beside colour"):
        shrink(Frame(0, color, None, INTRINSICS), 32, 24)


def test_soft_argmax_finds_the_place() -> None:
    scores = torch.full((1, 2, 3, 5), -50.0)
    scores[0, 0, 2, 0], scores[0, 1, 1, 2] = 50.0, 50.0
    torch.testing.assert_close(_soft_argmax(scores), torch.tensor([[[-1.0, 1.0], [0.0, 0.0]]]))


@pytest.mark.parametrize("modality", MODALITIES)
class TestEveryModality:
    def test_looks_at_its_own_part_of_the_frame_alone(self, modality: str) -> None:
        one, first, other = policy(modality), frame(0), frame(1)
        base = one.act(seen(first)).positions
        np.testing.assert_array_equal(base, one.act(seen(first)).positions)
        own = replace(first, color=other.color) if modality == "rgb" else replace(first, depth=other.depth)
        rest = replace(first, depth=other.depth) if modality == "rgb" else replace(first, color=other.color)
        assert np.abs(one.act(seen(own)).positions - base).max() > 0
        np.testing.assert_array_equal(one.act(seen(rest)).positions, base)
        assert np.abs(one.act(seen(first, gripper=0.9)).positions - base).max() > 0, "and at the gripper"

    def test_survives_its_file(self, modality: str, tmp_path) -> None:
        one = policy(modality)
        saved = one.save(tmp_path / "policy.safetensors")
        again = POLICIES.load("image_mlp").load(tmp_path / "policy.safetensors", saved)
        np.testing.assert_array_equal(one.act(seen(frame())).positions, again.act(seen(frame())).positions)
        chunk = again.act(seen(frame()))
        assert chunk.positions.shape == (3, 6) and chunk.gripper.shape == (3,) and chunk.stamp == 7

    def test_a_scene_without_any_depth_is_no_crash(self, modality: str) -> None:
        blind = replace(frame(), depth=np.full((48, 64), np.nan, np.float32))
        assert np.isfinite(policy(modality).act(seen(blind)).positions).all()

    def test_can_be_trained(self, modality: str) -> None:
        network = ImageMlp(settings(modality), INTRINSICS)
        picture = shrink(frame(), 32, 24)
        color, depth = torch.from_numpy(picture.color[None]), torch.from_numpy(picture.depth[None].astype(np.int32))
        network(color, depth, torch.zeros(1, 1, 6), torch.zeros(1, 1)).sum().backward()
        assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in network.encoder.parameters())


def test_a_cloud_lies_in_front_of_the_camera() -> None:
    network = ImageMlp(settings("point_cloud"), INTRINSICS)
    depth = np.zeros((24, 32), np.int32)
    depth[12, 16], depth[0, 0], depth[5, 5] = 950, 100, 3000  # one of them in the range
    cloud = network._cloud(torch.from_numpy(depth[None]), None)
    assert cloud.shape == (1, 40, 3), "what there is, repeated"
    ray = (np.array([(16.5) * 2 - 0.5, (12.5) * 2 - 0.5]) - [31.5, 23.5]) / 50
    expected = (np.array([*(ray * 0.95), 0.95]) - [0, 0, 0.95]) / 1.3 * 2
    np.testing.assert_allclose(cloud[0].numpy(), np.tile(expected, (40, 1)), atol=1e-5)


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (seen(None), "the observation has none"),
        (seen(frame(), gripper=float("nan")), "needs the measured gripper"),
        (seen(frame(), joints=7), "takes 6 joints, got 7"),
    ],
)
def test_says_what_it_lacks(observation: Observation, words: str) -> None:
    with pytest.raises(InputError, match=words):
        policy("rgb").act(observation)


def test_settings_and_weights_that_do_not_fit(tmp_path) -> None:
    with pytest.raises(InputError, match="one of rgb, depth, point_cloud, got 'sound'"):
        settings("sound")
    with pytest.raises(InputError, match="see one frame"):
        replace(settings("rgb"), head=replace(HEAD, history=2))
    saved = policy("rgb").save(tmp_path / "p.safetensors")
    for wrong in (
        {**saved, "modality": "depth"},
        {**saved, "head": 3},
        {k: v for k, v in saved.items() if k != "head"},
    ):
        with pytest.raises(CheckpointError, match="do not fit"):
            ImageMlpPolicy.load(tmp_path / "p.safetensors", wrong)
    assert asdict(policy("rgb").settings)["modality"] == "rgb" and Picture(*[np.zeros(1)] * 2)

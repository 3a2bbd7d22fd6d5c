"""Supervised learning of the student from labelled episodes, with the track noise drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keypoint_core.arms.description import load_arm
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpSettings
from keypoint_core.types import Intrinsics
from keypoint_training.episodes import Episodes
from keypoint_training.rng import Stream, generator, torch_seed
from keypoint_training.settings import TrainSettings
from keypoint_training.tracks import NoisyTracks, Traits

_MIN_JOINT_SCALE = 0.05  # a joint that hardly moves is not blown up beyond this [rad]
_GRIPPER_TIME = 0.25  # the way that a gripper makes in this time counts as 1 [s]


@dataclass(frozen=True)
class Samples:
    """F frames under K realisations of the noise, and what to do in each.

    Attributes:
        pixels, flags: [F, K, N, 2] float32; flags are seen and visible.
        joints: [F, D] float32 [rad].
        opening: [F] float32, the gripper as measured.
        targets: [F, T, D] float32 [rad].
        gripper: [F, T] float32.
        first: [F] int64, index of the first frame of the same episode.
    """

    pixels: Tensor
    flags: Tensor
    joints: Tensor
    opening: Tensor
    targets: Tensor
    gripper: Tensor
    first: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """B histories as the network takes them, and what it should answer.

    Attributes:
        pixels, flags: [B, H, N, 2].
        joints: [B, H, D] [rad].
        opening: [B, H], the gripper as measured.
        wanted: [B, T, D + 1] normalised targets.
    """

    pixels: Tensor
    flags: Tensor
    joints: Tensor
    opening: Tensor
    wanted: Tensor


def policy_settings(
    settings: TrainSettings, demonstrations: Episodes, camera: Intrinsics, dt: float
) -> KeypointMlpSettings:
    """The policy's shape, with scales from the demonstrations."""
    network = settings.network
    joints = demonstrations.joints
    scale = np.maximum(joints.std(axis=0), _MIN_JOINT_SCALE)
    gripper = load_arm(settings.robot).gripper
    return KeypointMlpSettings(
        keypoints=demonstrations.pixels.shape[1],
        joints=joints.shape[1],
        history=network.history,
        horizon=demonstrations.targets.shape[1],
        dt=dt,
        hidden=network.hidden,
        layers=network.layers,
        focal=network.pixel_scale,
        centre=(camera.width / 2, camera.height / 2),
        joint_centre=tuple(round(float(value), 4) for value in joints.mean(axis=0)),
        joint_scale=tuple(round(float(value), 4) for value in scale),
        action_scale=network.action_scale,
        gripper_centre=round(float(demonstrations.gripper.mean()), 4),
        gripper_scale=gripper.velocity * _GRIPPER_TIME if gripper else 1.0,
        robot=settings.robot,
        gripper_input=network.gripper_input,
    )


def make_samples(
    episodes: Episodes, settings: TrainSettings, rng: np.random.Generator, traits: Traits | None = None
) -> Samples:
    """Runs the track noise over all episodes, `copies` times each; traits as for NoisyTracks."""
    copies, points = settings.fit.copies, episodes.pixels.shape[1]
    pixels = np.empty((episodes.frames, copies, points, 2), dtype=np.float32)
    flags = np.empty_like(pixels)
    first = np.repeat(episodes.starts, episodes.lengths)
    for start, length in zip(episodes.starts, episodes.lengths, strict=True):
        noisy = NoisyTracks(settings.noise, points, rng, copies, traits=traits)
        for i in range(start, start + length):
            sample = noisy.step(episodes.pixels[i].astype(np.float64), episodes.visible[i], episodes.tool[i])
            pixels[i], flags[i, ..., 0], flags[i, ..., 1] = sample.pixels, sample.seen, sample.visible
    arrays = (pixels, flags, episodes.joints, episodes.opening, episodes.targets, episodes.gripper)
    return Samples(*(torch.from_numpy(array) for array in arrays), first)


def recorded_samples(episodes: Episodes, copies: int) -> Samples:
    """Episodes whose pixels and visible are tracks already, as many times as others have realisations of the noise."""
    first = np.repeat(episodes.starts, episodes.lengths)
    seen = np.concatenate([np.logical_or.accumulate(part) for part in np.split(episodes.visible, episodes.starts[1:])])
    flags = np.stack([seen, episodes.visible], axis=-1).astype(np.float32)
    tracks = (np.repeat(array[:, None], copies, axis=1) for array in (episodes.pixels, flags))
    arrays = (*tracks, episodes.joints, episodes.opening, episodes.targets, episodes.gripper)
    return Samples(*(torch.from_numpy(array) for array in arrays), first)


def join_samples(one: Samples, other: Samples) -> Samples:
    """Both, of equally many points and realisations."""
    names = [field.name for field in fields(Samples) if field.name != "first"]
    joined = {name: torch.cat([getattr(one, name), getattr(other, name)]) for name in names}
    return Samples(**joined, first=np.concatenate([one.first, other.first + len(one.first)]))


def fit(
    samples: Samples,
    policy: KeypointMlpSettings,
    settings: TrainSettings,
    round_index: int,
    steps: int,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[KeypointMlp, float]:
    """Trains a fresh network; returns it and the mean loss over the last tenth of the steps.

    Bit-equal for equal arguments on the same machine: one thread, and all random numbers from the seed.
    """
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(settings.seed, Stream.WEIGHTS, round_index))
        network = KeypointMlp(policy)
    rng = generator(settings.seed, Stream.BATCHES, round_index)
    options = settings.fit
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    tail: list[float] = []
    for step in range(steps):
        loss = imitation_loss(network, draw_batch(samples, network, settings, rng), options.loss_knee)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step >= steps - max(1, steps // 10):
            value = float(loss.detach())
            progress(step, value)
            tail = [*tail, value] if step >= steps - max(1, steps // 10) else tail
    progress(steps, tail[-1])
    return network, float(np.mean(tail))


def _row_weights(horizon: int) -> Tensor:
    """[T, 1], mean 1: targets farther ahead are farther away and would drown the first ones, which are carried out."""
    weights = 1.0 / torch.arange(1, horizon + 1, dtype=torch.float32)
    return (weights / weights.mean())[:, None]


def imitation_loss(network: KeypointMlp, batch: Batch, knee: float, mask: Tensor | None = None) -> Tensor:
    """Smooth-L1 between what the network answers and the expert's targets.

    Args:
        network: the student.
        batch: of its observations.
        knee: of smooth-L1, in normalised units.
        mask: [N] or [B, N], 1 for points that the network is shown; the others look as if they were never located.
    """
    flags = batch.flags if mask is None else batch.flags * torch.atleast_2d(mask)[:, None, :, None]
    answer = network(batch.pixels, flags, batch.joints, batch.opening)
    return action_loss(answer, batch.wanted, knee)


def action_loss(answer: Tensor, wanted: Tensor, knee: float) -> Tensor:
    """Smooth-L1 between chunks [B, T, D + 1] of normalised targets; near targets count more than far ones."""
    errors = nn.functional.smooth_l1_loss(answer, wanted, reduction="none", beta=knee)
    return (errors * _row_weights(answer.shape[1])).mean()


def draw_batch(samples: Samples, network: KeypointMlp, settings: TrainSettings, rng: np.random.Generator) -> Batch:
    """Histories with frames left out as in deployment, and normalised targets."""
    frames, copies = samples.pixels.shape[:2]
    size = settings.fit.batch
    newest = rng.integers(frames, size=size)
    copy = torch.from_numpy(rng.integers(copies, size=size))[:, None]
    gaps = np.zeros((size, network.settings.history), dtype=np.int64)
    dropped = rng.uniform(0, settings.rollout.dropped, (size, 1))
    gaps[:, 1:] = rng.geometric(np.broadcast_to(1 - dropped, (size, network.settings.history - 1)))
    index = torch.from_numpy(np.maximum(newest[:, None] - np.cumsum(gaps, axis=1), samples.first[newest][:, None]))
    joints, row = samples.joints[index], torch.from_numpy(newest)
    wanted = network.normalise_targets(samples.targets[row], samples.gripper[row], joints[:, 0])
    return Batch(samples.pixels[index, copy], samples.flags[index, copy], joints, samples.opening[index], wanted)

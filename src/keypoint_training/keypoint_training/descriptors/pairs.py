"""Pairs of crops that show the same points: two pictures of a task, or one picture twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from keypoint_core.types import Float32
from keypoint_training.descriptors.augment import Crop, Image, corners, random_crop
from keypoint_training.descriptors.scenes import Scene
from keypoint_training.descriptors.settings import DescriptorTraining
from keypoint_training.rng import Stream, generator

_TRIES = 8  # draws of a pair until it has enough points in common
_ENOUGH = 16


@dataclass(frozen=True)
class Batch:
    """B pairs of crops with N points each.

    Attributes:
        first, second: [B, 3, S, S] float32 in 0..1.
        pixels: [2, B, N, 2] float32 (u, v) of each point in both crops; zeros where it is not seen.
        matched: [B, N] bool, seen in both.
        alone: [B, N] bool, seen in the first and known to be out of sight in the second.
        alike: [B, B] bool, whether two pairs show the same task, and thus perhaps the same thing.
    """

    first: Tensor
    second: Tensor
    pixels: Tensor
    matched: Tensor
    alone: Tensor
    alike: Tensor


class Pairs:
    """Draws the batch of any step; a function of seed and step alone."""

    def __init__(self, scenes: list[Scene], settings: DescriptorTraining) -> None:
        self._settings = settings
        self._tasks = sorted({scene.task for scene in scenes})
        self._scenes = {task: [s for s in scenes if s.task == task and not s.reference] for task in self._tasks}
        self._references = {scene.task: scene for scene in scenes if scene.reference}

    def batch(self, step: int) -> Batch:
        """The pairs of a step."""
        rng = generator(self._settings.seed, Stream.DESCRIPTORS, 3, step)
        count = self._settings.pairs
        order = rng.permutation(len(self._tasks))
        tasks = [self._tasks[order[i % len(order)]] for i in range(count)]
        rows = [self._pair(task, rng) for task in tasks]
        first, second, pixels, matched, alone = (np.stack(column) for column in zip(*rows, strict=True))
        names = np.array([task.removesuffix("_counterclockwise") for task in tasks])
        return Batch(
            _images(first),
            _images(second),
            torch.from_numpy(np.ascontiguousarray(pixels.transpose(1, 0, 2, 3))),
            torch.from_numpy(matched),
            torch.from_numpy(alone),
            torch.from_numpy(names[:, None] == names[None]),
        )

    def _pair(self, task: str, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Images of both crops, pixels [2, N, 2], matched [N], alone [N]."""
        same = rng.random() < self._settings.same
        for _ in range(_TRIES):
            one, two, known = self._same(task, rng) if same else self._different(task, rng)
            if (one.visible & two.visible).sum() >= _ENOUGH:
                break
        return self._choose(one, two, known, rng)

    def _same(self, task: str, rng: np.random.Generator) -> tuple[Crop, Crop, bool]:
        """One picture twice, with points wherever it has texture."""
        picture, _, _ = self._draw(task, rng)
        places = corners(picture, 600, rng)
        seen = np.ones(len(places), dtype=bool)
        centre = places[rng.integers(len(places))] if len(places) else np.array(picture.shape[1::-1]) / 2
        crops = [random_crop(picture, places, seen, centre, self._settings.augmentation, rng) for _ in range(2)]
        return crops[0], crops[1], True

    def _different(self, task: str, rng: np.random.Generator) -> tuple[Crop, Crop, bool]:
        """Two pictures of the task, in either of which anything may have moved; both around one of its points."""
        shots = [self._draw(task, rng) for _ in range(2)]
        known = True
        if rng.random() < self._settings.reference:
            scene, known = self._references[task], False
            shots[1] = (np.asarray(scene.color[0]), scene.pixels[0], scene.visible[0])
        both = np.flatnonzero(shots[0][2] & shots[1][2])
        index = int(rng.choice(both)) if len(both) else int(rng.integers(len(shots[0][2])))
        crops = []
        for picture, pixels, visible in shots:
            centre = pixels[index] if visible[index] else np.array(picture.shape[1::-1]) / 2
            crops.append(random_crop(picture, pixels, visible, centre, self._settings.augmentation, rng))
        return crops[0], crops[1], known

    def _draw(self, task: str, rng: np.random.Generator) -> tuple[Image, Float32, np.ndarray]:
        """A picture of the task with its points."""
        scenes = self._scenes[task]
        scene = scenes[rng.integers(len(scenes))]
        shot = rng.integers(len(scene.color))
        return np.asarray(scene.color[shot]), scene.pixels[shot], scene.visible[shot]

    def _choose(self, one: Crop, two: Crop, known: bool, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """At most N points, a quarter of them such as only the first crop shows."""
        count = self._settings.points
        pixels = np.zeros((2, count, 2), np.float32)
        matched, alone = np.zeros(count, bool), np.zeros(count, bool)
        lone = rng.permutation(np.flatnonzero(one.visible & ~two.visible))[: count // 4 if known else 0]
        both = rng.permutation(np.flatnonzero(one.visible & two.visible))[: count - len(lone)]
        rows = np.concatenate([both, lone])
        pixels[0, : len(rows)] = one.pixels[rows]
        pixels[1, : len(both)] = two.pixels[both]
        matched[: len(both)], alone[len(both) : len(rows)] = True, True
        return one.image, two.image, pixels, matched, alone


def _images(images: np.ndarray) -> Tensor:
    """[B, S, S, 3] uint8 -> [B, 3, S, S] float32 in 0..1, channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255.0).contiguous(memory_format=torch.channels_last)

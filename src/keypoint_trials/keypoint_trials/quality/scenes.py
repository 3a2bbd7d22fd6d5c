"""Scenes that a correspondence is measured on: seeded poses, textures and lights, and hard ones on top.

Hard scenes give misses to tell from hits: part of the object covered, overexposed, nearly dark, or blurred by motion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64, Frame
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World

PLAIN = "plain"
_STREAM = 99  # of random numbers
Rng = np.random.Generator
Change = Callable[[Frame, Float64, Rng], Frame]


@dataclass(frozen=True)
class Scene:
    """One frame with its truth.

    Attributes:
        frame: as the camera gave it.
        truth: [N, 2] exact pixels of the keypoints.
        visible: [N] bool, in the image and not covered.
    """

    frame: Frame
    truth: Float64
    visible: NDArray[np.bool_]


def cover(frame: Frame, truth: Float64, rng: Rng) -> Frame:
    """A sheet in front of 30-80 % of the object's width."""
    low, high = truth.min(axis=0) - 12, truth.max(axis=0) + 12
    width = (high[0] - low[0]) * rng.uniform(0.3, 0.8)
    left = low[0] if rng.random() < 0.5 else high[0] - width
    top, bottom = max(0, int(low[1])), max(0, int(high[1]))
    area = (slice(top, bottom), slice(max(0, int(left)), max(0, int(left + width))))
    color, shade = frame.color.copy(), rng.integers(40, 220, 3)
    color[area] = shade
    if frame.depth is None or not np.isfinite(frame.depth[area]).any():
        return dataclasses.replace(frame, color=color)
    depth = frame.depth.copy()
    depth[area] = np.nanmedian(depth[area]) - 0.15
    return dataclasses.replace(frame, color=color, depth=depth)


def expose(gain: float) -> Change:
    """More or less light, with the sensor's noise of 2 levels."""

    def changed(frame: Frame, truth: Float64, rng: Rng) -> Frame:
        values = frame.color * gain + rng.normal(0, 2, frame.color.shape)
        return dataclasses.replace(frame, color=np.clip(values, 0, 255).astype(np.uint8))

    return changed


def smear(frame: Frame, truth: Float64, rng: Rng) -> Frame:
    """Motion blur of 9 px in a random direction."""
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    end = np.round(4 + 4 * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    cv2.line(kernel, (8 - int(end[0]), 8 - int(end[1])), end.tolist(), (1.0,))
    color = cv2.filter2D(frame.color, -1, kernel / kernel.sum())
    return dataclasses.replace(frame, color=np.asarray(color, dtype=np.uint8))


HARD: dict[str, Change] = {"covered": cover, "glare": expose(3.0), "dark": expose(0.15), "blurred": smear}


def kinds_of_scenes(n: int, hard: float) -> list[str]:
    """The kind of each scene: n plain ones, then hard ones in turn, as a share of n."""
    return [PLAIN] * n + [list(HARD)[i % len(HARD)] for i in range(round(n * hard))]


def make_scene(world: World, points: SurfacePoints, seed: int, condition: str, kind: str) -> Scene:
    """Puts a scene up and takes its picture; a function of the arguments alone."""
    world.reset(seed, condition)
    frame, (truth, visible, _) = world.capture(), world.tracks(points)
    if kind == PLAIN:
        return Scene(frame, truth, visible)
    changed = HARD[kind](frame, truth, np.random.default_rng(np.random.SeedSequence([seed, _STREAM])))
    return Scene(changed, truth, visible & ~_covered(frame, changed, truth))


def _covered(before: Frame, after: Frame, pixels: Float64) -> NDArray[np.bool_]:
    """[N] bool: whether something was put before these pixels."""
    if before.depth is None or after.depth is None:
        return np.zeros(len(pixels), dtype=bool)
    limit = [before.intrinsics.width - 1, before.intrinsics.height - 1]
    column, row = np.clip(np.round(pixels), 0, limit).astype(int).T
    same = np.isclose(before.depth[row, column], after.depth[row, column], equal_nan=True)
    return np.asarray(~same, dtype=np.bool_)

"""A grey sheet that is held before the object for a time, in colour and in depth.

The arm alone rarely hides everything, and a hand is gone after a second. The sheet slides in from the left or the right,
hides every point that is followed, and slides out again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import SECOND, Float32, Float64, Frame, Intrinsics
from keypoint_trials.quality.episodes import Truth

SECONDS = 2.0  # that it hides all points for
START = (0.5, 1.0)  # when it begins to slide in [s]
SLIDE = 0.25  # that it takes to slide in, and again to slide out [s]
MARGIN = 20  # that it extends beyond the points [px]
NEARER = 0.75  # its distance as a part of that of the nearest point
NOISE = 2.0  # of the sensor [grey levels]
_STREAM = 7001  # of random numbers; no other one of a seed is this


@dataclass(frozen=True)
class Sheet:
    """One sheet; rows and columns may lie outside the image.

    Attributes:
        start, stop: when it begins to slide in, and has slid out [s].
        left, right: columns that it covers while it stays [px].
        top, bottom: rows that it covers [px].
        travel: by what it is off to the side before and after [px]; negative to the left.
        depth: distance from the camera [m].
        texture: [bottom - top, right - left] float32 grey levels.
        seed: of the noise.
    """

    start: float
    stop: float
    left: int
    right: int
    top: int
    bottom: int
    travel: float
    depth: float
    texture: Float32
    seed: int

    def columns(self, seconds: float) -> tuple[int, int] | None:
        """First column and the one behind the last that it covers at a time; None while it is away."""
        if not self.start < seconds < self.stop:
            return None
        away = max(0.0, 1 - min(seconds - self.start, self.stop - seconds) / SLIDE)
        shift = round(self.travel * away)
        return self.left + shift, self.right + shift

    def hides(self, pixels: Float64, seconds: float) -> NDArray[np.bool_]:
        """[N] bool: which pixels [N, 2] it covers at a time."""
        columns = self.columns(seconds)
        if columns is None:
            return np.zeros(len(pixels), dtype=bool)
        u, v = np.round(pixels).T
        inside = (u >= columns[0]) & (u < columns[1]) & (v >= self.top) & (v < self.bottom)
        return np.asarray(inside, dtype=np.bool_)

    def before(self, frame: Frame) -> Frame:
        """The frame with the sheet in it."""
        columns = self.columns(frame.stamp / SECOND)
        if columns is None:
            return frame
        height, width = frame.color.shape[:2]
        rows = slice(max(0, self.top), min(height, self.bottom))
        across = slice(max(0, columns[0]), min(width, max(0, columns[1])))
        part = self.texture[rows.start - self.top : rows.stop - self.top, across.start - columns[0] :]
        part = part[:, : across.stop - across.start]
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, _STREAM, frame.stamp]))
        color = frame.color.copy()
        color[rows, across] = np.clip(part[..., None] + rng.normal(0, NOISE, (*part.shape, 3)), 0, 255).astype(np.uint8)
        if frame.depth is None:
            return replace(frame, color=color)
        depth = frame.depth.copy()
        depth[rows, across] = self.depth * (1 + rng.normal(0, 0.001, part.shape))
        return replace(frame, color=color, depth=depth)


def start_of(seed: int) -> float:
    """When the sheet of a seed begins to slide in [s]; drawn first, so that an episode can be made long enough."""
    return float(_generator(seed).uniform(*START))


def plan_sheet(truth: Truth, intrinsics: Intrinsics, seconds: float, seed: int) -> Sheet:
    """A sheet that hides all points of an episode for a time.

    Args:
        truth: of the episode without it.
        intrinsics: of the camera.
        seconds: that it hides them.
        seed: of the episode.
    """
    rng = _generator(seed)
    start = float(rng.uniform(*START))
    stop = start + 2 * SLIDE + seconds
    time = truth.stamps / SECOND
    during = (time > start) & (time < stop)
    low = np.floor(truth.pixels[during].min(axis=(0, 1))).astype(int) - MARGIN
    high = np.ceil(truth.pixels[during].max(axis=(0, 1))).astype(int) + MARGIN
    (left, top), (right, bottom) = np.maximum(low, -MARGIN).tolist(), _least(high, intrinsics)
    travel = right if rng.random() < 0.5 else left - intrinsics.width
    depth = NEARER * float(truth.points[during][..., 2].min())
    texture = _texture((bottom - top, right - left), rng)
    return Sheet(start, stop, left, right, top, bottom, -float(travel), depth, texture, seed)


def hide(truth: Truth, sheet: Sheet) -> Truth:
    """The truth with what the sheet covers flagged invisible."""
    hidden = [sheet.hides(pixels, stamp / SECOND) for pixels, stamp in zip(truth.pixels, truth.stamps, strict=True)]
    return replace(truth, visible=truth.visible & ~np.array(hidden))


def _least(high: NDArray[np.int64], intrinsics: Intrinsics) -> tuple[int, int]:
    right, bottom = np.minimum(high, [intrinsics.width + MARGIN, intrinsics.height + MARGIN]).tolist()
    return right, bottom


def _texture(size: tuple[int, int], rng: np.random.Generator) -> Float32:
    """Woven grey: a coarse and a fine pattern."""
    coarse = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 12)
    fine = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 1.2)
    pattern = 18 * coarse / max(float(coarse.std()), 1e-6) + 10 * fine / max(float(fine.std()), 1e-6)
    return np.asarray(rng.uniform(90, 170) + pattern, dtype=np.float32)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))

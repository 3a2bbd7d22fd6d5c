"""Points all over the first image, looked for in every later one where a camera that did not move would see them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.geometry.camera import deproject
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float32, Float64, Frame

_SCALE = 2  # the image is halved: four times cheaper, and a tenth of a pixel is still seen
_TABLE = np.log(np.arange(256, dtype=np.float32) + 20.0)  # +20: noise of dark pixels is not blown up
_TERMINATION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 15, 0.02)


@dataclass(frozen=True)
class StaticPointsSettings:
    """Which points are taken and when they count as found again. Pixels are those of the halved image.

    Attributes:
        cell: side of the squares of which each gives at most one point [px].
        maximum: the strongest points that are taken.
        border: kept free along the image's edges [px].
        quality: least eigenvalue of the gradients' tensor at a point.
        window: side of the patch that is looked for [px].
        levels: of the pyramid above the image.
        difference: mean difference between the first patch and what was found, above which it is not it [levels].
        blur, surround: sides of the two boxes whose difference is looked at [px].
        contrast: levels per unit of the logarithm of brightness.
    """

    cell: int = 24
    maximum: int = 64
    border: int = 10
    quality: float = 2e-4
    window: int = 15
    levels: int = 3
    difference: float = 14.0
    blur: int = 3
    surround: int = 25
    contrast: float = 150.0


class StaticPoints:
    """M points of the first frame with depth, and where they are now.

    Flow starts from the first appearance each time, so nothing drifts. It compares local contrast of the brightness'
    logarithm: other light changes brightness everywhere, but hardly that.

    Args:
        settings: see there.
    """

    def __init__(self, settings: StaticPointsSettings | None = None) -> None:
        self._settings = settings or StaticPointsSettings()
        self._first: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._start: Float32 = np.empty((0, 2), np.float32)
        self.points: Float64 = np.empty((0, 3))
        self.cells: NDArray[np.int64] = np.empty((0, 2), np.int64)

    def __len__(self) -> int:
        return len(self.points)

    def start(self, frame: Frame) -> None:
        """Chooses points; none where the frame has no depth.

        `points` [M, 3] are in that frame's optical frame [m], `cells` [M, 2] are the squares that they come from.
        """
        self._first = self._contrast(frame)
        corners, cells = self._corners(self._first)
        pixels = corners * _SCALE + (_SCALE - 1) / 2
        depth = np.full(len(pixels), np.nan) if frame.depth is None else depth_at(frame.depth, pixels)
        known = np.flatnonzero(np.isfinite(depth))[: self._settings.maximum]
        self._start = corners[known].astype(np.float32)
        self.points = deproject(pixels[known], depth[known], frame.intrinsics)
        self.cells = cells[known]

    def follow(self, frame: Frame, expected: Float64) -> tuple[Float64, NDArray[np.bool_]]:
        """Where the points are.

        Args:
            frame: of the first one's size.
            expected: [M, 2] pixels where they are looked for first.

        Returns:
            Pixels [M, 2], and which [M] look like they did at first.
        """
        if len(self) == 0:
            return np.empty((0, 2)), np.empty(0, np.bool_)
        s, now = self._settings, self._contrast(frame)
        guess = ((expected - (_SCALE - 1) / 2) / _SCALE).astype(np.float32).reshape(-1, 1, 2)
        moved, found, difference = cv2.calcOpticalFlowPyrLK(
            self._first,
            now,
            self._start.reshape(-1, 1, 2),
            guess,
            winSize=(s.window, s.window),
            maxLevel=s.levels,
            criteria=_TERMINATION,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        place = np.asarray(moved[:, 0], dtype=np.float64)
        good = (found[:, 0] == 1) & (difference[:, 0] <= s.difference) & np.isfinite(place).all(axis=1)
        height, width = now.shape
        good &= ((place >= 0) & (place <= (width - 1, height - 1))).all(axis=1)
        return np.nan_to_num(place) * _SCALE + (_SCALE - 1) / 2, np.asarray(good, dtype=np.bool_)

    def _contrast(self, frame: Frame) -> NDArray[np.uint8]:
        """[H / 2, W / 2]: logarithm of brightness less that of the surroundings."""
        s = self._settings
        gray = cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY)
        half = cv2.resize(gray, None, fx=1 / _SCALE, fy=1 / _SCALE, interpolation=cv2.INTER_AREA)
        bright = cv2.LUT(half, _TABLE)
        fine = cv2.blur(bright, (s.blur, s.blur))
        coarse = cv2.blur(bright, (s.surround, s.surround))
        return np.asarray(cv2.addWeighted(fine, s.contrast, coarse, -s.contrast, 128.0, dtype=cv2.CV_8U), np.uint8)

    def _corners(self, image: NDArray[np.uint8]) -> tuple[Float64, NDArray[np.int64]]:
        """The best corner [M, 2] of each square, the strongest first, and the squares (column, row) [M, 2]."""
        s = self._settings
        strength = cv2.cornerMinEigenVal(image, s.window // 2)
        inner = strength[s.border : -s.border, s.border : -s.border]
        rows, columns = inner.shape[0] // s.cell, inner.shape[1] // s.cell
        squares = inner[: rows * s.cell, : columns * s.cell].reshape(rows, s.cell, columns, s.cell)
        squares = squares.transpose(0, 2, 1, 3).reshape(rows * columns, -1)
        best, strongest = squares.argmax(axis=1), squares.max(axis=1)
        order = np.argsort(-strongest, kind="stable")
        good = order[strongest[order] >= s.quality]
        cells = np.stack([good % max(columns, 1), good // max(columns, 1)], axis=1)
        within = np.stack([best[good] % s.cell, best[good] // s.cell], axis=1)
        return (cells * s.cell + within + s.border).astype(np.float64), cells.astype(np.int64)

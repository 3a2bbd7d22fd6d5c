"""Which pixels around a keypoint belong to the surface that it is on, from one depth image.

What lies behind the outline of a small thing changes as soon as that moves, and must not count as its looks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32

Int32 = NDArray[np.int32]

_JUMP = 0.010  # depths in a square of three pixels that differ by more than this at a metre are of two surfaces [m]
_FEWEST = 30  # pixels of a surface; fewer are noise
_CLOSE = 2  # that far around a pixel its part is looked for [px]
_SQUARE = np.ones((3, 3), np.uint8)


def surface_parts(depth: Float32 | None, shape: tuple[int, ...]) -> Int32:
    """[H, W] = shape: a number for every stretch of surface without a jump; 0 where it jumps and where depth is unknown."""
    if depth is None:
        return np.zeros(shape, np.int32)
    known = np.isfinite(depth)
    far = cv2.dilate(np.where(known, depth, 0.0).astype(np.float32), _SQUARE)
    near = cv2.erode(np.where(known, depth, 1e3).astype(np.float32), _SQUARE)
    smooth = known & (far - near <= _JUMP * np.maximum(near, 0.5) ** 2)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(smooth.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    parts[(stats[:, cv2.CC_STAT_AREA] < _FEWEST)[parts]] = 0
    return np.asarray(parts, dtype=np.int32)


def part_at(parts: Int32, pixels: Float32) -> Int32:
    """[N] the part that most of what surrounds each of pixels [N, 2] closely is on; 0 where there is none."""
    padded, result = np.pad(parts, _CLOSE), np.zeros(len(pixels), np.int32)
    for row, (u, v) in enumerate(np.round(pixels).astype(int)):
        near = padded[v : v + 2 * _CLOSE + 1, u : u + 2 * _CLOSE + 1]
        result[row] = np.bincount(near[near > 0]).argmax() if near.any() else 0
    return result


def own_surface(parts: Int32, pixels: Float32, radius: int) -> NDArray[np.bool_]:
    """[N, (2 radius + 1)^2] bool: which of the pixels around pixels [N, 2] are not on another part than these.

    Next to another part, where depth mixes both, they are not its own either; where nothing is known all are.
    """
    padded, side = np.pad(parts, radius + 1), 2 * radius + 3
    own = np.ones((len(pixels), (side - 2) ** 2), dtype=np.bool_)
    for row, (mine, (u, v)) in enumerate(zip(part_at(parts, pixels), np.round(pixels).astype(int), strict=True)):
        window = padded[v : v + side, u : u + side]
        other = cv2.dilate(((window > 0) & (window != mine)).astype(np.uint8), _SQUARE)
        own[row] = (mine == 0) | (other[1:-1, 1:-1].ravel() == 0)
    return own

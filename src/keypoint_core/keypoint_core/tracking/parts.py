"""Which pixels around a keypoint belong to the surface that it is on, from one depth image.

What lies behind the outline of a small thing changes as soon as that moves, and must not count as its looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32

Int32 = NDArray[np.int32]

_JUMP = 0.010  # depths in a square of three pixels that differ by more than this at a metre are of two surfaces [m]
_FEWEST = 150  # pixels of a surface; fewer are noise, as on glass
_CLOSE = 3  # that far around a pixel its part is looked for [px]
_FAR = 1e3  # [m]
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Parts:
    """Stretches of surface without a jump.

    Attributes:
        labels: [H, W] a number for each; 0 where depth jumps and where it is unknown.
        depth: [H, W] [m]; far away where there is no number.
    """

    labels: Int32
    depth: Float32

    @classmethod
    def of(cls, depth: Float32 | None, shape: tuple[int, ...]) -> Parts:
        """Of a depth image [H, W] = shape; without one everything is unknown."""
        if depth is None:
            return cls(np.zeros(shape, np.int32), np.full(shape, _FAR, np.float32))
        known = np.isfinite(depth)
        far = cv2.dilate(np.where(known, depth, 0.0).astype(np.float32), _SQUARE)
        near = cv2.erode(np.where(known, depth, _FAR).astype(np.float32), _SQUARE)
        smooth = known & (far - near <= _JUMP * np.maximum(near, 0.5) ** 2)
        _, found, stats, _ = cv2.connectedComponentsWithStats(smooth.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        labels = np.where((stats[:, cv2.CC_STAT_AREA] >= _FEWEST)[found], found, 0).astype(np.int32)
        return cls(labels, np.where(labels > 0, depth, _FAR).astype(np.float32))


def part_at(parts: Parts, pixels: Float32) -> Int32:
    """[N] the nearest part to the camera within few pixels of pixels [N, 2]; 0 where there is none.

    An outline is that of the thing in front, and keypoints are located to some pixels only.
    """
    labels, depth = np.pad(parts.labels, _CLOSE), np.pad(parts.depth, _CLOSE, constant_values=_FAR)
    result = np.zeros(len(pixels), np.int32)
    for row, (u, v) in enumerate(np.round(pixels).astype(int)):
        around = np.s_[v : v + 2 * _CLOSE + 1, u : u + 2 * _CLOSE + 1]
        result[row] = labels[around].flat[depth[around].argmin()]
    return result


def own_surface(parts: Parts, pixels: Float32, radius: int) -> NDArray[np.bool_]:
    """[N, (2 radius + 1)^2] bool: which of the pixels around pixels [N, 2] are not on another part than these.

    Next to another part, where depth mixes both, they are not its own either; where nothing is known all are.
    """
    padded, side = np.pad(parts.labels, radius + 1), 2 * radius + 3
    own = np.ones((len(pixels), (side - 2) ** 2), dtype=np.bool_)
    for row, (mine, (u, v)) in enumerate(zip(part_at(parts, pixels), np.round(pixels).astype(int), strict=True)):
        window = padded[v : v + side, u : u + side]
        other = cv2.dilate(((window > 0) & (window != mine)).astype(np.uint8), _SQUARE)
        own[row] = (mine == 0) | (other[1:-1, 1:-1].ravel() == 0)
    return own

"""What speaks for a keypoint being where it is thought to be, and how much that is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64

_REACH = 1  # of the square in which depth is looked at [px]


@dataclass(frozen=True)
class Evidence:
    """Of N keypoints in one frame.

    Attributes:
        distinct: [N] bool, whether the patch can be found by itself.
        likeness: [N] correlation with the template, -1 unknown.
        core: [N] the same of the template's middle only, which less often is partly covered.
        error: [N] distance from where the body's motion puts the keypoint [px].
        support: [N] other points that agree with the body's motion.
        backward: [N] forward-backward error of the flow [px]; NaN for keypoints that were not visible before.
        nearer: [N] by how much what is seen there lies before the keypoint's body [m]; NaN unknown.
        hidden: [N] time since the keypoint was seen before this frame [s], less one frame's.
    """

    distinct: NDArray[np.bool_]
    likeness: Float64
    core: Float64
    error: Float64
    support: NDArray[np.int64]
    backward: Float64
    nearer: Float64
    hidden: Float64

    def take(self, index: NDArray[np.bool_]) -> Evidence:
        """Of the keypoints marked [N]."""
        return Evidence(*(values[index] for values in vars(self).values()))


def nearer(depth: Float32 | None, pixels: Float32 | Float64, expected: Float64) -> Float64:
    """[N] by how much the surface seen at pixels [N, 2] lies before an expected depth [N] [m]; NaN unknown."""
    if depth is None:
        return np.full(len(pixels), np.nan)
    height, width = depth.shape
    span = np.arange(-_REACH, _REACH + 1)
    dv, du = (x.ravel() for x in np.meshgrid(span, span, indexing="ij"))
    centre = np.round(pixels).astype(np.int64)
    columns = np.clip(centre[:, :1] + du, 0, width - 1)
    rows = np.clip(centre[:, 1:] + dv, 0, height - 1)
    seen = np.sort(depth[rows, columns].astype(np.float64), axis=1)  # NaN last
    count = np.isfinite(seen).sum(axis=1)
    middle = np.take_along_axis(seen, np.maximum(count - 1, 0)[:, None] // 2, axis=1)[:, 0]
    return np.where(count >= len(du) // 2, expected - middle, np.nan)

"""Depth at keypoints, robust to edges and holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import deproject
from keypoint_core.types import Float32, Float64, Intrinsics


@dataclass(frozen=True)
class LiftingSettings:
    """How the depth at a keypoint is decided.

    Attributes:
        radius: of the disc around the keypoint [px].
        min_valid: share of the disc that must have depth.
        min_agree: share of the disc's valid depths that must agree with their median.
        tolerance: how far from the median a depth may be to agree [m].
    """

    radius: int = 2
    min_valid: float = 0.5
    min_agree: float = 0.75
    tolerance: float = 0.015


DEFAULT_LIFTING = LiftingSettings()


def depth_at(depth: Float32, pixels: Float32 | Float64, settings: LiftingSettings = DEFAULT_LIFTING) -> Float64:
    """Depth at each keypoint: the median over a small disc, NaN when unsure.

    Unsure means: too few valid depths, or depths on two surfaces (an edge runs through the disc) so that no clear
    majority agrees, or the keypoint's own pixel is on the minority's side.

    Args:
        depth: [H, W] [m], NaN where invalid.
        pixels: [N, 2] (u, v); outside the image gives NaN.
        settings: see there.

    Returns:
        [N] float64 [m].
    """
    values, own = _disc(depth, pixels, settings.radius)
    valid = np.isfinite(values)
    enough = valid.mean(axis=1) >= settings.min_valid
    result = np.full(len(values), np.nan)
    if not enough.any():
        return result
    median = _median(values[enough])
    agree = np.abs(values[enough] - median[:, None]) <= settings.tolerance  # NaN never agrees
    sure = agree.sum(axis=1) >= settings.min_agree * valid[enough].sum(axis=1)
    sure &= ~(np.abs(own[enough] - median) > settings.tolerance)  # a hole at the centre itself is fine
    result[enough] = np.where(sure, median, np.nan)
    return result


def lift(
    depth: Float32 | None,
    pixels: Float32 | Float64,
    intrinsics: Intrinsics,
    settings: LiftingSettings = DEFAULT_LIFTING,
) -> Float64:
    """Points [N, 3] [m] in the optical frame at keypoints [N, 2]; NaN where the depth is missing or unsure."""
    if depth is None:
        return np.full((len(pixels), 3), np.nan)
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise InputError(f"depth {depth.shape} does not have its camera's size {intrinsics.height, intrinsics.width}")
    return deproject(pixels, depth_at(depth, pixels, settings), intrinsics)


def _median(values: Float64) -> Float64:
    """[N] median over the finite ones of values [N, K], at least one each; many times faster than np.nanmedian."""
    count = np.isfinite(values).sum(axis=1)[:, None]
    ordered = np.sort(values, axis=1)  # NaN last
    low = np.take_along_axis(ordered, (count - 1) // 2, axis=1)
    high = np.take_along_axis(ordered, count // 2, axis=1)
    median: Float64 = (low[:, 0] + high[:, 0]) / 2
    return median


def _disc(depth: Float32, pixels: Float32 | Float64, radius: int) -> tuple[Float64, Float64]:
    """Depths [N, K] in the disc around each pixel, and [N] at the pixel itself; NaN outside the image."""
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = u**2 + v**2 <= (radius + 0.5) ** 2
    centre = np.round(np.nan_to_num(pixels, nan=-1e6)).astype(np.int64)
    columns = centre[:, :1] + u[disc]
    rows = centre[:, 1:] + v[disc]
    height, width = depth.shape
    outside = (columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)
    values = depth[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)].astype(np.float64)
    values[outside] = np.nan
    return values, values[:, np.flatnonzero((u[disc] == 0) & (v[disc] == 0))[0]]

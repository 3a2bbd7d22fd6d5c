"""The reference's surface around a pixel: a point, a tangent plane and the pixels that lie on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float32, Float64

_SAME = 0.015  # depths this near to each other are taken for one surface, where nothing better is known [m]
_APART = 0.008  # two candidates for a depth differ by at least this [m]
_FIT_RADIUS = 6  # of the square that a plane is fitted to [px]
_FIT_TOLERANCE = 0.004  # depth errors beyond this lose weight in the fit [m]
_ON_SURFACE = 0.01  # a pixel this near to the plane is on it [m]
_STEEPEST = 0.012  # of a plane [m per px]; beyond, the fit went over an edge


@dataclass(frozen=True)
class Surfaces:
    """N small pieces of surface; a keypoint whose depth is unsure has several.

    Attributes:
        owners: [N] index of the pixel each belongs to.
        pixels: [N, 2] where it is seen in the reference (u, v).
        points: [N, 3] [m] in the reference's optical frame.
        tangents: [N, 3, 2] change of the point [m] per pixel along u and v.
        sure: [N] bool, the depth image leaves no doubt.
    """

    owners: NDArray[np.int64]
    pixels: Float64
    points: Float64
    tangents: Float64
    sure: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.owners)


def surfaces_at(reference: Reference, pixels: Float64) -> Surfaces:
    """The surface at pixels [K, 2] of a reference with depth; up to three candidates each, none where no depth is near."""
    depth = np.asarray(reference.depth)
    sure = depth_at(depth, pixels)
    owners, depths, certain = [], [], []
    for i, (pixel, known) in enumerate(zip(pixels, sure, strict=True)):
        candidates = [float(known)] if np.isfinite(known) else _candidates(depth, pixel)
        owners += [i] * len(candidates)
        depths += candidates
        certain += [bool(np.isfinite(known))] * len(candidates)
    at = np.array(owners, dtype=np.int64)
    places = pixels[at].reshape(-1, 2)
    slopes = np.array([_slope(depth, p, d) for p, d in zip(places, depths, strict=True)]).reshape(-1, 2)
    points = camera.deproject(places, np.array(depths), reference.intrinsics)
    tangents = np.stack(
        [
            camera.deproject(places + step, np.array(depths) + slopes[:, axis], reference.intrinsics) - points
            for axis, step in enumerate(([1.0, 0.0], [0.0, 1.0]))
        ],
        axis=2,
    )
    return Surfaces(at, places, points, tangents, np.array(certain, dtype=np.bool_))


def on_surface(reference: Reference, surfaces: Surfaces, offsets: Float64) -> NDArray[np.bool_]:
    """[N, K] whether the reference's pixels at offsets [K, 2] from each surface's own lie on it.

    Where the surface's own depth is unsure, pixels of unknown depth count as on it: glass has no depth.
    """
    depth = np.asarray(reference.depth)
    height, width = depth.shape
    at = np.round(surfaces.pixels[:, None] + offsets).astype(np.int64)
    inside = ((at >= 0) & (at < [width, height])).all(axis=2)
    u, v = np.clip(at[..., 0], 0, width - 1), np.clip(at[..., 1], 0, height - 1)
    seen = np.where(inside, depth[v, u], np.nan)
    plane = surfaces.points[:, None, 2] + np.einsum("ka,na->nk", offsets, surfaces.tangents[:, 2])
    on = np.abs(seen - plane) <= _ON_SURFACE  # false for NaN
    on |= (~surfaces.sure[:, None] & ~np.isfinite(seen)) & inside
    return np.asarray(on, dtype=np.bool_)


def _candidates(depth: Float32, pixel: Float64) -> list[float]:
    """Depths [m] that an unsure pixel may have: of the nearer and the farther surface around it, near or a bit farther off."""
    found: list[float] = []
    for radius, least in ((4, 6), (12, 20)):
        values = _window(depth, pixel, radius)
        if len(values) < least:
            continue
        for share in (0.15, 0.85):
            around = values[np.abs(values - np.quantile(values, share, method="nearest")) <= _SAME]
            candidate = float(np.median(around))
            if all(abs(candidate - other) > _APART for other in found) and len(found) < 3:
                found.append(candidate)
    return found


def _window(depth: Float32, pixel: Float64, radius: int) -> Float64:
    """The known depths [K] of the square around a pixel."""
    u, v = np.round(pixel).astype(int)
    part = depth[max(0, v - radius) : v + radius + 1, max(0, u - radius) : u + radius + 1]
    values: Float64 = part[np.isfinite(part)].astype(np.float64)
    return values


def _slope(depth: Float32, pixel: Float64, centre: float) -> tuple[float, float]:
    """Change of depth per pixel along u and v [m] of the plane through a pixel of depth `centre`; 0 where unknown."""
    u, v = np.round(pixel).astype(int)
    rows = np.clip(np.arange(v - _FIT_RADIUS, v + _FIT_RADIUS + 1), 0, depth.shape[0] - 1)
    columns = np.clip(np.arange(u - _FIT_RADIUS, u + _FIT_RADIUS + 1), 0, depth.shape[1] - 1)
    rise = (depth[np.ix_(rows, columns)] - centre).astype(np.float64).ravel()
    dv, du = (grid.ravel() for grid in np.meshgrid(rows - pixel[1], columns - pixel[0], indexing="ij"))
    known = np.isfinite(rise) & (np.abs(rise) <= 2 * _SAME)
    if known.sum() < 20:
        return 0.0, 0.0
    a, b, rise = du[known], dv[known], rise[known]
    slope = np.zeros(2)
    for _ in range(4):
        weight = 1.0 / (1.0 + ((rise - slope[0] * a - slope[1] * b) / _FIT_TOLERANCE) ** 2)
        aa, ab, bb = (weight * a * a).sum(), (weight * a * b).sum(), (weight * b * b).sum()
        determinant = aa * bb - ab * ab
        if determinant < 1e-6:
            return 0.0, 0.0
        ra, rb = (weight * a * rise).sum(), (weight * b * rise).sum()
        slope = np.array([bb * ra - ab * rb, aa * rb - ab * ra]) / determinant
    if np.abs(slope).max() > _STEEPEST:
        return 0.0, 0.0
    return float(slope[0]), float(slope[1])

"""Where keypoints lie in space, and how the surface around them is tilted, from one depth image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.tracking.rigid_motion import tangents
from keypoint_core.types import Float32, Float64, Frame

_NOMINAL = 1.0  # depth that is as good as any other when there is none at all [m]
_RADIUS = 6  # of the patch whose tilt is measured [px]
_STEEPEST = 0.35  # cosine between surface and view, below which the tilt is not believed
_ROUGH = 0.006  # mean distance of the depths from a plane, above which the patch is no plane [m]
_FEWEST = 60  # depths that a plane takes


@dataclass(frozen=True)
class Surfaces:
    """The surroundings of N keypoints.

    Attributes:
        points: [N, 3] in the optical frame [m].
        tangents: [N, 3, 2] what a pixel to the right, and one down, is on the surface [m/px].
        sure: [N] bool, whether the depth was measured there; else it is that of the nearest keypoint.
    """

    points: Float64
    tangents: Float64
    sure: NDArray[np.bool_]


def surfaces(frame: Frame, pixels: Float32) -> Surfaces:
    """Measures points and tilts at pixels [N, 2]; a surface whose tilt is unknown faces the camera."""
    intrinsics = frame.intrinsics
    focal, rays = (intrinsics.fx + intrinsics.fy) / 2, camera.rays(pixels, intrinsics)
    if frame.depth is None:
        depth, planes = np.full(len(pixels), np.nan), np.zeros((len(pixels), 3))
    else:
        depth = depth_at(frame.depth, pixels)
        planes = np.array([_plane(frame.depth, frame, pixel) for pixel in pixels]).reshape(-1, 3)
    sure = np.isfinite(depth)
    depth = _filled(depth, pixels)
    points = rays * depth[:, None]
    return Surfaces(points, tangents(rays[:, :2], depth, planes * sure[:, None], focal), sure)


def _plane(depth: Float32, frame: Frame, pixel: Float32) -> Float64:
    """[3] of 1 / z = plane @ (x / z, y / z, 1) around a pixel [1/m]; zero where there is no plane to be seen."""
    u, v = (int(x) for x in np.round(pixel))
    top, left = max(0, v - _RADIUS), max(0, u - _RADIUS)
    rows, columns = np.nonzero(np.isfinite(depth[top : v + _RADIUS + 1, left : u + _RADIUS + 1]))
    z = depth[rows + top, columns + left].astype(np.float64)
    near = np.abs(z - np.median(z)) < 5 * _ROUGH if len(z) else np.zeros(0, dtype=bool)
    if near.sum() < _FEWEST:
        return np.zeros(3)
    places = np.stack([columns + left, rows + top], axis=1)[near].astype(np.float64)
    rays, z = camera.rays(places, frame.intrinsics), z[near]
    plane: Float64 = np.linalg.lstsq(rays, 1 / z, rcond=None)[0]
    facing = (plane @ rays.mean(axis=0)) / (np.linalg.norm(plane) * np.linalg.norm(rays.mean(axis=0)))
    rough = np.abs(1 / np.maximum(rays @ plane, 1e-3) - z).mean() > _ROUGH
    return np.zeros(3) if rough or facing < _STEEPEST else plane


def _filled(depth: Float64, pixels: Float32) -> Float64:
    """Unknown depths [N] become those of the nearest keypoint that has one."""
    known = np.flatnonzero(np.isfinite(depth))
    if len(known) == 0:
        return np.full(len(depth), _NOMINAL)
    away = np.linalg.norm(pixels[:, None] - pixels[known], axis=2)
    return np.where(np.isfinite(depth), depth, depth[known[away.argmin(axis=1)]])

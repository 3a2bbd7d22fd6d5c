"""The motion of one rigid body, from points that were measured once and where they are seen now.

The pixels decide, as errors are made in pixels; depths, where there are any, keep small bodies from tilting and coming
nearer at will. Points whose first depth is unknown lie where their neighbours do; without any depth all lie on one plane
before the camera, and the same six numbers then describe a plane that shifts, turns, tilts and comes nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64

_FEW = 4  # iterations from a start that is nearly right
_DEEPEST = 0.05  # largest relative change of a depth at once
_Z = 0.05  # nearer than that nothing is seen [m]


@dataclass(frozen=True)
class MotionSettings:
    """Of the robust fit (iteratively reweighted Gauss-Newton).

    Attributes:
        iterations: of a fit.
        wide, narrow: scale of the errors that are believed in the first and the last iteration [px]
            (Geman and McClure, 1987); it shrinks in between.
        depth_scale: error of a depth that counts like a pixel, and beyond which it is no longer believed [m].
        turn_prior: weight against turning [px^2/rad^2]: what few or flat points leave open stays as it was.
        shift_prior: the same against moving [px^2/m^2].
    """

    iterations: int = 5
    wide: float = 12.0
    narrow: float = 1.5
    depth_scale: float = 0.008
    turn_prior: float = 100.0
    shift_prior: float = 300.0


@dataclass(frozen=True)
class Sightings:
    """Where N points are seen.

    Attributes:
        rays: [N, 2] (x / z, y / z).
        depth: [N] z [m], NaN unknown.
    """

    rays: Float64
    depth: Float64

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Sightings:
        """Those at an index or mask."""
        return Sightings(self.rays[index], self.depth[index])


@dataclass(frozen=True)
class Motion:
    """A rigid motion in the optical frame since the first frame: x -> rotation @ x + shift.

    Attributes:
        rotation: [3, 3].
        shift: [3] [m].
    """

    rotation: Float64
    shift: Float64

    @classmethod
    def none(cls) -> Motion:
        """Nothing moved."""
        return cls(np.eye(3), np.zeros(3))

    def apply(self, points: Float64) -> Float64:
        """Points [N, 3] where they are now."""
        moved: Float64 = points @ self.rotation.T + self.shift
        return moved


def fit(
    start: Motion,
    points: Float64,
    seen: Sightings,
    focal: float,
    settings: MotionSettings,
    near: float | None = None,
) -> Motion:
    """The motion under which points are seen where they are; outliers are outvoted.

    Args:
        start: to begin at.
        points: [N, 3] in the first frame [m].
        seen: where they are seen now.
        focal: length [px], turns rays into pixels.
        settings: see there.
        near: the start is right but for such errors [px]; None when it may be far off.
    """
    motion = start
    scales = _scales(near or settings.wide, settings.narrow, settings.iterations if near is None else _FEW)
    prior = np.diag([settings.turn_prior] * 3 + [settings.shift_prior] * 3)
    known = np.isfinite(seen.depth)
    depth = np.where(known, seen.depth, 0.0)
    for scale in scales if len(points) else ():
        moved = motion.apply(points)
        centre = np.add.reduce(moved) / len(moved)
        arms = (moved - centre).T
        error, slopes = _errors(moved, arms, seen.rays, focal)
        trust = (scale**2 / (scale**2 + (error**2).sum(axis=0))) ** 2
        gap, tilt = _depth_errors(moved, arms, depth, settings.depth_scale)
        belief = known * trust / (1 + gap**2) ** 2
        weighted = np.hstack([slopes * np.concatenate([trust, trust]), tilt * belief])
        matrix = weighted @ np.hstack([slopes, tilt]).T + prior
        step = np.linalg.solve(matrix, -weighted @ np.concatenate([error.ravel(), gap]))
        motion = _moved(motion, step, centre)
    return motion


@lru_cache(maxsize=32)
def _scales(wide: float, narrow: float, count: int) -> Float64:
    return np.geomspace(wide, narrow, count)


def errors(motion: Motion, points: Float64, rays: Float64, focal: float) -> Float64:
    """[N] distance between where the motion puts points and where they are seen [px]; infinite behind the camera."""
    moved = motion.apply(points)
    error = focal * np.linalg.norm(moved[:, :2] / np.maximum(moved[:, 2:], _Z) - rays, axis=1)
    return np.where(moved[:, 2] > _Z, error, np.inf)


def patch_warps(motion: Motion, points: Float64, tangents: Float64, focal: float) -> Float64:
    """[N, 2, 2] how the surroundings of points are stretched in the image since the first frame.

    Args:
        motion: of the body.
        points: [N, 3] in the first frame [m].
        tangents: [N, 3, 2] what one pixel to the right, and one down, was on the surface then [m/px].
        focal: length [px].
    """
    moved = motion.apply(points)
    depth = np.maximum(moved[:, 2], _Z)[:, None, None]
    sides = np.einsum("ij,njk->nik", motion.rotation, tangents)
    warps: Float64 = focal * (sides[:, :2] - moved[:, :2, None] / depth * sides[:, 2:]) / depth
    return warps


def depth_steps(motion: Motion, points: Float64, rays: Float64, focal: float, stiffness: Float64) -> Float64:
    """[N] relative changes of the points' first depths that bring them nearer to where they are seen now.

    Args:
        motion: of the body.
        points: [N, 3] in the first frame [m].
        rays: [N, 2] (x / z, y / z) that they are seen along now.
        focal: length [px].
        stiffness: [N] against changing them [px^2].
    """
    moved, ahead = motion.apply(points), points @ motion.rotation.T
    z = np.maximum(moved[:, 2:], _Z)
    error = focal * (moved[:, :2] / z - rays)
    slope = focal * (ahead[:, :2] - moved[:, :2] / z * ahead[:, 2:]) / z
    steps: Float64 = -(slope * error).sum(axis=1) / ((slope**2).sum(axis=1) + stiffness)
    return np.clip(steps, -_DEEPEST, _DEEPEST)


def turned(motion: Motion, point: Float64, ray: Float64, angle: float) -> Motion:
    """The motion changed so that a point [3] is seen along a ray [2] at its old depth, turned in the image by an angle.

    Args:
        motion: to be changed.
        point: in the first frame [m].
        ray: (x / z, y / z) that it is seen along.
        angle: about the line of sight [rad]; NaN for none.
    """
    here = motion.apply(point[None])[0]
    step = np.zeros(6)
    axis = np.append(ray, 1.0)
    step[:3] = np.nan_to_num(angle) * axis / np.linalg.norm(axis)
    step[3:] = here[2] * axis - here
    return _moved(motion, step, here)


def tangents(rays: Float64, depth: Float64, inverse_depth: Float64, focal: float) -> Float64:
    """[N, 3, 2] what a pixel to the right, and one down, is on the surface through each point [m/px].

    Args:
        rays: [N, 2] (x / z, y / z) to the points.
        depth: [N] z [m].
        inverse_depth: [N, 3] plane of each surface, 1 / z = plane @ (x / z, y / z, 1) [1/m].
        focal: length [px].
    """
    directions = np.column_stack([rays, np.ones(len(rays))])
    unit = np.broadcast_to(np.eye(3)[:, :2], (len(rays), 3, 2))
    tilt = depth[:, None] * inverse_depth[:, :2]
    result: Float64 = depth[:, None, None] / focal * (unit - directions[:, :, None] * tilt[:, None])
    return result


def _errors(moved: Float64, arms: Float64, rays: Float64, focal: float) -> tuple[Float64, Float64]:
    """Errors [2, N] [px], and how they change [6, 2 N] with a turn about the middle [rad] and a shift [m].

    `arms` [3, N] are the points seen from their middle [m].
    """
    px, py, pz = arms
    inverse = 1 / np.maximum(moved[:, 2], _Z)
    x, y = moved[:, 0] * inverse, moved[:, 1] * inverse
    slopes = np.zeros((6, 2, len(moved)))
    slopes[0] = -x * py, -pz - y * py
    slopes[1] = pz + x * px, y * px
    slopes[2] = -py, px
    slopes[3, 0] = slopes[4, 1] = 1.0
    slopes[5] = -x, -y
    slopes *= focal * inverse
    error: Float64 = focal * (np.stack([x, y]) - rays.T)
    return error, slopes.reshape(6, -1)


def _depth_errors(moved: Float64, arms: Float64, depth: Float64, scale: float) -> tuple[Float64, Float64]:
    """Errors [N] of depths in units of a scale, and how they change [6, N]; `arms` as in `_errors`."""
    px, py, _ = arms
    slopes = np.zeros((6, len(moved)))
    slopes[0], slopes[1], slopes[5] = py / scale, -px / scale, 1 / scale
    gap: Float64 = (moved[:, 2] - depth) / scale
    return gap, slopes


def _moved(motion: Motion, step: Float64, centre: Float64) -> Motion:
    """The motion, then a turn step[:3] about a centre [3] and a shift step[3:]."""
    turn = _rotation(step[:3])
    return Motion(turn @ motion.rotation, turn @ (motion.shift - centre) + centre + step[3:])


def _rotation(turn: Float64) -> Float64:
    """[3, 3] rotation about the vector's direction by its length [rad] (Rodrigues)."""
    angle = float(np.sqrt(turn @ turn))
    x, y, z = turn.tolist()
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    first, second = (np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2) if angle > 1e-9 else (1.0, 0.5)
    result: Float64 = np.eye(3) + first * cross + second * cross @ cross
    return result

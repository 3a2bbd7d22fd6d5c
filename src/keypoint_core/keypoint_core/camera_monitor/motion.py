"""The camera's own motion from points of a scene that mostly stands still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from keypoint_core.geometry.pose import rigid
from keypoint_core.types import Float64

_STEPS = 6  # of Gauss-Newton at most
_SMALL = 1e-7  # a step below this ends it [m], [rad]
_DAMPING = 1e-9


@dataclass(frozen=True)
class Sight:
    """M points and where they are seen.

    Attributes:
        points: [M, 3] in the first optical frame [m].
        image: [M, 2] undistorted, at unit depth.
        focal: turns unit depth into pixels [px].
    """

    points: Float64
    image: Float64
    focal: float

    def errors(self, motion: Float64) -> Float64:
        """[M] reprojection errors [px] under a motion [4, 4], first optical frame -> present one; inf behind it."""
        residuals, front, _ = _residuals(self, motion)
        return np.where(front, np.linalg.norm(residuals, axis=1), np.inf)

    def take(self, chosen: NDArray[np.bool_]) -> Sight:
        """Those marked in `chosen` [M]."""
        return Sight(self.points[chosen], self.image[chosen], self.focal)


def consensus(sight: Sight, start: Float64, samples: NDArray[np.int64], tolerance: float) -> Float64:
    """The motion [4, 4] near `start` that most points agree on.

    Every sample of three points gives one, to first order: a knock of 3 cm and 3 degrees is near enough for that, and a
    batch of small linear systems replaces RANSAC's loop (Fischler and Bolles, 1981). `refine` makes it exact.

    Args:
        sight: the points.
        start: [4, 4] to linearise at.
        samples: [S, 3] rows of points.
        tolerance: error of a point that agrees [px].
    """
    residuals, front, jacobian = _residuals(sight, start)
    usable = front[samples].all(axis=1)
    if not usable.any():
        return start
    rows = samples[usable]
    left, right = jacobian[rows].reshape(-1, 6, 6), -residuals[rows].reshape(-1, 6, 1)
    normal = left.transpose(0, 2, 1) @ left
    normal += _DAMPING * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    steps = np.linalg.solve(normal, left.transpose(0, 2, 1) @ right)[..., 0]
    rest = residuals + np.einsum("mij,sj->smi", jacobian, steps)
    agree = (np.einsum("smi,smi->sm", rest, rest) <= tolerance**2) & front
    return _moved(start, steps[int(agree.sum(axis=1).argmax())])


def refine(sight: Sight, start: Float64, tolerance: float) -> Float64:
    """The motion [4, 4] of least squares near `start`, of those points that agree with it, chosen anew in each step.

    Args:
        sight: the points.
        start: [4, 4].
        tolerance: error of a point that agrees [px]; twice that in the first steps.
    """
    motion = start
    for step in range(_STEPS):
        residuals, front, jacobian = _residuals(sight, motion)
        limit = tolerance * (2.0 if step < 2 else 1.0)
        agree = front & (np.einsum("mi,mi->m", residuals, residuals) <= limit**2)
        if agree.sum() < 3:
            return motion
        left, right = jacobian[agree].reshape(-1, 6), -residuals[agree].ravel()
        normal = left.T @ left
        change = np.linalg.solve(normal + _DAMPING * np.trace(normal) * np.eye(6), left.T @ right)
        motion = _moved(motion, change)
        if step >= 2 and np.abs(change).max() < _SMALL:
            break
    return motion


def covariance(sight: Sight, motion: Float64) -> Float64:
    """[6, 6] of (shift [m], turn [rad]) about the camera for pixels with errors of 1 px; infinite where nothing holds."""
    _, front, jacobian = _residuals(sight, motion)
    rows = jacobian[front].reshape(-1, 6)
    normal = rows.T @ rows
    if np.linalg.matrix_rank(normal) < 6:
        return np.full((6, 6), np.inf)
    spread: Float64 = np.linalg.inv(normal)
    return spread


def _residuals(sight: Sight, motion: Float64) -> tuple[Float64, NDArray[np.bool_], Float64]:
    """Errors [M, 2] [px], which points lie in front [M], and derivatives [M, 2, 6] by (shift [m], turn [rad])."""
    x, y, z = (sight.points @ motion[:3, :3].T + motion[:3, 3]).T
    front = z > 0.05
    z = np.where(front, z, 1.0)
    u, v, one = x / z, y / z, np.ones_like(z)
    zero = np.zeros_like(z)
    by_u = np.stack([one / z, zero, -u / z, -u * v, 1 + u * u, -v], axis=1)
    by_v = np.stack([zero, one / z, -v / z, -1 - v * v, u * v, u], axis=1)
    residuals = (np.stack([u, v], axis=1) - sight.image) * sight.focal
    return residuals, front, np.stack([by_u, by_v], axis=1) * sight.focal


def _moved(motion: Float64, step: Float64) -> Float64:
    """The motion [4, 4], then shifted by step[:3] [m] and turned by step[3:] [rad] about the present optical frame."""
    moved: Float64 = rigid(Rotation.from_rotvec(step[3:]), step[:3]) @ motion
    return moved

"""Least squares of a rigid pose, robust, by Gauss and Newton."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from keypoint_core.geometry import camera
from keypoint_core.types import Float64, Intrinsics

_STEPS = 8
_DAMPING = 1e-6
_SCALE = 2.0  # residuals beyond this many standard deviations lose weight (Geman and McClure, 1987)
_STILL = 1e-6


@dataclass(frozen=True)
class Observations:
    """What a pose is fitted to; M points of the reference seen in the live image.

    Attributes:
        points: [M, 3] [m] in the reference's optical frame.
        pixels: [M, 2] as a camera without distortion sees them.
        sigma: [M] error of the pixels [px].
        depth: [M] live depth there [m], NaN where unknown.
        intrinsics: of the live camera.
    """

    points: Float64
    pixels: Float64
    sigma: Float64
    depth: Float64
    intrinsics: Intrinsics

    def take(self, chosen: NDArray[np.bool_]) -> Observations:
        """Those marked in `chosen` [M]."""
        return Observations(
            self.points[chosen], self.pixels[chosen], self.sigma[chosen], self.depth[chosen], self.intrinsics
        )

    def join(self, other: Observations) -> Observations:
        """These and others of the same camera."""
        return Observations(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.pixels, other.pixels]),
            np.concatenate([self.sigma, other.sigma]),
            np.concatenate([self.depth, other.depth]),
            self.intrinsics,
        )

    def errors(self, poses: Float64) -> tuple[Float64, Float64]:
        """Reprojection errors [K, M] [px] (infinite behind the camera) and depth errors [K, M] [m] of poses [K, 4, 4]."""
        moved = np.einsum("kij,mj->kmi", poses[:, :3, :3], self.points) + poses[:, None, :3, 3]
        k, z = self.intrinsics, moved[..., 2]
        front = z > 0
        safe = np.where(front, z, 1.0)
        du = k.fx * moved[..., 0] / safe + k.cx - self.pixels[:, 0]
        dv = k.fy * moved[..., 1] / safe + k.cy - self.pixels[:, 1]
        return np.where(front, np.hypot(du, dv), np.inf), self.depth - z


def ideal_pixels(pixels: Float64, intrinsics: Intrinsics) -> Float64:
    """Pixels [M, 2] as a camera without distortion would see them."""
    rays = camera.rays(pixels, intrinsics)
    focal, centre = np.array([intrinsics.fx, intrinsics.fy]), np.array([intrinsics.cx, intrinsics.cy])
    ideal: Float64 = rays[:, :2] * focal + centre
    return np.ascontiguousarray(ideal)


def fit_pose(
    seen: Observations, start: Float64, depth_sigma: float, free: Float64 | None = None
) -> tuple[Float64, float]:
    """The pose [4, 4] near `start` that explains the observations best, and its cost.

    Pixels alone leave a small object's distance and the turn of a flat one loosely held; the depth image holds both.

    Args:
        seen: M >= 3 observations.
        start: [4, 4].
        depth_sigma: error of the live depth [m].
        free: [F, 6] directions in which the pose may turn [rad] and shift [m] in the live frame; None leaves all free.
    """
    pose = start.copy()
    free = np.eye(6) if free is None else free
    for _ in range(_STEPS):
        residuals, rows = _linearised(seen, pose, depth_sigma)
        jacobian = np.einsum("mi,fi->mf", rows, free)
        weight = 1.0 / (1.0 + (residuals / _SCALE) ** 2) ** 2
        # einsum instead of a product of matrices: its order of summation does not depend on the number of threads.
        normal = np.einsum("mi,mj->ij", jacobian * weight[:, None], jacobian) + _DAMPING * np.eye(len(free))
        way = -np.linalg.solve(normal, np.einsum("mi,m->i", jacobian * weight[:, None], residuals))
        step = np.einsum("f,fi->i", way, free)
        pose = _moved(pose, step, camera.transform(pose, seen.points).mean(axis=0))
        if np.abs(step).max() < _STILL:
            break
    residuals, _ = _linearised(seen, pose, depth_sigma)
    squared = (residuals / _SCALE) ** 2
    return pose, float((squared / (1.0 + squared)).sum())


def mirrored(points: Float64, pose: Float64) -> Float64:
    """The other pose [4, 4] under which a flat object looks nearly the same.

    Seen from afar, a plane turned by some angle to the line of sight and one turned by its opposite are hard to tell
    apart (Schweighofer and Pinz, PAMI 2006). So the plane's normal is turned to the other side of that line.

    Args:
        points: [M, 3] on the object, whose best plane is taken.
        pose: [4, 4] to mirror.
    """
    moved = camera.transform(pose, points)
    centre = moved.mean(axis=0)
    normal = np.linalg.svd(moved - centre, full_matrices=False)[2][2]
    sight = centre / np.linalg.norm(centre)
    turn, _ = Rotation.align_vectors([2 * (normal @ sight) * sight - normal], [normal])
    change = np.eye(4)
    change[:3, :3], change[:3, 3] = turn.as_matrix(), centre - turn.apply(centre)
    other: Float64 = change @ pose
    return other


def _linearised(seen: Observations, pose: Float64, depth_sigma: float) -> tuple[Float64, Float64]:
    """Residuals [R] in standard deviations and their derivative [R, 6] by a turn [rad] and a shift [m].

    The turn is about the points' centre, so that turn and shift hardly depend on each other.
    """
    moved = seen.points @ pose[:3, :3].T + pose[:3, 3]
    k, count = seen.intrinsics, len(moved)
    x, y = moved[:, 0], moved[:, 1]
    z = np.maximum(moved[:, 2], 1e-3)
    arm = moved - moved.mean(axis=0)
    by_point = np.zeros((count, 3, 3))  # derivatives of u, v [px] and z [m] by the moved point
    by_point[:, 0, 0], by_point[:, 0, 2] = k.fx / z, -k.fx * x / z**2
    by_point[:, 1, 1], by_point[:, 1, 2] = k.fy / z, -k.fy * y / z**2
    by_point[:, 2, 2] = 1.0
    point_by_step = np.zeros((count, 3, 6))
    point_by_step[:, 0, 1], point_by_step[:, 0, 2] = arm[:, 2], -arm[:, 1]
    point_by_step[:, 1, 0], point_by_step[:, 1, 2] = -arm[:, 2], arm[:, 0]
    point_by_step[:, 2, 0], point_by_step[:, 2, 1] = arm[:, 1], -arm[:, 0]
    point_by_step[:, :, 3:] = np.eye(3)
    jacobian = np.einsum("mij,mjk->mik", by_point, point_by_step)
    known = np.isfinite(seen.depth)
    error_u = (k.fx * x / z + k.cx - seen.pixels[:, 0]) / seen.sigma
    error_v = (k.fy * y / z + k.cy - seen.pixels[:, 1]) / seen.sigma
    error_z = (moved[known, 2] - seen.depth[known]) / depth_sigma
    by_sigma = jacobian[:, :2] / seen.sigma[:, None, None]
    rows = np.concatenate([by_sigma[:, 0], by_sigma[:, 1], jacobian[known, 2] / depth_sigma])
    return np.concatenate([error_u, error_v, error_z]), rows


def _moved(pose: Float64, step: Float64, centre: Float64) -> Float64:
    """The pose [4, 4] turned by step[:3] [rad] about `centre` [3] and shifted by step[3:] [m]."""
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    result = np.eye(4)
    result[:3, :3] = turn @ pose[:3, :3]
    result[:3, 3] = turn @ (pose[:3, 3] - centre) + centre + step[3:]
    return result

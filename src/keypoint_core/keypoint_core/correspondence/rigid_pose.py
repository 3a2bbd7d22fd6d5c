"""A rigid pose from 3D-2D matches with outliers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from keypoint_core.correspondence.reference_features import Matches
from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float64, Frame, Intrinsics

_SEED = 20_412  # of OpenCV's generator, so that every process draws the same samples
_CONFIDENCE = 0.999
_MIN_INLIERS = 5
_UNDISTORTED = np.zeros(4)


@dataclass(frozen=True)
class PoseSettings:
    """How matches agree on a pose.

    Attributes:
        iterations: of RANSAC at most.
        threshold: reprojection error of an inlier while sampling [px].
        fine_threshold: reprojection error of an inlier in the refinement [px].
        pixel_sigma: error of a feature's pixel [px].
        depth_sigma: error of the live depth at a feature [m].
    """

    iterations: int = 2000
    threshold: float = 4.0
    fine_threshold: float = 2.5
    pixel_sigma: float = 1.0
    depth_sigma: float = 0.005


@dataclass(frozen=True)
class RigidPose:
    """A pose and what speaks for it.

    Attributes:
        matrix: [4, 4] live_from_reference, from the reference's optical frame to the live one.
        inliers: [M] bool, of the matches.
        rms: reprojection error of the inliers [px].
        spread: root of the area that the inliers cover in the live image [px] (of their covariance ellipse).
    """

    matrix: Float64
    inliers: NDArray[np.bool_]
    rms: float
    spread: float


@dataclass(frozen=True)
class _Observations:
    """M matches as the pose is fitted to them: points [M, 3], ideal pixels [M, 2], live depth [M] (NaN unknown)."""

    points: Float64
    pixels: Float64
    depth: Float64
    intrinsics: Intrinsics

    def residuals(self, pose: Float64) -> tuple[Float64, Float64]:
        """Reprojection errors [M, 2] [px], infinite behind the camera, and depth errors [M] [m]."""
        moved = camera.transform(pose, self.points)
        front = moved[:, 2:] > 0
        projected = (moved @ self.intrinsics.matrix.T)[:, :2] / np.where(front, moved[:, 2:], 1.0)
        return np.where(front, projected - self.pixels, np.inf), moved[:, 2] - self.depth

    def take(self, chosen: NDArray[np.bool_]) -> _Observations:
        """Those marked in `chosen` [M]."""
        return _Observations(self.points[chosen], self.pixels[chosen], self.depth[chosen], self.intrinsics)


def estimate_pose(matches: Matches, frame: Frame, settings: PoseSettings) -> RigidPose | None:
    """PnP by RANSAC, then refined on the inliers with the live depth; None when too few matches agree.

    Args:
        matches: M of them.
        frame: the live one, for its intrinsics and depth.
        settings: see there.
    """
    if len(matches) < _MIN_INLIERS:
        return None
    depth = np.full(len(matches), np.nan) if frame.depth is None else depth_at(frame.depth, matches.pixels)
    pixels = _ideal_pixels(matches.pixels, frame.intrinsics)
    seen = _Observations(matches.points, pixels, depth, frame.intrinsics)
    pose, chosen = _consensus_sample(seen, settings)
    for threshold in (settings.threshold, settings.fine_threshold, settings.fine_threshold):
        if chosen.sum() < _MIN_INLIERS:
            return None
        starts = (pose, _mirrored(seen.points[chosen], pose)) if threshold == settings.threshold else (pose,)
        fits = [_refined(seen.take(chosen), start, settings) for start in starts]
        pose = min(fits, key=lambda fit: fit[1])[0]
        error = np.linalg.norm(seen.residuals(pose)[0], axis=1)
        chosen = error < threshold
    if chosen.sum() < _MIN_INLIERS:
        return None
    rms = float(np.sqrt(np.mean(error[chosen] ** 2)))
    spread = float(max(np.linalg.det(np.cov(pixels[chosen].T)), 0.0) ** 0.25)
    return RigidPose(pose, chosen, rms, spread)


def _consensus_sample(seen: _Observations, settings: PoseSettings) -> tuple[Float64, NDArray[np.bool_]]:
    """The pose [4, 4] that most matches agree on, and which [M] these are: none when sampling fails."""
    chosen = np.zeros(len(seen.points), dtype=np.bool_)
    cv2.setRNGSeed(_SEED)
    found, rotation, translation, inliers = cv2.solvePnPRansac(
        seen.points,
        seen.pixels,
        seen.intrinsics.matrix,
        _UNDISTORTED,
        iterationsCount=settings.iterations,
        reprojectionError=settings.threshold,
        confidence=_CONFIDENCE,
        flags=cv2.SOLVEPNP_AP3P,
    )
    if not found or inliers is None:
        return np.eye(4), chosen
    chosen[inliers[:, 0]] = True
    return _matrix(Rotation.from_rotvec(np.ravel(rotation)), np.ravel(translation)), chosen


def _mirrored(points: Float64, pose: Float64) -> Float64:
    """The other pose [4, 4] under which a flat object looks nearly the same.

    Seen from afar, a plane turned by some angle to the line of sight and one turned by its opposite are hard to tell
    apart (Schweighofer and Pinz, PAMI 2006). So the plane's normal is turned to the other side of that line.

    Args:
        points: [M, 3] on the object, whose best plane is taken.
        pose: [4, 4] to mirror.
    """
    moved = camera.transform(pose, points)
    centre = moved.mean(axis=0)
    normal = np.linalg.svd(moved - centre)[2][2]
    sight = centre / np.linalg.norm(centre)
    turn, _ = Rotation.align_vectors([2 * (normal @ sight) * sight - normal], [normal])
    return _matrix(turn, centre - turn.apply(centre)) @ pose


def _refined(seen: _Observations, pose: Float64, settings: PoseSettings) -> tuple[Float64, float]:
    """The pose [4, 4] of least squares near `pose`, and its cost.

    Pixels alone leave a small object's distance and the turn of a flat one loosely held; the depth image holds both.
    """
    turn, place = Rotation.from_matrix(pose[:3, :3]), pose[:3, 3]
    known = np.isfinite(seen.depth)

    def moved(step: Float64) -> Float64:
        return _matrix(Rotation.from_rotvec(step[:3]) * turn, place + step[3:])

    def errors(step: Float64) -> Float64:
        pixels, depth = seen.residuals(moved(step))
        stacked = np.concatenate([pixels.ravel() / settings.pixel_sigma, depth[known] / settings.depth_sigma])
        bounded: Float64 = np.nan_to_num(stacked, posinf=1e3, neginf=-1e3)
        return bounded

    fit = least_squares(errors, np.zeros(6), loss="soft_l1")
    return moved(fit.x), float(fit.cost)


def _ideal_pixels(pixels: Float64, intrinsics: Intrinsics) -> Float64:
    """Pixels [M, 2] as a camera without distortion would see them."""
    ideal: Float64 = camera.rays(pixels, intrinsics) @ intrinsics.matrix.T
    return np.ascontiguousarray(ideal[:, :2])


def _matrix(rotation: Rotation, translation: Float64) -> Float64:
    """[4, 4] rigid transform."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.as_matrix(), translation
    return matrix

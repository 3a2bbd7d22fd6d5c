"""A rigid pose from 3D-2D matches with outliers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.correspondence.reference_features import Matches
from keypoint_core.geometry import camera
from keypoint_core.types import Float64, Intrinsics

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
    """

    iterations: int = 2000
    threshold: float = 4.0
    fine_threshold: float = 2.5


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


def estimate_pose(matches: Matches, intrinsics: Intrinsics, settings: PoseSettings) -> RigidPose | None:
    """PnP by RANSAC, then refined on the inliers; None when too few matches agree.

    Args:
        matches: M of them.
        intrinsics: of the live camera.
        settings: see there.
    """
    if len(matches) < _MIN_INLIERS:
        return None
    pixels = _ideal_pixels(matches.pixels, intrinsics)
    cv2.setRNGSeed(_SEED)
    found, rotation, translation, inliers = cv2.solvePnPRansac(
        matches.points,
        pixels,
        intrinsics.matrix,
        _UNDISTORTED,
        iterationsCount=settings.iterations,
        reprojectionError=settings.threshold,
        confidence=_CONFIDENCE,
        flags=cv2.SOLVEPNP_AP3P,
    )
    if not found or inliers is None or len(inliers) < _MIN_INLIERS:
        return None
    chosen = np.zeros(len(matches), dtype=np.bool_)
    chosen[inliers[:, 0]] = True
    for threshold in (settings.threshold, settings.fine_threshold, settings.fine_threshold):
        rotation, translation = cv2.solvePnPRefineLM(
            matches.points[chosen], pixels[chosen], intrinsics.matrix, _UNDISTORTED, rotation, translation
        )
        matrix = _matrix(rotation, translation)
        error = _reprojection_error(matches.points, pixels, intrinsics, matrix)
        chosen = error < threshold
        if chosen.sum() < _MIN_INLIERS:
            return None
    rms = float(np.sqrt(np.mean(error[chosen] ** 2)))
    spread = float(max(np.linalg.det(np.cov(pixels[chosen].T)), 0.0) ** 0.25)
    return RigidPose(matrix, chosen, rms, spread)


def _ideal_pixels(pixels: Float64, intrinsics: Intrinsics) -> Float64:
    """Pixels [M, 2] as a camera without distortion would see them."""
    ideal: Float64 = camera.rays(pixels, intrinsics) @ intrinsics.matrix.T
    return np.ascontiguousarray(ideal[:, :2])


def _matrix(rotation: ArrayLike, translation: ArrayLike) -> Float64:
    """[4, 4] of OpenCV's rotation vector and translation."""
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.asarray(rotation, dtype=np.float64))[0]
    matrix[:3, 3] = np.ravel(translation)
    return matrix


def _reprojection_error(points: Float64, pixels: Float64, intrinsics: Intrinsics, pose: Float64) -> Float64:
    """[M] distance [px] between ideal pixels and points reprojected under a pose; infinite behind the camera."""
    moved = camera.transform(pose, points)
    front = moved[:, 2] > 0
    projected = moved @ intrinsics.matrix.T
    projected = projected[:, :2] / np.where(front, moved[:, 2], 1.0)[:, None]
    error: Float64 = np.where(front, np.linalg.norm(projected - pixels, axis=1), np.inf)
    return error

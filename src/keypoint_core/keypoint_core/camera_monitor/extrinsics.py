"""Where a camera stands, from points whose place in the arm's base frame is known: of the arm, or of markers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from keypoint_core.camera_monitor.motion import Sight, covariance, refine
from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import rays, transform
from keypoint_core.geometry.pose import difference, inverse, rigid
from keypoint_core.types import Float64, Intrinsics

_SEED = 7_301  # of the samples
_SAMPLES = 200
_SPOT = 0.01  # points that are nearer to each other hold no camera [m]
_UNDISTORTED = np.zeros(4)


@dataclass(frozen=True)
class ExtrinsicsSettings:
    """What is believed.

    Attributes:
        minimum: points that must agree.
        tolerance: error of a point that agrees [px].
        majority: part of the points that must agree.
        pixel_sigma: error of a pixel, at least [px].
        distance_sigma, angle_sigma: a pose that the points hold no better than this is refused [m], [rad].
        ambiguity: the best other pose must fit worse by this factor.
    """

    minimum: int = 4
    tolerance: float = 4.0
    majority: float = 0.5
    pixel_sigma: float = 0.3
    distance_sigma: float = 0.03
    angle_sigma: float = math.radians(2.0)
    ambiguity: float = 1.5


@dataclass(frozen=True)
class Extrinsics:
    """A camera's pose and what speaks for it.

    Attributes:
        camera_pose: [4, 4] colour optical frame in the arm's base frame.
        rms: reprojection error of the points that agree [px].
        agree: [N] bool, of the points.
        distance_sigma, angle_sigma: standard deviation of position and angle that the pixels' errors leave [m], [rad].
    """

    camera_pose: Float64
    rms: float
    agree: NDArray[np.bool_]
    distance_sigma: float
    angle_sigma: float


def estimate_extrinsics(
    points_in_base: ArrayLike, pixels: ArrayLike, intrinsics: Intrinsics, settings: ExtrinsicsSettings | None = None
) -> Extrinsics:
    """The pose that most points agree on.

    Args:
        points_in_base: [N, 3] [m].
        pixels: [N, 2] where they are seen; rows with NaN are left out.
        intrinsics: of the camera.
        settings: see there.

    Raises:
        InputError: too few points, too few that agree, all on or near one line, or two poses explain them equally well;
            the message says which, and what to do.
    """
    s = settings or ExtrinsicsSettings()
    points, where = np.asarray(points_in_base, dtype=np.float64), np.asarray(pixels, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or where.shape != (len(points), 2):
        raise InputError(f"extrinsics need points [N, 3] and as many pixels [N, 2], got {points.shape}, {where.shape}")
    known = np.isfinite(points).all(axis=1) & np.isfinite(where).all(axis=1)
    if known.sum() < s.minimum:
        raise InputError(f"extrinsics need {s.minimum} points or more, got {int(known.sum())}; show the camera more")
    sight = Sight(points[known], rays(where[known], intrinsics)[:, :2], intrinsics.fx)
    _require_spread(sight)
    candidates = _candidates(sight, s)
    if not candidates:
        raise InputError("no camera pose explains the points; are points and pixels in the same order?")
    motion = candidates[0]
    errors = sight.errors(motion)
    agree = errors <= s.tolerance
    n = int(agree.sum())
    if n < s.minimum or n < s.majority * len(errors):
        raise InputError(
            f"only {n} of {len(errors)} points agree on a camera pose within {s.tolerance} px; "
            "are points and pixels in the same order, and the intrinsics those of this camera?"
        )
    rms = float(np.sqrt(np.mean(errors[agree] ** 2)))
    _require_unambiguous(sight.take(agree), candidates, rms, s)
    spread = covariance(sight.take(agree), motion) * max(rms, s.pixel_sigma) ** 2
    distance, angle = float(np.sqrt(np.trace(spread[:3, :3]))), float(np.sqrt(np.trace(spread[3:, 3:])))
    if distance > s.distance_sigma or angle > s.angle_sigma:
        raise InputError(
            f"the points hold the camera only to {distance * 100:.1f} cm and {math.degrees(angle):.1f} degrees; "
            "show points that are further apart, also in depth"
        )
    everywhere = np.zeros(len(points), dtype=np.bool_)
    everywhere[known] = agree
    return Extrinsics(inverse(motion), rms, everywhere, distance, angle)


def marker_points(
    color: NDArray[np.uint8], markers: Mapping[int, Float64], side: float, dictionary: int = cv2.aruco.DICT_4X4_50
) -> tuple[Float64, Float64]:
    """Corners of ArUco markers (Garrido-Jurado et al., Pattern Recognition 2014) that an image shows.

    Args:
        color: [H, W, 3] uint8, RGB.
        markers: number -> [4, 4] the marker in the arm's base frame: origin in its middle, x to its right, y to its top,
            z out of it.
        side: of a marker's black square [m].
        dictionary: of cv2.aruco.

    Returns:
        Points [4 K, 3] in the base frame [m] and their pixels [4 K, 2], of the K known markers in the image.
    """
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionary), _marker_parameters())
    found, numbers, _ = detector.detectMarkers(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY))
    corners = np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]]) * side / 2  # from the top left, clockwise
    points, pixels = [np.empty((0, 3))], [np.empty((0, 2))]
    for quad, number in zip(found, [] if numbers is None else np.ravel(numbers), strict=True):
        if int(number) in markers:
            points.append(transform(markers[int(number)], corners))
            pixels.append(np.asarray(quad, dtype=np.float64).reshape(4, 2))
    return np.concatenate(points), np.concatenate(pixels)


def _marker_parameters() -> cv2.aruco.DetectorParameters:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return parameters


def _require_spread(sight: Sight) -> None:
    """Raises InputError for points on one line or in one spot."""
    centred = sight.points - sight.points.mean(axis=0)
    length, width = np.linalg.svd(centred, compute_uv=False)[:2] / math.sqrt(len(centred))
    if length < _SPOT:
        raise InputError(f"the points lie within {length * 200:.1f} cm; show the camera points that are further apart")
    if width < 0.02 * length:
        raise InputError("the points lie on one line, which leaves the camera free to turn about it; show others too")


def _candidates(sight: Sight, s: ExtrinsicsSettings) -> list[Float64]:
    """Poses camera_from_base [4, 4] of samples of four points and their mirrored ones, refined, the best first."""
    starts = [pose for rows in _samples(len(sight.points)) for pose in _exact(sight.take(rows))]
    starts.sort(key=lambda pose: _cost(sight, pose, s.tolerance))
    best = [refine(sight, pose, s.tolerance) for pose in starts[:6]]
    mirrored = [refine(sight, _mirrored(sight.points, pose), 4 * s.tolerance) for pose in best[:1]]
    return sorted(best + mirrored, key=lambda pose: _cost(sight, pose, s.tolerance))


def _samples(m: int) -> list[NDArray[np.bool_]]:
    """Masks [m] of four points each; all points where there are no more."""
    if m <= 4:
        return [np.ones(m, dtype=np.bool_)]
    rng = np.random.Generator(np.random.PCG64(_SEED))
    chosen = [rng.choice(m, 4, replace=False) for _ in range(_SAMPLES)]
    return [np.isin(np.arange(m), rows) for rows in chosen]


def _exact(sight: Sight) -> list[Float64]:
    """All poses [4, 4] that bring four points to where they are seen; none where two of them are the same."""
    focal = np.diag([sight.focal, sight.focal, 1.0])
    try:
        count, turns, shifts, _ = cv2.solvePnPGeneric(
            sight.points, sight.image * sight.focal, focal, _UNDISTORTED, flags=cv2.SOLVEPNP_SQPNP
        )
    except cv2.error:  # it checks for that
        return []
    result = []
    for i in range(count):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turns[i])[0], np.ravel(shifts[i])
        result.append(pose)
    return result


def _cost(sight: Sight, motion: Float64, tolerance: float) -> float:
    """Mean squared error with each point's bounded by the tolerance [px^2]."""
    return float(np.mean(np.minimum(sight.errors(motion), tolerance) ** 2))


def _mirrored(points: Float64, pose: Float64) -> Float64:
    """The other pose [4, 4] under which a small flat thing looks nearly the same (Schweighofer and Pinz, PAMI 2006).

    Its plane's normal is turned to the other side of the line of sight.
    """
    moved = transform(pose, points)
    centre = moved.mean(axis=0)
    normal, sight = np.linalg.svd(moved - centre)[2][2], centre / np.linalg.norm(centre)
    turn, _ = Rotation.align_vectors([2 * (normal @ sight) * sight - normal], [normal])
    mirror: Float64 = rigid(turn, centre - turn.apply(centre)) @ pose
    return mirror


def _require_unambiguous(sight: Sight, candidates: list[Float64], rms: float, s: ExtrinsicsSettings) -> None:
    """Raises InputError where a pose elsewhere fits nearly as well as the best one."""
    for other in candidates[1:]:
        distance, angle = difference(candidates[0], other)
        if distance < s.distance_sigma and angle < s.angle_sigma:
            continue
        if np.sqrt(np.mean(sight.errors(other) ** 2)) < s.ambiguity * max(rms, s.pixel_sigma):
            raise InputError(
                "two camera poses explain the points equally well; show points that are not in one plane, "
                "or a larger marker, nearer to the camera"
            )

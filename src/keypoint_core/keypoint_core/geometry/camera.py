"""Projection between pixels and points of a camera with OpenCV's rational distortion.

Pixels follow the pixel-centre convention, points are in the camera's optical frame [m].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from keypoint_core.errors import InputError
from keypoint_core.geometry.distortion import distort, undistort
from keypoint_core.types import Float64, Intrinsics


def project(points: ArrayLike, intrinsics: Intrinsics) -> Float64:
    """Projects points onto the image plane.

    Args:
        points: [N, 3] [m] in the optical frame.
        intrinsics: of the camera.

    Returns:
        [N, 2] pixels (u, v), not clipped to the image; NaN for points at or behind the camera and for NaN points.

    Raises:
        InputError: the points are not [N, 3].
    """
    points = _columns(points, 3, "points")
    pixels = np.full((len(points), 2), np.nan)
    front = np.isfinite(points).all(axis=1) & (points[:, 2] > 0)
    x, y, z = points[front].T
    x, y = distort(x / z, y / z, intrinsics.distortion)
    pixels[front] = np.stack([intrinsics.fx * x + intrinsics.cx, intrinsics.fy * y + intrinsics.cy], axis=1)
    return pixels


def rays(pixels: ArrayLike, intrinsics: Intrinsics) -> Float64:
    """Undistorts pixels to rays of unit depth.

    Args:
        pixels: [N, 2] (u, v).
        intrinsics: of the camera.

    Returns:
        [N, 3] directions (x, y, 1) in the optical frame; NaN for NaN pixels.

    Raises:
        InputError: the pixels are not [N, 2].
    """
    pixels = _columns(pixels, 2, "pixels")
    directions = np.full((len(pixels), 3), np.nan)
    finite = np.isfinite(pixels).all(axis=1)
    if finite.any():
        directions[finite, :2] = _normalised(pixels[finite], intrinsics)
        directions[finite, 2] = 1.0
    return directions


def deproject(pixels: ArrayLike, depth: ArrayLike, intrinsics: Intrinsics) -> Float64:
    """Lifts pixels with known depth to points.

    Args:
        pixels: [N, 2] (u, v).
        depth: [N] or scalar, z in the optical frame [m].
        intrinsics: of the camera.

    Returns:
        [N, 3] [m] in the optical frame; NaN where the pixel or its depth is NaN.

    Raises:
        InputError: the pixels are not [N, 2] or the depths do not match them.
    """
    directions = rays(pixels, intrinsics)
    depth = np.asarray(depth, dtype=np.float64)
    if depth.shape not in ((), (len(directions),)):
        raise InputError(f"{len(directions)} pixels need as many depths or one, got depths {depth.shape}")
    points: Float64 = directions * np.broadcast_to(depth, len(directions))[:, None]
    return points


def crop(intrinsics: Intrinsics, left: int, top: int, width: int, height: int) -> Intrinsics:
    """Intrinsics of a region of the image at the same pixel density.

    Args:
        intrinsics: of the whole image.
        left, top: top-left pixel of the region [px].
        width, height: of the region [px].

    Raises:
        InputError: the region is not inside the image.
    """
    fits = left >= 0 and top >= 0 and left + width <= intrinsics.width and top + height <= intrinsics.height
    if not fits or width <= 0 or height <= 0:
        raise InputError(
            f"region {width}x{height} at ({left}, {top}) is not inside the {intrinsics.width}x{intrinsics.height} image"
        )
    return Intrinsics(
        width=width,
        height=height,
        fx=intrinsics.fx,
        fy=intrinsics.fy,
        cx=intrinsics.cx - left,
        cy=intrinsics.cy - top,
        distortion=intrinsics.distortion,
    )


def transform(pose: ArrayLike, points: ArrayLike) -> Float64:
    """Applies a rigid transform.

    Args:
        pose: [4, 4] target_from_source.
        points: [N, 3] in the source frame.

    Returns:
        [N, 3] in the target frame.

    Raises:
        InputError: the pose is not [4, 4] or the points are not [N, 3].
    """
    matrix = np.asarray(pose, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"a rigid transform is [4, 4], got {matrix.shape}")
    moved: Float64 = _columns(points, 3, "points") @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def inside(pixels: ArrayLike, intrinsics: Intrinsics) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """[N] bool: which pixels [N, 2] lie on the image (between the centres of its border pixels)."""
    pixels = _columns(pixels, 2, "pixels")
    limit = np.array([intrinsics.width - 1, intrinsics.height - 1])
    return np.asarray(((pixels >= 0) & (pixels <= limit)).all(axis=1), dtype=np.bool_)


def _normalised(pixels: Float64, intrinsics: Intrinsics) -> Float64:
    """[N, 2] finite pixels -> [N, 2] undistorted coordinates at unit depth."""
    focal = np.array([intrinsics.fx, intrinsics.fy])
    return undistort((pixels - np.array([intrinsics.cx, intrinsics.cy])) / focal, intrinsics.distortion)


def _columns(values: ArrayLike, columns: int, what: str) -> Float64:
    """`values` as [N, columns] float64, contiguous; raises InputError for another shape."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{what} must be [N, {columns}], got {array.shape}")
    return array

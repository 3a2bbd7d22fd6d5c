"""Registration of a depth image to the colour camera.

A depth camera has its own intrinsics and its own place. Every depth pixel is lifted, moved to the colour camera's frame
and splatted onto the colour image; where several fall on one pixel the nearest wins, where none falls there is a hole.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import InputError
from keypoint_core.geometry import camera
from keypoint_core.geometry.distortion import distort
from keypoint_core.types import Float32, Float64, Intrinsics


class DepthRegistration:
    """Forward z-buffer splatting for one fixed pair of cameras.

    Everything that does not depend on the depth values is computed once: the ray of each depth pixel, rotated into
    the colour frame. A splat is as wide as a depth pixel appears on the colour image (2 px for the Azure Kinect), so
    surfaces facing the camera close without holes. Near surfaces grow by up to one splat at their edges.

    Args:
        depth_intrinsics: of the depth camera.
        color_intrinsics: of the colour camera, cropped if the colour image is.
        color_from_depth: [4, 4] rigid transform from the depth optical frame to the colour optical frame [m].

    Raises:
        InputError: the transform is not a finite [4, 4] matrix.
    """

    def __init__(self, depth_intrinsics: Intrinsics, color_intrinsics: Intrinsics, color_from_depth: ArrayLike) -> None:
        pose = np.asarray(color_from_depth, dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise InputError(f"color_from_depth must be a finite [4, 4] matrix, got {pose.shape}")
        self._size = (depth_intrinsics.height, depth_intrinsics.width)
        self._color = color_intrinsics
        self._rays = _rotated_rays(depth_intrinsics, pose[:3, :3])
        self._offset = pose[:3, 3].astype(np.float32)
        self._splat = max(1, math.ceil(color_intrinsics.fx / depth_intrinsics.fx - 1e-6))

    def register(self, depth: Float32) -> Float32:
        """Maps a depth image onto the colour image.

        Args:
            depth: [h, w] [m] of the depth camera, 0 or NaN where invalid.

        Returns:
            [H, W] float32 [m], z in the colour optical frame, NaN where no depth pixel falls.

        Raises:
            InputError: the image does not have the depth camera's size.
        """
        if depth.shape != self._size:
            raise InputError(f"depth image must be {self._size} like its intrinsics, got {depth.shape}")
        pixel, z = self._splats(depth)
        height, width = self._color.height, self._color.width
        buffer = np.full(height * width, np.inf, dtype=np.float32)
        np.minimum.at(buffer, pixel, z)
        image = buffer.reshape(height, width)
        if self._splat > 1:
            # A splat of k x k pixels is the minimum over the k x k pixels up and left of each pixel.
            kernel, anchor = np.ones((self._splat, self._splat), np.uint8), (self._splat - 1,) * 2
            image = np.asarray(cv2.erode(image, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE), np.float32)
        image[np.isinf(image)] = np.nan
        return image

    def _splats(self, depth: Float32) -> tuple[NDArray[np.int64], Float32]:
        """Where each valid depth pixel falls: flat index of its splat's top-left pixel, and z [m], in colour's frame."""
        x, y, z = self._rays * np.asarray(depth, dtype=np.float32).ravel() + self._offset[:, None]
        z[~(depth.ravel() > 0)] = np.nan  # 0 and NaN mean invalid; NaN falls through the comparisons below
        inverse = 1 / z
        x, y = distort(x * inverse, y * inverse, self._color.distortion)
        # The splat is centred on the projection: k = 2 covers the two nearest columns, k = 1 the nearest one.
        shift = 0.5 - 0.5 * (self._splat - 1)
        u = x * np.float32(self._color.fx) + np.float32(self._color.cx + shift)
        v = y * np.float32(self._color.fy) + np.float32(self._color.cy + shift)
        hit = (u >= 0) & (u < self._color.width) & (v >= 0) & (v < self._color.height) & (z > 0)
        return v[hit].astype(np.int64) * self._color.width + u[hit].astype(np.int64), z[hit]


def register_depth(
    depth: Float32, depth_intrinsics: Intrinsics, color_intrinsics: Intrinsics, color_from_depth: ArrayLike
) -> Float32:
    """Registers one depth image; see `DepthRegistration`, which is faster for a stream."""
    return DepthRegistration(depth_intrinsics, color_intrinsics, color_from_depth).register(depth)


def _rotated_rays(intrinsics: Intrinsics, rotation: Float64) -> Float32:
    """[3, h * w] rays of unit depth of all pixels, turned into another frame; NaN where distortion has no inverse."""
    v, u = np.mgrid[0 : intrinsics.height, 0 : intrinsics.width]
    pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
    directions = camera.rays(pixels, intrinsics)
    # Beyond the calibrated field the distortion folds over: what does not project back has no ray.
    back = camera.project(directions, intrinsics)
    directions[np.abs(back - pixels).max(axis=1) > 0.5] = np.nan
    return np.ascontiguousarray((directions @ rotation.T).T, dtype=np.float32)

"""Pixels in the convention of networks that count from the image's corner.

There (0, 0) is the top-left corner of the top-left pixel, and an image is resized so that corners stay corners.
"""

from __future__ import annotations

import numpy as np

from keypoint_core.types import Float32


def to_raster(pixels: Float32, shape: tuple[int, ...], size: tuple[int, int]) -> Float32:
    """Pixels [N, 2] of an image of `shape` [H, W] in one of `size` (h, w), counted from the corner."""
    return np.asarray((pixels + 0.5) * _ratio(shape, size), dtype=np.float32)


def from_raster(places: Float32, shape: tuple[int, ...], size: tuple[int, int]) -> Float32:
    """The way back of `to_raster`."""
    return np.asarray(places / _ratio(shape, size) - 0.5, dtype=np.float32)


def _ratio(shape: tuple[int, ...], size: tuple[int, int]) -> Float32:
    return np.array([size[1] / shape[1], size[0] / shape[0]], dtype=np.float32)

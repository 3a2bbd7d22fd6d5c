"""Where on an object to put keypoints: on texture, spread out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Float64

_MIN_DISTANCE = 3  # [px] between corners to choose from
_BORDER = 3  # [px] kept free inside the mask's edge, where the background would be part of the corner
_TEXTURE_EXPONENT = 0.25  # weight of a corner's strength against its distance to the others


def spread_corners(image: NDArray[np.uint8], mask: NDArray[np.bool_] | NDArray[np.uint8], n: int) -> Float32:
    """Picks n well-textured corners that cover a region.

    Starts with the strongest corner (Shi and Tomasi, 1994); then always takes the one with the largest product of
    distance to the nearest corner taken and a low power of its strength.

    Args:
        image: [H, W, 3] uint8, RGB.
        mask: [H, W], true on the object.
        n: how many.

    Returns:
        [n, 2] float32 pixels (u, v), in the order of choice.

    Raises:
        InputError: the mask does not fit the image, or the region has fewer than n corners.
    """
    if mask.shape != image.shape[:2] or n < 1:
        raise InputError(f"need a mask of the image's size {image.shape[:2]} and n >= 1, got {mask.shape} and n = {n}")
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    region = cv2.erode(mask.astype(np.uint8), np.ones((2 * _BORDER + 1,) * 2, np.uint8))
    strength = cv2.cornerMinEigenVal(gray, blockSize=5)
    corners = cv2.goodFeaturesToTrack(
        gray, maxCorners=0, qualityLevel=0.005, minDistance=_MIN_DISTANCE, mask=region, blockSize=5
    )
    found = 0 if corners is None else len(corners)
    if found < n:
        raise InputError(f"the region has {found} corners, {n} were asked for; mark a larger or more textured region")
    pixels = np.asarray(corners[:, 0], dtype=np.float64)
    column, row = pixels.astype(np.int64).T
    return pixels[_spread(pixels, strength[row, column].astype(np.float64), n)].astype(np.float32)


def _spread(pixels: Float64, strength: Float64, n: int) -> list[int]:
    """Indices of n corners out of pixels [M, 2] with strength [M]."""
    weight = strength**_TEXTURE_EXPONENT
    chosen = [int(np.argmax(strength))]
    nearest = np.linalg.norm(pixels - pixels[chosen[0]], axis=1)
    while len(chosen) < n:
        chosen.append(int(np.argmax(nearest * weight)))
        nearest = np.minimum(nearest, np.linalg.norm(pixels - pixels[chosen[-1]], axis=1))
    return chosen

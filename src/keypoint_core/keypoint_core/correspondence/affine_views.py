"""Simulated views of an image under affine tilts, so that SIFT matches what is seen from another side.

SIFT by itself bears turns in the image plane and changes of scale, but only some 30 degrees of turning away. Tilting the
reference beforehand extends that (Morel and Yu, "ASIFT", SIAM J. Imaging Sciences 2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64


@dataclass(frozen=True)
class AffineView:
    """One simulated view.

    Attributes:
        image: [h, w] uint8, gray.
        mask: [h, w] uint8, 255 where the view shows the wanted region.
        source_from_view: [2, 3] maps pixels of the view to pixels of the source image.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    source_from_view: Float64


def affine_views(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], tilts: tuple[float, ...], turns: int
) -> list[AffineView]:
    """The image itself and its tilted views.

    Args:
        image: [H, W] uint8, gray.
        mask: [H, W] uint8, 255 in the wanted region; the views are cropped to it.
        tilts: factors of compression, each > 1.
        turns: directions of compression per tilt, evenly over 180 degrees.
    """
    left, top, width, height = cv2.boundingRect(mask)
    image, mask = image[top : top + height, left : left + width], mask[top : top + height, left : left + width]
    shift = np.array([left, top], dtype=np.float64)
    views = [AffineView(image, mask, np.hstack([np.eye(2), shift[:, None]]))]
    for tilt in tilts:
        views += [_tilted(image, mask, tilt, math.pi * k / turns, shift) for k in range(turns)]
    return views


def _tilted(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], tilt: float, direction: float, shift: Float64
) -> AffineView:
    """The image turned by `direction` [rad] and then compressed by `tilt` along u."""
    height, width = image.shape
    c, s = math.cos(direction), math.sin(direction)
    turn = np.array([[c, -s], [s, c]])
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ turn.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    turned_size = tuple(int(x) for x in np.ceil(high - low))
    turned = np.hstack([turn, -low[:, None]])
    straight = cv2.warpAffine(image, turned, turned_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # The blur that a camera would apply before the compressed direction is sampled (ASIFT, section 3).
    blurred = cv2.GaussianBlur(straight, (0, 0), sigmaX=0.8 * math.sqrt(tilt * tilt - 1), sigmaY=0.01)
    squeeze = np.array([[1 / tilt, 0, 0], [0, 1, 0]])
    size = (max(1, math.ceil(turned_size[0] / tilt)), turned_size[1])
    view = cv2.warpAffine(blurred, squeeze, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    view_from_source = np.vstack([squeeze @ np.vstack([turned, [0, 0, 1]]), [0, 0, 1]])
    seen = cv2.warpAffine(mask, view_from_source[:2], size, flags=cv2.INTER_NEAREST)
    source_from_view = np.linalg.inv(view_from_source)[:2]
    source_from_view[:, 2] += shift
    return AffineView(np.asarray(view, np.uint8), np.asarray(seen, np.uint8), source_from_view)

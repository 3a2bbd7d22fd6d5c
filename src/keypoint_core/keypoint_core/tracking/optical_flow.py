"""Pyramidal Lucas-Kanade flow with a forward-backward check."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32


@dataclass(frozen=True)
class FlowSettings:
    """Of the pyramidal Lucas-Kanade flow (Bouguet, 2001).

    Attributes:
        window: side of the window [px].
        levels: of the pyramid above the image; each doubles the motion that can be followed.
        iterations: at most, per level.
        epsilon: a smaller step ends the iterations [px].
    """

    window: int = 21
    levels: int = 3
    iterations: int = 20
    epsilon: float = 0.01


def forward_backward(
    previous: NDArray[np.uint8], current: NDArray[np.uint8], pixels: Float32, settings: FlowSettings
) -> tuple[Float32, Float32]:
    """Follows pixels into the current image and back again (Kalal, Mikolajczyk and Matas, ICPR 2010).

    Args:
        previous, current: [H, W], gray.
        pixels: [N, 2] in the previous image.
        settings: see there.

    Returns:
        [N, 2] pixels in the current image, and [N] distance [px] between each pixel and where it came back to;
        infinite where the flow failed.
    """
    if len(pixels) == 0:
        return np.empty((0, 2), np.float32), np.empty(0, np.float32)
    start = np.ascontiguousarray(pixels, dtype=np.float32)[:, None]
    there, found = _flow(previous, current, start, settings)
    back, found_back = _flow(current, previous, there, settings)
    error = np.linalg.norm((back - start)[:, 0], axis=1)
    good = found & found_back & np.isfinite(there[:, 0]).all(axis=1)
    return np.nan_to_num(there[:, 0]).astype(np.float32), np.where(good, error, np.inf).astype(np.float32)


def _flow(
    source: NDArray[np.uint8], target: NDArray[np.uint8], pixels: Float32, settings: FlowSettings
) -> tuple[Float32, NDArray[np.bool_]]:
    """Where pixels [N, 1, 2] of the source are in the target, and [N] whether they were found."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        source,
        target,
        pixels,
        np.empty_like(pixels),
        winSize=(settings.window, settings.window),
        maxLevel=settings.levels,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, settings.iterations, settings.epsilon),
    )
    return np.asarray(moved, dtype=np.float32), np.asarray(found[:, 0] == 1, dtype=np.bool_)

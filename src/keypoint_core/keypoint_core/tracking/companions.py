"""Further points around few keypoints, so that there are enough to tell how their bodies move."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32


@dataclass(frozen=True)
class CompanionSettings:
    """Which points are taken.

    Attributes:
        crowd: points followed altogether, keypoints and companions; more keypoints than that get none.
        reach: farthest from a keypoint [px].
        apart: least distance between points [px].
        quality: of a corner, as a part of the strongest one's.
    """

    crowd: int = 32
    reach: int = 28
    apart: int = 7
    quality: float = 0.02


def companions(gray: NDArray[np.uint8], pixels: Float32, room: int, settings: CompanionSettings) -> Float32:
    """Up to `room` corners [M, 2] of an image [H, W] near pixels [N, 2] (Shi and Tomasi, 1994), the strongest first."""
    if room <= 0 or len(pixels) == 0:
        return np.empty((0, 2), np.float32)
    mask = np.zeros_like(gray)
    for radius, value in ((settings.reach, [255]), (settings.apart, [0])):
        for u, v in np.round(pixels).astype(int).tolist():
            cv2.circle(mask, [u, v], radius, value, -1)
    corners = cv2.goodFeaturesToTrack(
        gray, maxCorners=room, qualityLevel=settings.quality, minDistance=settings.apart, mask=mask, blockSize=5
    )
    if corners is None:
        return np.empty((0, 2), np.float32)
    return np.asarray(corners[:, 0], dtype=np.float32)

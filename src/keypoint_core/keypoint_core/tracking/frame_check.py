"""What a tracker asks of a frame before it believes it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import TrackingError
from keypoint_core.types import Frame


def checked_gray(frame: Frame) -> NDArray[np.uint8]:
    """[H, W] uint8; raises TrackingError for a frame of one colour."""
    gray = np.asarray(cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    low, high, _, _ = cv2.minMaxLoc(gray)
    if low == high:
        raise TrackingError(f"the frame is blank, every pixel is {int(low)}; is the lens covered, or the camera dead?")
    return gray


def check_size(frame: Frame, previous: Frame) -> None:
    """Raises TrackingError when the image's size changed."""
    if frame.color.shape != previous.color.shape:
        raise TrackingError(
            f"the image changed from {_size(previous)} to {_size(frame)}; start again on a frame of the new size"
        )


def _size(frame: Frame) -> str:
    return f"{frame.color.shape[1]}x{frame.color.shape[0]}"

"""Candidates and kept points on the reference view, each with its chance of being kept."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64

SCALE = 2  # of the picture against the reference view: numbers beside points have to be legible
LINE = 16  # height of a line of numbers [px]
_DARK, _LIGHT, _RING = (16, 18, 24), (236, 240, 246), (64, 224, 128)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BAR = (16, 220, 10)  # left, width and height of the scale of colours [px]


def draw_selection(
    color: NDArray[np.uint8], pixels: Float32, probabilities: Float64, kept: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Every candidate a dot whose colour says P(open); kept ones have a ring and the number beside them.

    Args:
        color: [H, W, 3] uint8 RGB, the reference view.
        pixels: [M, 2] candidates.
        probabilities: [M] in 0..1.
        kept: indices of those that are kept.

    Returns:
        [2 H, 2 W, 3] uint8 RGB.
    """
    larger = cv2.resize(color, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    image: NDArray[np.uint8] = (larger * 0.7).astype(np.uint8)
    places = np.round((pixels + 0.5) * SCALE - 0.5).astype(int).tolist()
    for i in np.argsort(probabilities, kind="stable").tolist():
        cv2.circle(image, places[i], 4, _DARK, -1, cv2.LINE_AA)
        cv2.circle(image, places[i], 3, _shade(float(probabilities[i])), -1, cv2.LINE_AA)
    line = 0
    for i in kept[np.argsort(pixels[kept, 1], kind="stable")].tolist():
        cv2.circle(image, places[i], 9, _DARK, 4, cv2.LINE_AA)
        cv2.circle(image, places[i], 9, _RING, 2, cv2.LINE_AA)
        line = max(line + LINE, places[i][1] + 4)  # numbers go down a column, none on another
        _write(image, f"{probabilities[i]:.2f}", (places[i][0] + 14, line))
    _draw_scale(image, f"{len(kept)} of {len(pixels)} points kept; colour: P(open) from 0 to 1")
    return image


def _shade(probability: float) -> tuple[int, int, int]:
    """RGB of a probability, from dark violet to yellow."""
    value = np.array([[round(255 * probability)]], dtype=np.uint8)
    blue, green, red = cv2.applyColorMap(value, cv2.COLORMAP_PLASMA)[0, 0].tolist()
    return red, green, blue


def _draw_scale(image: NDArray[np.uint8], words: str) -> None:
    left, width, height = _BAR
    top = image.shape[0] - 20
    for x in range(min(width, image.shape[1] - left)):
        image[top : top + height, left + x] = _shade(x / (width - 1))
    _write(image, words, (left, top - 8))


def _write(image: NDArray[np.uint8], text: str, origin: tuple[int, int]) -> None:
    cv2.putText(image, text, origin, _FONT, 0.5, _DARK, 3, cv2.LINE_8)
    cv2.putText(image, text, origin, _FONT, 0.5, _LIGHT, 1, cv2.LINE_AA)

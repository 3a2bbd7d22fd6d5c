"""The picture on the front of the desk clock: wood, dial, numerals, hands, labels."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_sim.rng import Stream, generator
from keypoint_sim.textures import value_noise

Image = NDArray[np.uint8]
SCALE = 5  # pixels per mm
SHIFT = 4  # OpenCV draws with 4 fractional bits
INK = (38, 36, 42)
FONT = cv2.FONT_HERSHEY_DUPLEX


@lru_cache(maxsize=4)  # it is needed anew for every model that is built
def draw_front(width: float, height: float, dial: float, hour: float = 10.0, minute: float = 9.0) -> Image:
    """The front panel [H, W, 3] uint8, RGB; not to be written to.

    Args:
        width, height: of the panel [m].
        dial: radius of the dial [m], which sits in the panel's middle.
        hour, minute: time shown.
    """
    size = (round(width * 1000 * SCALE), round(height * 1000 * SCALE))
    image = _veneer(size)
    centre = np.array([size[0] / 2, size[1] / 2])
    radius = dial * 1000 * SCALE
    _disc(image, centre, radius, (239, 233, 214))
    _disc(image, centre, radius * 0.62, (228, 219, 193))
    _ring(image, centre, radius * 0.62, (158, 120, 72), 3)
    _ticks(image, centre, radius)
    _numerals(image, centre, radius)
    _label(image, "KEYPOINT", centre + (0, -0.34 * radius), 0.85)
    _label(image, "QUARTZ No.7", centre + (0, 0.33 * radius), 0.6)
    _hand(image, centre, (hour + minute / 60) / 12, 0.50 * radius, 17, INK)
    _hand(image, centre, minute / 60, 0.76 * radius, 11, INK)
    _hand(image, centre, 0.595, 0.80 * radius, 4, (190, 45, 35))
    _disc(image, centre, 13, (190, 45, 35))
    _disc(image, centre, 5, (235, 225, 200))
    _corners(image, size)
    return image


def _veneer(size: tuple[int, int]) -> Image:
    rng = generator(7, Stream.OBJECT_TEXTURE)
    side = 1024
    grain = value_noise(rng, (256, 4), side)
    warp = value_noise(rng, (4, 4), side)
    rows = np.arange(side, dtype=np.float32)[:, None] / side
    mix = 0.6 * grain + 0.4 * (0.5 + 0.5 * np.sin(2 * np.pi * (14 * rows + 1.5 * warp)))
    dark, bright = np.array([84, 48, 27]), np.array([158, 101, 58])
    image = dark + (bright - dark) * mix[..., None]
    return np.ascontiguousarray(image[: size[1], : size[0]].astype(np.uint8))


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    return int(round(point[0] * 2**SHIFT)), int(round(point[1] * 2**SHIFT))


def _disc(image: Image, centre: NDArray[np.float64], radius: float, color: tuple[int, int, int]) -> None:
    cv2.circle(image, _fixed(centre), int(radius * 2**SHIFT), color, -1, cv2.LINE_AA, SHIFT)


def _ring(image: Image, centre: NDArray[np.float64], radius: float, color: tuple[int, int, int], width: int) -> None:
    cv2.circle(image, _fixed(centre), int(radius * 2**SHIFT), color, width, cv2.LINE_AA, SHIFT)


def _direction(turn: float) -> NDArray[np.float64]:
    angle = 2 * np.pi * turn
    return np.array([np.sin(angle), -np.cos(angle)])


def _ticks(image: Image, centre: NDArray[np.float64], radius: float) -> None:
    for minute in range(60):
        hour = minute % 5 == 0
        start, end = (0.87, 0.975) if hour else (0.925, 0.975)
        d = _direction(minute / 60)
        a, b = _fixed(centre + d * start * radius), _fixed(centre + d * end * radius)
        cv2.line(image, a, b, INK, 9 if hour else 3, cv2.LINE_AA, SHIFT)


def _numerals(image: Image, centre: NDArray[np.float64], radius: float) -> None:
    for hour in range(1, 13):
        _label(image, str(hour), centre + _direction(hour / 12) * 0.74 * radius, 1.45, 3)


def _label(image: Image, text: str, centre: NDArray[np.float64], scale: float, width: int = 2) -> None:
    (w, h), _ = cv2.getTextSize(text, FONT, scale, width)
    origin = (int(round(centre[0] - w / 2)), int(round(centre[1] + h / 2)))
    cv2.putText(image, text, origin, FONT, scale, INK, width, cv2.LINE_AA)


def _hand(
    image: Image, centre: NDArray[np.float64], turn: float, length: float, width: float, color: tuple[int, int, int]
) -> None:
    d = _direction(turn)
    side = np.array([-d[1], d[0]]) * width / 2
    tail = -d * 0.22 * length
    outline = np.array(
        [tail + side * 0.6, d * 0.7 * length + side, d * length, d * 0.7 * length - side, tail - side * 0.6]
    )
    points = np.round((centre + outline) * 2**SHIFT).astype(np.int32)
    cv2.fillPoly(image, [points], color, cv2.LINE_AA, SHIFT)


def _corners(image: Image, size: tuple[int, int]) -> None:
    """Inlays, screws and a name plate in the four corners, each unlike the others."""
    w, h = size
    brass, ivory = (196, 160, 92), (226, 214, 184)
    cv2.rectangle(image, (16, 16), (96, 58), brass, -1)
    cv2.putText(image, "ON", (28, 49), FONT, 1.1, INK, 2, cv2.LINE_AA)
    for i in range(5):
        cv2.rectangle(image, (w - 104 + 18 * i, 16), (w - 94 + 18 * i, 36 + 9 * i), ivory if i % 2 else brass, -1)
    triangle = np.array([[18, h - 18], [92, h - 18], [18, h - 92]])
    cv2.fillPoly(image, [triangle], brass, cv2.LINE_AA)
    cv2.circle(image, (38, h - 38), 9, INK, -1, cv2.LINE_AA)
    cv2.rectangle(image, (w - 100, h - 62), (w - 16, h - 16), ivory, -1)
    cv2.putText(image, "42", (w - 90, h - 25), FONT, 1.2, (160, 40, 32), 3, cv2.LINE_AA)

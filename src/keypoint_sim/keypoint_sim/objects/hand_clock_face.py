"""The pictures on the teaching clock: its panel with the dial, and the stripes on its minute hand."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_sim.rng import Stream, generator
from keypoint_sim.textures import value_noise

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
SCALE = 4  # pixels per mm
SHIFT = 4  # OpenCV draws with 4 fractional bits
FONT = cv2.FONT_HERSHEY_DUPLEX
INK, PAPER, CREAM = (34, 40, 62), (250, 247, 238), (255, 236, 190)
# Of the hours 1..12; no two neighbours alike, so that each part of the dial looks like no other.
HOURS: tuple[Color, ...] = (
    (226, 78, 62), (38, 128, 176), (244, 178, 48), (94, 158, 74), (150, 86, 158), (236, 126, 44),
    (30, 148, 142), (206, 62, 106), (70, 98, 182), (168, 176, 44), (222, 96, 52), (52, 66, 110),
)  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    """A picture that is drawn on in millimetres from its middle, x right, y up.

    Attributes:
        image: [H, W, 3] uint8, RGB.
    """

    image: Image

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a point [mm] lies, column and row."""
        height, width = self.image.shape[:2]
        return width / 2 + x * SCALE, height / 2 - y * SCALE

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """A filled circle [mm]."""
        cv2.circle(self.image, self._fixed(x, y), int(radius * SCALE * 2**SHIFT), color, -1, cv2.LINE_AA, SHIFT)

    def polygon(self, outline: NDArray[np.float64], color: Color) -> None:
        """A filled polygon [n, 2] [mm]."""
        points = np.array([self._fixed(x, y) for x, y in outline], dtype=np.int32)
        cv2.fillPoly(self.image, [points], color, cv2.LINE_AA, SHIFT)

    def ray(self, turn: float, start: float, end: float, color: Color, width: int) -> None:
        """A line between two distances [mm] from the middle, `turn` of a revolution clockwise from the top."""
        (a, b), (c, d) = around(turn, start), around(turn, end)
        cv2.line(self.image, self._fixed(a, b), self._fixed(c, d), color, width, cv2.LINE_AA, SHIFT)

    def text(self, text: str, x: float, y: float, size: float, color: Color, width: int = 2) -> None:
        """Words around a point [mm]; a size of 1 makes capitals of 21 pixels."""
        (w, h), _ = cv2.getTextSize(text, FONT, size, width)
        column, row = self.pixel(x, y)
        cv2.putText(
            self.image, text, (round(column - w / 2), round(row + h / 2)), FONT, size, color, width, cv2.LINE_AA
        )

    def _fixed(self, x: float, y: float) -> tuple[int, int]:
        column, row = self.pixel(x, y)
        return round(column * 2**SHIFT), round(row * 2**SHIFT)


def around(turn: float, radius: float) -> tuple[float, float]:
    """The point at a distance from the middle, `turn` of a revolution clockwise from the top."""
    return float(np.sin(2 * np.pi * turn) * radius), float(np.cos(2 * np.pi * turn) * radius)


def draw_panel(width: float, height: float, dial: float) -> Image:
    """The panel with its dial in the middle [H, W, 3] uint8, RGB; sizes and the dial's radius in metres."""
    canvas = _blank(width, height)
    _decorate(canvas, 500 * width, 500 * height)
    radius = 1000 * dial
    canvas.disc(0, 0, radius, PAPER)
    for hour in range(12):
        wedge = [(0.0, 0.0), *(around((hour + part - 0.5) / 12, 0.52 * radius) for part in np.linspace(0, 1, 9))]
        tint = 0.30 if hour % 2 else 0.48
        canvas.polygon(np.array(wedge), _mix(PAPER, HOURS[hour - 1], tint))
    for minute in range(60):
        mark = minute % 5 == 0
        canvas.ray(minute / 60, (0.90 if mark else 0.94) * radius, 0.99 * radius, INK, 9 if mark else 4)
    for hour, color in enumerate(HOURS, start=1):
        x, y = around(hour / 12, 0.74 * radius)
        canvas.disc(x, y, 0.145 * radius, color)
        canvas.text(str(hour), x, y, 1.35, PAPER, 4)
    return canvas.image


def draw_hand(width: float, height: float) -> Image:
    """The minute hand's paint [H, W, 3] uint8, RGB: red with bands of white; sizes in metres."""
    canvas = _blank(width, height)
    canvas.image[:] = (206, 44, 40)
    half = 500 * height
    for low, high, color in ((0.24, 0.33, PAPER), (0.47, 0.52, INK), (0.52, 0.61, CREAM), (0.76, 0.81, INK)):
        top, bottom = (round(canvas.pixel(0, (2 * part - 1) * half)[1]) for part in (high, low))
        canvas.image[top:bottom] = color
    return canvas.image


def _blank(width: float, height: float) -> Canvas:
    return Canvas(np.full((round(1000 * height * SCALE), round(1000 * width * SCALE), 3), 255, dtype=np.uint8))


def _mix(color: Color, other: Color, part: float) -> Color:
    red, green, blue = (round((1 - part) * a + part * b) for a, b in zip(color, other, strict=True))
    return red, green, blue


def _decorate(canvas: Canvas, x: float, y: float) -> None:
    """A painted ground, and a corner each that looks like no other; x, y: half the panel's size [mm]."""
    side = max(canvas.image.shape)
    cells = value_noise(generator(23, Stream.OBJECT_TEXTURE), (48, 48), side)[..., None]
    ground = np.array((24, 110, 124)) + cells * (26, 30, 28)
    canvas.image[:] = ground[: canvas.image.shape[0], : canvas.image.shape[1]].astype(np.uint8)
    star = np.array([around(i / 10, 11.0 if i % 2 == 0 else 4.8) for i in range(10)])
    canvas.polygon(star + (15 - x, y - 14), (250, 204, 70))
    canvas.disc(x - 15, y - 14, 9.5, (244, 132, 58))
    canvas.disc(x - 18, y - 11, 2.0, PAPER)
    canvas.polygon(np.array([(x - 26, 5 - y), (x - 5, 5 - y), (x - 5, 26 - y)]), (232, 86, 92))
    canvas.text("AM", 14 - x, 10 - y, 1.1, PAPER, 3)

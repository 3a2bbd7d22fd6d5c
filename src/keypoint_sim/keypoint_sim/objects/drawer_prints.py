"""The pictures on the chest of drawers: painted fronts, sides, the top, and what lies in the drawer. Lengths in mm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from keypoint_sim.objects.prints import Canvas, Color, Image

INDIGO: Color = (48, 76, 128)
BRICK: Color = (178, 82, 58)
CREAM: Color = (240, 230, 206)
BIRCH: Color = (214, 180, 132)
WALNUT: Color = (128, 84, 52)
MUSTARD: Color = (224, 170, 60)
LEAF: Color = (84, 128, 78)
INK: Color = (40, 36, 38)


@lru_cache(maxsize=2)
def front(width: float, height: float, label: str, ground: Color) -> Image:
    """The front of a drawer: a painted border, flowers at the sides, a label between."""
    canvas = Canvas(width, height, ground)
    canvas.grain(31, (24, 160), 0.10)
    canvas.box(4, 4, width - 8, height - 8, CREAM, 4)
    canvas.box(5.5, 5.5, width - 11, height - 11, ground, 3)
    middle = (width / 2, height / 2)
    for sign in (-1, 1):
        _flower(canvas, (middle[0] + sign * 74, middle[1] + 5), 11, MUSTARD if sign < 0 else CREAM)
        _flower(canvas, (middle[0] + sign * 36, middle[1] - 10), 7, CREAM if sign < 0 else MUSTARD)
        for i in range(3):
            canvas.disc((middle[0] + sign * (38 + 4 * i), middle[1] + 14 - 3 * i), 1.6, CREAM)
    canvas.polygon([(7, 7), (19, 7), (7, 19)], MUSTARD)
    canvas.polygon([(width - 7, 7), (width - 19, 7), (width - 7, 19)], CREAM)
    canvas.box(middle[0] - 27, middle[1] - 9, 54, 21, CREAM, 2)
    canvas.text(label, (middle[0], middle[1] + 1.5), 8.5, INK, 1.2)
    return canvas.image


@lru_cache(maxsize=2)
def side(width: float, height: float, mirrored: bool) -> Image:
    """A side wall: birch with a painted tree; the two sides differ."""
    canvas = Canvas(width, height, BIRCH)
    canvas.grain(32 + mirrored, (8, 220), 0.22)
    canvas.box(8, 8, width - 16, height - 16, INDIGO if mirrored else LEAF, 5)
    canvas.box(10, 10, width - 20, height - 20, CREAM, 4)
    middle = width / 2 + (12 if mirrored else -12)
    canvas.line((middle, height - 16), (middle, 44), 4, WALNUT)
    for i in range(3):
        for sign in (-1, 1):
            tip = (middle + sign * (30 - 5 * i), height - 48 - 17 * i)
            canvas.line((middle, height - 34 - 15 * i), tip, 2.4, WALNUT)
            canvas.disc(tip, 6.5, BRICK if (i + (sign > 0) + mirrored) % 2 else MUSTARD)
    canvas.disc((middle, 36), 13, LEAF)
    canvas.star((middle, 36), 9, 8, CREAM)
    bird = width / 2 - (38 if mirrored else -38)
    canvas.polygon([(bird - 11, 30), (bird + 9, 22), (bird + 14, 30), (bird + 4, 38)], INDIGO)
    canvas.disc((bird + 9, 26), 4.5, INDIGO)
    canvas.box(bird - 10, height - 34, 22, 14, BRICK, 2)
    canvas.text("2" if mirrored else "1", (bird + 1, height - 27), 8, CREAM, 1.3)
    return canvas.image


@lru_cache(maxsize=1)
def top(width: float, height: float) -> Image:
    """The top: walnut with a runner, a coaster and a postcard; the picture's lower edge is the front."""
    canvas = Canvas(width, height, WALNUT)
    canvas.grain(34, (220, 8), 0.30)
    canvas.box(18, 12, 74, height - 24, CREAM)
    for i in range(6):
        y = 16 + (height - 40) / 5.9 * i
        canvas.polygon([(22, y + 7), (38, y), (55, y + 7), (38, y + 14)], BRICK if i % 2 else INDIGO)
        canvas.polygon([(55, y + 7), (72, y), (88, y + 7), (72, y + 14)], MUSTARD if i % 3 else LEAF)
    canvas.box(width - 84, 14, 66, 44, CREAM, 1)
    canvas.box(width - 81, 17, 60, 24, (120, 170, 206))
    canvas.polygon([(width - 81, 41), (width - 60, 22), (width - 44, 36), (width - 34, 28), (width - 21, 41)], LEAF)
    canvas.disc((width - 31, 23), 4, MUSTARD)
    canvas.text("GREETINGS", (width - 51, 50), 6, BRICK, 0.9)
    centre = (width - 48, height - 38)
    for radius, color in ((26.0, BRICK), (22.0, CREAM), (18.0, INDIGO)):
        canvas.disc(centre, radius, color)
    canvas.star(centre, 16, 7, CREAM)
    canvas.disc(centre, 4, MUSTARD)
    return canvas.image


@lru_cache(maxsize=1)
def lining(width: float, height: float) -> Image:
    """What the open drawer is laid out with: a checked towel and a felt; the picture's lower edge is the front."""
    canvas = Canvas(width, height, LEAF)
    canvas.grain(35, (64, 64), 0.10)
    cell = 9.0
    for row in range(int(height / cell) + 1):
        for column in range(int(width / 2 / cell)):
            shade = (CREAM, (222, 150, 132), BRICK)[row % 2 + column % 2]
            canvas.box(column * cell, row * cell, cell, cell, shade)
    canvas.line((width / 2, 0), (width / 2, height), 2.5, BIRCH)
    return canvas.image


def _flower(canvas: Canvas, centre: tuple[float, float], radius: float, color: Color) -> None:
    for angle in 2 * np.pi * np.arange(6) / 6:
        petal = (centre[0] + 0.62 * radius * np.cos(angle), centre[1] + 0.62 * radius * np.sin(angle))
        canvas.disc(petal, 0.36 * radius, color)
    canvas.disc(centre, 0.34 * radius, BRICK if color != BRICK else INK)

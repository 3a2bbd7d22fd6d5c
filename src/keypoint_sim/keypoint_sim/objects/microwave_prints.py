"""The pictures on the microwave: its door from both sides, the keys, the top and a side wall. Lengths in mm."""

from __future__ import annotations

from functools import lru_cache

from keypoint_sim.objects.prints import Canvas, Color, Image

ENAMEL: Color = (120, 178, 170)
DEEP: Color = (38, 92, 92)
CREAM: Color = (240, 233, 214)
INK: Color = (34, 36, 42)
GLASS: Color = (30, 33, 38)
RED: Color = (205, 62, 48)
GREEN: Color = (88, 160, 82)
YELLOW: Color = (236, 186, 62)
WHITE: Color = (250, 250, 246)


@lru_cache(maxsize=1)
def door_front(width: float, height: float) -> Image:
    """The door's outside: a window with its perforated screen, the brand, a sticker."""
    canvas = Canvas(width, height, CREAM)
    canvas.grain(21, (64, 64), 0.03)
    left, top, wide, high = 13.0, 14.0, width - 52.0, height - 42.0
    canvas.box(left - 3, top - 3, wide + 6, high + 6, DEEP, 7)
    canvas.box(left, top, wide, high, GLASS, 5)
    for row in range(int((high - 10) / 4)):
        for column in range(int((wide - 10) / 4)):
            canvas.disc((left + 6 + 4 * column + 2 * (row % 2), top + 7 + 4 * row), 0.9, (74, 80, 86))
    for shift, thick in ((0.0, 9.0), (14.0, 3.0)):  # what the glass mirrors
        x = left + wide * 0.52 + shift
        canvas.polygon(
            [(x, top + 2), (x + thick, top + 2), (x + thick - 30, top + 50), (x - 30, top + 50)], (92, 100, 106)
        )
    canvas.text("KEYPOINT", (left + 32, height - 15.5), 7.5, DEEP, 1.1)
    canvas.text("compact 700 W", (left + 32, height - 6.5), 3.4, INK, 0.4)
    canvas.star((left + wide - 15, top + high - 16), 12, 12, RED, 0.8)
    canvas.text("A+", (left + wide - 15, top + high - 16), 6.5, WHITE, 1.0)
    canvas.box(width - 33, 8, 12, 5, RED, 1)
    canvas.box(width - 33, 15, 12, 5, YELLOW, 1)
    canvas.box(width - 33, 22, 12, 5, DEEP, 1)
    canvas.polygon([(width - 33, height - 9), (width - 21, height - 9), (width - 27, height - 20)], YELLOW)
    canvas.text("!", (width - 27, height - 12), 5, INK, 0.8)
    return canvas.image


@lru_cache(maxsize=1)
def door_back(width: float, height: float) -> Image:
    """The door's inside: white enamel, the window's screen, a gasket, cooking times."""
    canvas = Canvas(width, height, (222, 224, 222))
    canvas.box(6, 6, width - 12, height - 12, (120, 124, 128), 6)
    canvas.box(8.5, 8.5, width - 17, height - 17, (230, 231, 228), 5)
    canvas.box(40, 20, width - 54, height - 54, GLASS, 5)
    for row in range(int((height - 66) / 5)):
        for column in range(int((width - 66) / 5)):
            canvas.disc((47 + 5 * column, 27 + 5 * row), 1.1, (96, 100, 104))
    canvas.text("SOUP 3:00  RICE 4:30  TEA 1:00", (width / 2 + 12, height - 20), 4.6, RED, 0.6)
    for i, color in enumerate((RED, YELLOW, GREEN, DEEP)):
        canvas.box(16, 24 + 22 * i, 14, 14, color, 2)
        canvas.text(str(i + 1), (23, 31 + 22 * i), 6, WHITE, 0.9)
    return canvas.image


@lru_cache(maxsize=1)
def keys(width: float, height: float) -> Image:
    """The control panel: a clock display, a dial, ten keys, start and stop."""
    canvas = Canvas(width, height, DEEP)
    middle = width / 2
    canvas.box(6, 7, width - 12, 19, (14, 18, 16), 2)
    canvas.text("10:09", (middle, 16.5), 10.5, (118, 255, 150), 1.4)
    for row, labels in enumerate(("123", "456", "789", "+0-")):
        for column, label in enumerate(labels):
            x, y = middle + 15.5 * (column - 1), 39 + 15 * row
            canvas.box(x - 6, y - 5.5, 12, 11, CREAM, 2)
            canvas.text(label, (x, y), 6.0, INK, 0.9)
    for x, color, label in ((-12.5, GREEN, "GO"), (12.5, RED, "END")):
        canvas.box(middle + x - 11, 98, 22, 13, color, 3)
        canvas.text(label, (middle + x, 104.5), 5.4, WHITE, 0.9)
    canvas.disc((middle - 12, 124), 9.5, (205, 208, 206))
    canvas.disc((middle - 12, 124), 7.5, (150, 154, 154))
    canvas.line((middle - 12, 124), (middle - 8, 117.5), 1.6, RED)
    canvas.text("DEFROST", (middle + 12, 120), 2.9, CREAM, 0.4)
    canvas.star((middle + 12, 128), 4.5, 6, YELLOW, 0.5)
    return canvas.image


@lru_cache(maxsize=1)
def top(width: float, height: float) -> Image:
    """The top: slots at the back, a warning, a checked cloth; the picture's lower edge is the front."""
    canvas = Canvas(width, height, ENAMEL)
    canvas.grain(22, (96, 96), 0.07)
    for i in range(14):
        canvas.box(16 + 8.2 * i, 10, 4.2, 22, INK, 2)
    canvas.box(width - 76, 10, 60, 26, YELLOW, 2)
    canvas.polygon([(width - 72, 32), (width - 50, 32), (width - 61, 13)], INK)
    canvas.text("!", (width - 61, 26), 9, YELLOW, 1.4)
    canvas.text("HOT", (width - 33, 19), 8, INK, 1.2)
    canvas.text("do not cover", (width - 33, 30), 3, INK, 0.4)
    side = 11.0
    for row in range(6):
        for column in range(9):
            shade = (CREAM, (196, 88, 74), (226, 160, 140))[(row % 2) + (column % 2)]
            canvas.box(30 + side * column, 54 + side * row, side, side, shade)
    for row in range(4):
        canvas.text(("NOTES", "milk", "eggs", "rice")[row], (width - 48, 62 + 13 * row), 6.0 if row else 7.5, DEEP, 0.8)
    canvas.star((width - 22, height - 18), 11, 5, YELLOW)
    canvas.star((16, height - 16), 10, 5, RED)
    return canvas.image


@lru_cache(maxsize=1)
def side(width: float, height: float) -> Image:
    """A side wall: slots, the plate with the type, two magnets."""
    canvas = Canvas(width, height, ENAMEL)
    canvas.grain(23, (96, 96), 0.07)
    for i in range(9):
        canvas.box(14, 14 + 8 * i, 44, 3.6, INK, 1.8)
    canvas.box(70, 14, width - 86, 44, CREAM, 2)
    canvas.text("TYPE K-7", (70 + (width - 86) / 2, 22), 5.5, INK, 0.8)
    for i, text in enumerate(("230 V  50 Hz", "700 W  2450 MHz", "No 004217")):
        canvas.text(text, (70 + (width - 86) / 2, 33 + 9 * i), 3.6, INK, 0.4)
    canvas.disc((34, height - 26), 14, RED)
    canvas.disc((34, height - 26), 9, WHITE)
    canvas.text("5", (34, height - 26), 8, RED, 1.4)
    canvas.polygon([(84, height - 12), (122, height - 12), (103, height - 46)], YELLOW)
    canvas.disc((103, height - 23), 6, DEEP)
    return canvas.image

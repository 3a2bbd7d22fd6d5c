"""Pictures that are printed on objects, drawn in millimetres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_sim.rng import Stream, generator
from keypoint_sim.scene import set_texture
from keypoint_sim.textures import value_noise

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
Point = tuple[float, float]

SCALE = 5.0  # pixels per mm
FRACTION = 4  # OpenCV draws with so many fractional bits
FONT = cv2.FONT_HERSHEY_DUPLEX
FONT_HEIGHT = 21.0  # of its capitals at scale 1 [px]


class Print(NamedTuple):
    """A picture on an object; texture and material carry its name."""

    name: str
    image: Image


def assets(pictures: Iterable[Print]) -> str:
    """MJCF of the textures and materials of some pictures."""
    return "".join(
        f'<texture name="{name}" type="2d" builtin="flat" width="{image.shape[1]}" height="{image.shape[0]}"/>'
        f'<material name="{name}" texture="{name}" specular="0.2" shininess="0.5"/>'
        for name, image in pictures
    )


def paint(model: mujoco.MjModel, pictures: Iterable[Print]) -> None:
    """Draws pictures into the model; they belong to an object and never change."""
    for name, image in pictures:
        set_texture(model, name, image)


def rgba(color: Color) -> str:
    """A colour as MJCF wants it."""
    return " ".join(f"{channel / 255:.3f}" for channel in color) + " 1"


class Canvas:
    """An RGB image in `image`, uint8; lengths are in mm from the left and from the top.

    Args:
        width, height: [mm].
        color: of the ground.
    """

    def __init__(self, width: float, height: float, color: Color) -> None:
        self.width, self.height = width, height
        size = (round(height * SCALE), round(width * SCALE), 3)
        self.image: Image = np.full(size, color, dtype=np.uint8)

    def box(self, x: float, y: float, width: float, height: float, color: Color, radius: float = 0.0) -> None:
        """A filled rectangle from its upper left corner, with round corners."""
        if radius <= 0:
            self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], color)
            return
        self.box(x + radius, y, width - 2 * radius, height, color)
        self.box(x, y + radius, width, height - 2 * radius, color)
        for cx in (x + radius, x + width - radius):
            for cy in (y + radius, y + height - radius):
                self.disc((cx, cy), radius, color)

    def disc(self, centre: Point, radius: float, color: Color) -> None:
        """A filled circle."""
        where = (_fixed(centre[0]), _fixed(centre[1]))
        cv2.circle(self.image, where, _fixed(radius), color, -1, cv2.LINE_AA, FRACTION)

    def polygon(self, corners: Sequence[Point], color: Color) -> None:
        """A filled polygon."""
        points = np.array([[_fixed(x), _fixed(y)] for x, y in corners], dtype=np.int32)
        cv2.fillPoly(self.image, [points], color, cv2.LINE_AA, FRACTION)

    def star(self, centre: Point, radius: float, points: int, color: Color, inner: float = 0.45) -> None:
        """A star, one of its points up."""
        angles = np.pi * np.arange(2 * points) / points
        radii = radius * np.where(np.arange(2 * points) % 2, inner, 1.0)
        x, y = centre[0] + radii * np.sin(angles), centre[1] - radii * np.cos(angles)
        self.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), color)

    def line(self, start: Point, end: Point, width: float, color: Color) -> None:
        """A straight line."""
        a, b = ((_fixed(p[0]), _fixed(p[1])) for p in (start, end))
        cv2.line(self.image, a, b, color, max(1, round(width * SCALE)), cv2.LINE_AA, FRACTION)

    def text(self, text: str, centre: Point, height: float, color: Color, width: float = 0.5) -> None:
        """Text about its centre, with capitals of this height."""
        scale, stroke = height * SCALE / FONT_HEIGHT, max(1, round(width * SCALE))
        (w, h), _ = cv2.getTextSize(text, FONT, scale, stroke)
        origin = (round(centre[0] * SCALE - w / 2), round(centre[1] * SCALE + h / 2))
        cv2.putText(self.image, text, origin, FONT, scale, color, stroke, cv2.LINE_AA)

    def grain(self, seed: int, cells: tuple[int, int], strength: float) -> None:
        """Lightens and darkens the whole picture by smooth noise of this many cells (down, across)."""
        height, width = self.image.shape[:2]
        noise = value_noise(generator(seed, Stream.OBJECT_TEXTURE), cells, max(height, width))[:height, :width]
        self.image[:] = np.clip(self.image * (1 + strength * (2 * noise[..., None] - 1)), 0, 255).astype(np.uint8)


def _fixed(length: float) -> int:
    return round(length * SCALE * 2**FRACTION)

"""Meshes and pictures of the glass teapot: what is turned on a lathe, what is bent from a tube, what is painted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_sim import meshes
from keypoint_sim.rng import Stream, generator
from keypoint_sim.textures import value_noise

Array = NDArray[np.float64]
Faces = NDArray[np.int64]
Image = NDArray[np.uint8]
SIDE = 512  # of the pictures [px]
GLASS, INK = (214, 236, 232, 50), (252, 252, 246, 235)  # RGBA


def tube(path: Array, radii: Array, sides: int = 10) -> tuple[Array, Faces, Array]:
    """An open tube along a path [n, 2] (y, z) in the plane x = 0, of a radius [n] at each point [m]; as `meshes.lathe`."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.column_stack([-along[:, 1], along[:, 0]])  # with x and the tangent right-handed
    turn = 2 * np.pi * np.arange(sides + 1) / sides
    yz = path[:, None] + radii[:, None, None] * np.sin(turn)[None, :, None] * across[:, None]
    x = radii[:, None] * np.cos(turn)
    vertices = np.concatenate([x[..., None], yz], axis=-1).reshape(-1, 3)
    way = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    u, v = np.meshgrid(np.arange(sides + 1) / sides, way / way[-1])
    faces = meshes.grid_faces(len(path), sides + 1, np.ones(len(path), dtype=bool))
    return vertices, faces[:, ::-1], np.stack([u, v], axis=-1).reshape(-1, 2)


def bend(points: list[tuple[float, float]], count: int) -> Array:
    """A smooth path [count, 2] that begins at the first point, ends at the last and is drawn to those between."""
    t = np.linspace(0, 1, count)[:, None, None]
    curve = np.repeat(np.array(points)[None], count, axis=0)
    while curve.shape[1] > 1:  # de Casteljau
        curve = curve[:, :-1] * (1 - t) + curve[:, 1:] * t
    return curve[:, 0]


def draw_print() -> Image:
    """What is printed on the glass [SIDE / 2, 2 SIDE, 4] uint8, RGBA, once around: bands, leaves, a name, two scales."""
    image = np.empty((SIDE // 2, 2 * SIDE, 4), dtype=np.uint8)
    image[:] = GLASS
    for row in (50, 88):
        cv2.line(image, (0, row), (2 * SIDE, row), INK, 5)
    for i, x in enumerate(range(0, 2 * SIDE, 64)):
        cv2.ellipse(image, (x, 69), (24, 8), 28 if i % 2 else -28, 0, 360, INK, -1)
    for x in (SIDE - 165, SIDE + 165):
        for i, row in enumerate(range(108, 200, 15)):
            half = 30 if i % 2 == 0 else 16
            cv2.line(image, (x - half, row), (x + half, row), INK, 5)
    _label(image, "KEYPOINT", (SIDE, 124), 1.35)
    return image


def draw_lid() -> Image:
    """What is printed on the lid [SIDE, SIDE, 4] uint8, RGBA: a ring of leaves; rows run from its middle to its edge."""
    image = np.empty((SIDE, SIDE, 4), dtype=np.uint8)
    image[:] = GLASS
    for x in np.arange(10) * SIDE // 10 + SIDE // 20:
        cv2.ellipse(image, (int(x), 320), (15, 90), 0, 0, 360, INK, -1)
    return image


def _label(image: Image, text: str, centre: tuple[int, int], scale: float) -> None:
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, 4)
    origin = (centre[0] - w // 2, centre[1] + h // 2)
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_DUPLEX, scale, INK, 4)


def draw_strainer() -> Image:
    """Brushed steel with rows of holes [SIDE, SIDE, 3] uint8, RGB, once around; none in its rim, halfway up."""
    rng = generator(31, Stream.OBJECT_TEXTURE)
    shade = 178 + 40 * value_noise(rng, (SIDE // 2, 4), SIDE)
    image = np.repeat(shade[..., None], 3, axis=2).astype(np.uint8)
    for j, row in enumerate([*range(100, 220, 28), *range(300, 430, 28)]):
        for column in range((j % 2) * 16, SIDE + 16, 32):
            cv2.circle(image, (column, row), 9, (52, 50, 48), -1, cv2.LINE_AA)
    return image


def draw_rattan() -> Image:
    """A cane wound around a handle [SIDE, SIDE, 3] uint8, RGB; rows run along the handle."""
    row = np.arange(SIDE)[:, None] + 36 * np.arange(SIDE)[None] / SIDE
    turn = row % 36 / 36
    rng = generator(32, Stream.OBJECT_TEXTURE)
    shade = np.sin(np.pi * turn) ** 0.5 * (0.75 + 0.25 * rng.random(SIDE // 36 + 2)[(row // 36).astype(int)])
    dark, bright = np.array([70, 40, 18]), np.array([206, 152, 92])
    return np.ascontiguousarray((dark + (bright - dark) * shade[..., None]).astype(np.uint8))


def draw_bamboo() -> Image:
    """Strips of bamboo of varied shade with nodes, burnt rings at the edges [SIDE, SIDE, 3] uint8, RGB."""
    rng = generator(33, Stream.OBJECT_TEXTURE)
    strips = 16
    shade = np.repeat(rng.uniform(0.0, 1.0, strips), SIDE // strips)[None] + 0.25 * (
        value_noise(rng, (4, 256), SIDE) - 0.5
    )
    shade = shade * np.where(np.arange(SIDE) % (SIDE // strips) < 2, 0.45, 1.0)[None]
    for strip in range(strips):
        top = int(rng.integers(0, SIDE - 20))
        shade[top : top + 14, strip * (SIDE // strips) : (strip + 1) * (SIDE // strips)] *= 0.6
    dark, bright = np.array([104, 66, 30]), np.array([226, 184, 122])
    return np.ascontiguousarray(np.clip(dark + (bright - dark) * shade[..., None], 0, 255).astype(np.uint8))


def draw_knob() -> Image:
    """Turned wood with two burnt rings [SIDE, SIDE, 3] uint8, RGB; rows run from the foot to the top."""
    rng = generator(34, Stream.OBJECT_TEXTURE)
    grain = 0.55 + 0.45 * value_noise(rng, (8, 64), SIDE)
    dark, bright = np.array([88, 32, 18]), np.array([196, 92, 48])
    image = dark + (bright - dark) * grain[..., None]
    for row in (120, 300):
        image[row : row + 46] = (38, 20, 14)
    image[:70] = (232, 200, 140)
    return np.ascontiguousarray(image.astype(np.uint8))

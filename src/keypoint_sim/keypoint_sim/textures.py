"""Procedural textures: each kind is a function of a generator that returns an RGB image [S, S, 3] uint8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.registry import Registry
from keypoint_sim.rng import Stream, generator

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
SIZE = 512

TEXTURES = Registry(
    "texture",
    {
        name: f"{__name__}:{name}"
        for name in ("plain", "noise", "clouds", "stripes", "checks", "wood", "cloth", "tiles", "speckle")
    },
)


@dataclass(frozen=True)
class Texture:
    """One texture, drawn when it is needed.

    Attributes:
        kind: name in `TEXTURES`.
        seed: of its random numbers.
        colors: two RGB colours in 0..1 that it mixes; None lets the seed choose.
    """

    kind: str
    seed: int = 0
    colors: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None

    def draw(self) -> Image:
        """The image [SIZE, SIZE, 3] uint8, RGB."""
        return _draw(self)


@lru_cache(maxsize=8)
def _draw(texture: Texture) -> Image:
    rng = generator(texture.seed, Stream.OBJECT_TEXTURE)
    colors = np.array(texture.colors) if texture.colors else random_colors(rng)
    pattern: Callable[[np.random.Generator], Field] = TEXTURES.load(texture.kind)
    mix = np.clip(pattern(rng), 0.0, 1.0)[..., None]
    image = colors[0] * (1.0 - mix) + colors[1] * mix
    return np.ascontiguousarray(np.clip(image * 255.0 + 0.5, 0, 255).astype(np.uint8))


def random_colors(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two RGB colours [2, 3] that differ in lightness, neither black nor glaring."""
    hsv = np.stack([rng.uniform(0, 360, 2), rng.uniform(0.08, 0.65, 2), rng.uniform([0.2, 0.5], [0.55, 0.95])], axis=1)
    return cv2.cvtColor(hsv[None].astype(np.float32), cv2.COLOR_HSV2RGB)[0].astype(np.float64)


def value_noise(rng: np.random.Generator, cells: tuple[int, int], size: int = SIZE) -> Field:
    """Smooth noise in 0..1 with this many cells (down, across), tileable."""
    grid = rng.random(cells, dtype=np.float32)
    padded = np.pad(grid, 2, mode="wrap")
    scale = (size / cells[0], size / cells[1])
    full = cv2.resize(
        padded, (round((cells[1] + 4) * scale[1]), round((cells[0] + 4) * scale[0])), interpolation=cv2.INTER_CUBIC
    )
    top, left = round(2 * scale[0]), round(2 * scale[1])
    return full[top : top + size, left : left + size]


def fractal(rng: np.random.Generator, first: int, octaves: int) -> Field:
    """Octaves of value noise, stretched to 0..1."""
    total = np.zeros((SIZE, SIZE), dtype=np.float32)
    for i in range(octaves):
        cells = first * 2**i
        total += value_noise(rng, (cells, cells)) / 2**i
    return (total - total.min()) / (total.max() - total.min())


def plain(rng: np.random.Generator) -> Field:
    """Paint: hardly any structure."""
    return 0.4 * fractal(rng, 2, 3) + 0.1 * rng.random((SIZE, SIZE), dtype=np.float32)


def noise(rng: np.random.Generator) -> Field:
    """Fine grain of one size."""
    cells = int(rng.choice([64, 128, 256]))
    return value_noise(rng, (cells, cells))


def clouds(rng: np.random.Generator) -> Field:
    """Marble-like clouds."""
    return fractal(rng, int(rng.integers(3, 8)), 5)


def rotated(rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates in 0..1 over the image, turned by a random angle: across, along."""
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    angle = rng.uniform(0, np.pi)
    return u * np.cos(angle) + v * np.sin(angle), -u * np.sin(angle) + v * np.cos(angle)


def stripes(rng: np.random.Generator) -> Field:
    """Parallel bands with soft edges."""
    across, _ = rotated(rng)
    return 0.5 + 0.5 * np.tanh(4 * np.sin(2 * np.pi * rng.uniform(6, 24) * across))


def checks(rng: np.random.Generator) -> Field:
    """A chessboard, turned."""
    across, along = rotated(rng)
    count = rng.uniform(4, 16)
    return 0.5 + 0.5 * np.tanh(8 * np.sin(2 * np.pi * count * across) * np.sin(2 * np.pi * count * along))


def tiles(rng: np.random.Generator) -> Field:
    """Tiles of varied shade with joints."""
    count = int(rng.integers(5, 12))
    side = SIZE // count + 1
    shade = np.kron(rng.uniform(0.35, 0.9, (count, count)), np.ones((side, side)))[:SIZE, :SIZE].astype(np.float32)
    joint = np.minimum(np.arange(SIZE) % side, side - np.arange(SIZE) % side) < 3
    shade[joint] = 0.05
    shade[:, joint] = 0.05
    return shade + 0.08 * (fractal(rng, 16, 3) - 0.5)


def wood(rng: np.random.Generator) -> Field:
    """Long grain with growth rings and a few planks."""
    warp = fractal(rng, 2, 3)
    grain = value_noise(rng, (256, 4))
    v = np.arange(SIZE, dtype=np.float32)[:, None] / SIZE
    planks = int(rng.integers(3, 6))
    index = np.minimum((v * planks).astype(int), planks - 1)
    phase = rng.uniform(0, 6, planks).astype(np.float32)[index]
    shade = rng.uniform(-0.12, 0.12, planks).astype(np.float32)[index]
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (7 * v + 1.3 * warp + phase))
    seam = np.abs((v * planks) % 1.0 - 0.5) > 0.493
    return 0.25 + 0.22 * rings + 0.33 * grain + shade + 0.35 * seam


def cloth(rng: np.random.Generator) -> Field:
    """A weave of threads with broader bands."""
    count = int(rng.integers(48, 96))
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    weave = np.sin(2 * np.pi * count * u) * np.sin(2 * np.pi * count * v)
    bands = np.sin(2 * np.pi * rng.integers(3, 9) * u) + np.sin(2 * np.pi * rng.integers(3, 9) * v)
    return 0.45 + 0.15 * weave + 0.14 * np.tanh(3 * bands) + 0.15 * fractal(rng, 64, 2)


def speckle(rng: np.random.Generator) -> Field:
    """Terrazzo: many small chips on an even ground."""
    image = np.full((SIZE, SIZE), 0.2, dtype=np.float32)
    for _ in range(int(rng.integers(300, 900))):
        centre = tuple(int(c) for c in rng.integers(0, SIZE, 2))
        axes = tuple(int(a) for a in rng.integers(1, 9, 2))
        cv2.ellipse(
            image, centre, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.3, 1)), -1, cv2.LINE_AA
        )
    return image

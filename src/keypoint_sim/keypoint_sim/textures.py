"""Textures: a large procedural bank, and photographs from files. Each is drawn when a picture first needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.registry import Registry
from keypoint_sim.patterns.fields import SIZE, Field, fractal, value_noise
from keypoint_sim.rng import Stream, generator

__all__ = ["FAMILIES", "SIZE", "TEXTURES", "Image", "Texture", "find_photos", "fractal", "photo", "random_texture"]
__all__ += ["value_noise"]

Image = NDArray[np.uint8]
Color = tuple[float, float, float]
PHOTO = "photo"  # kind of a texture that is read from a file
SUFFIXES = (".png", ".jpg", ".jpeg")
CACHED = 24  # drawn textures that are kept; each takes 0.8 MB

# Kinds that look alike. A family is drawn first, then one of its kinds.
FAMILIES: dict[str, tuple[str, ...]] = {
    "checks": ("checks", "diamonds", "triangles"),
    "cloth": ("cloth", "gingham", "plaid", "herringbone", "denim"),
    "clouds": ("clouds", "marble", "granite"),
    "noise": ("noise", "carpet", "cells"),
    "plain": ("plain", "gradient", "brushed"),
    "speckle": ("speckle", "terrazzo", "dots", "confetti"),
    "stripes": ("stripes", "bands", "waves", "rings"),
    "tiles": ("tiles", "brick", "hexagons", "mosaic"),
    "wood": ("wood", "parquet", "bamboo", "cork"),
}
MODULES: dict[str, tuple[str, ...]] = {
    "natural": ("plain", "brushed", "noise", "clouds", "marble", "granite", "speckle", "terrazzo")
    + ("wood", "parquet", "bamboo", "cork", "carpet"),
    "woven": FAMILIES["cloth"],
    "graphic": ("stripes", "bands", "waves", "rings", "checks", "diamonds", "triangles", "dots", "confetti")
    + ("gradient", "tiles", "brick", "hexagons", "mosaic", "cells"),
    "printed": ("label", "cover", "panels", "peel", "glaze", "pips"),
}
TEXTURES = Registry(
    "texture",
    {kind: f"keypoint_sim.patterns.{module}:{kind}" for module, kinds in MODULES.items() for kind in kinds},
)
# Colours that some kinds have in nature; half of the textures of such a kind take them, a little off.
NATURAL: dict[str, tuple[tuple[Color, Color], ...]] = {
    "parquet": (((0.30, 0.19, 0.11), (0.72, 0.52, 0.33)), ((0.42, 0.33, 0.24), (0.86, 0.75, 0.58))),
    "bamboo": (((0.55, 0.42, 0.22), (0.90, 0.80, 0.58)), ((0.36, 0.24, 0.13), (0.70, 0.52, 0.32))),
    "cork": (((0.34, 0.22, 0.13), (0.84, 0.66, 0.46)),),
    "brick": (((0.48, 0.19, 0.13), (0.80, 0.76, 0.70)), ((0.62, 0.58, 0.54), (0.90, 0.88, 0.85))),
    "marble": (((0.36, 0.37, 0.40), (0.94, 0.93, 0.91)), ((0.08, 0.09, 0.10), (0.36, 0.37, 0.38))),
    "granite": (((0.16, 0.16, 0.18), (0.70, 0.69, 0.68)), ((0.34, 0.22, 0.19), (0.86, 0.72, 0.64))),
    "hexagons": (((0.45, 0.45, 0.45), (0.94, 0.94, 0.92)), ((0.10, 0.20, 0.26), (0.62, 0.76, 0.78))),
    "denim": (((0.07, 0.11, 0.22), (0.48, 0.58, 0.72)), ((0.10, 0.10, 0.11), (0.52, 0.53, 0.55))),
    "brushed": (((0.48, 0.49, 0.50), (0.80, 0.81, 0.82)),),
    "herringbone": (((0.20, 0.20, 0.22), (0.68, 0.66, 0.62)),),
    "carpet": (((0.26, 0.26, 0.28), (0.62, 0.61, 0.60)), ((0.40, 0.33, 0.26), (0.74, 0.66, 0.56))),
}
MANY_COLORS = {"bands": 5, "triangles": 4, "confetti": 5, "mosaic": 5, "cells": 5, "terrazzo": 4, "plaid": 4}


@dataclass(frozen=True)
class Texture:
    """One texture, drawn when it is needed.

    Attributes:
        kind: name in `TEXTURES`, or "photo".
        seed: of its random numbers.
        colors: two or more RGB colours in 0..1 that it mixes; None lets the seed choose.
        path: of the file of a photo.
    """

    kind: str
    seed: int = 0
    colors: tuple[Color, ...] | None = None
    path: str = ""

    def draw(self) -> Image:
        """The image [SIZE, SIZE, 3] uint8, RGB; not to be written to.

        Raises:
            UnknownNameError: no such kind; the message lists the known ones.
            InputError: the photo cannot be read.
        """
        return _draw(self)


@lru_cache(maxsize=CACHED)
def _draw(texture: Texture) -> Image:
    if texture.kind == PHOTO:
        return photo(Path(texture.path))
    rng = generator(texture.seed, Stream.OBJECT_TEXTURE)
    colors = np.array(texture.colors) if texture.colors else random_colors(rng)
    pattern: Callable[[np.random.Generator], Field] = TEXTURES.load(texture.kind)
    field = pattern(rng)
    return paint(field, colors if texture.colors else _more_colors(texture.kind, colors, rng))


def _more_colors(kind: str, colors: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The colours of a kind [C, 3] that begin with two, or natural ones in their place."""
    more = MANY_COLORS.get(kind, 2) - len(colors)
    if kind in NATURAL and rng.random() < 0.5:
        pairs = NATURAL[kind]
        pair = np.array(pairs[int(rng.integers(len(pairs)))])
        return np.clip(pair * rng.uniform(0.85, 1.1, (2, 1)) + rng.uniform(-0.03, 0.03, (2, 3)), 0.03, 0.97)
    return np.vstack([colors, *(random_colors(rng)[i % 2, None] for i in range(more))])


def paint(field: Field, colors: NDArray[np.float64]) -> Image:
    """A field [S, S] of 0..1 in colours [C, 3] of 0..1, mixed linearly from one to the next."""
    levels = np.linspace(0, len(colors) - 1, 256)
    table = np.stack([np.interp(levels, np.arange(len(colors)), channel) for channel in colors.T], axis=1)
    index = cv2.convertScaleAbs(np.clip(field, 0.0, 1.0), alpha=255.0)
    return cv2.LUT(cv2.merge([index] * 3), np.round(table * 255).astype(np.uint8)[None])


def random_colors(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two RGB colours [2, 3] that differ in lightness, neither black nor glaring."""
    hsv = np.stack([rng.uniform(0, 360, 2), rng.uniform(0.08, 0.65, 2), rng.uniform([0.2, 0.5], [0.55, 0.95])], axis=1)
    return cv2.cvtColor(hsv[None].astype(np.float32), cv2.COLOR_HSV2RGB)[0].astype(np.float64)


def random_texture(rng: np.random.Generator) -> Texture:
    """One of the whole bank."""
    family = sorted(FAMILIES)[int(rng.integers(len(FAMILIES)))]
    seed = int(rng.integers(2**31))
    kinds = FAMILIES[family]
    return Texture(kinds[int(rng.integers(len(kinds)))], seed)


def photo(path: Path) -> Image:
    """The middle square of a picture file, [SIZE, SIZE, 3] uint8, RGB.

    Raises:
        InputError: the file cannot be read; the message names it and the reason.
    """
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise InputError(f"texture {path} cannot be read: {error.strerror}") from error
    except cv2.error as error:
        raise InputError(f"texture {path} cannot be read: {error.err}") from error
    if image is None:
        raise InputError(f"texture {path} cannot be read: not a whole PNG or JPEG picture; convert or remove it")
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = cv2.resize(image[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(square, cv2.COLOR_BGR2RGB)


def find_photos(folder: str) -> tuple[str, ...]:
    """The pictures (png, jpg) in a folder, by name, each of which was read once.

    Raises:
        InputError: no such folder, none in it, or one cannot be read.
    """
    if not Path(folder).is_dir():
        raise InputError(f"textures_dir must be a folder with PNG or JPEG pictures, got '{folder}'")
    found = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"textures_dir {folder} holds no picture; put files {', '.join(SUFFIXES)} into it")
    for path in found:
        photo(path)
    return tuple(str(path) for path in found)

"""Colours and skins of distractors."""

from __future__ import annotations

import numpy as np

from keypoint_sim.disturbances.solid import Skin
from keypoint_sim.textures import Texture, random_texture

Color = tuple[float, float, float]

# Of enamel, plastic and print, as one finds them on a desk.
PAINTS: tuple[Color, ...] = (
    (0.78, 0.18, 0.14),
    (0.90, 0.47, 0.12),
    (0.93, 0.76, 0.22),
    (0.30, 0.56, 0.26),
    (0.12, 0.42, 0.40),
    (0.14, 0.34, 0.64),
    (0.36, 0.62, 0.80),
    (0.42, 0.26, 0.52),
    (0.85, 0.55, 0.62),
    (0.92, 0.90, 0.84),
    (0.24, 0.25, 0.28),
    (0.60, 0.61, 0.62),
    (0.52, 0.34, 0.20),
)
INK: tuple[Color, ...] = ((0.10, 0.10, 0.12), (0.14, 0.18, 0.34), (0.36, 0.09, 0.10), (0.08, 0.24, 0.18))
PAPER: tuple[Color, ...] = ((0.95, 0.93, 0.87), (0.98, 0.97, 0.95), (0.93, 0.86, 0.70))
METAL = Skin(color=(0.72, 0.73, 0.75), specular=0.7, shininess=0.6)


def color(rng: np.random.Generator, of: tuple[Color, ...] = PAINTS) -> Color:
    """One of the colours, a little off."""
    red, green, blue = np.clip(np.array(of[int(rng.integers(len(of)))]) + rng.uniform(-0.05, 0.05, 3), 0.03, 0.98)
    return float(red), float(green), float(blue)


def enamel(rng: np.random.Generator) -> Skin:
    """One glossy colour."""
    return Skin(color=color(rng), specular=0.4, shininess=0.5)


def printed(rng: np.random.Generator, kind: str) -> Skin:
    """A print in five colours: ground, two paints, another, ink."""
    first, second, third = color(rng), color(rng), color(rng)
    ground, ink = color(rng, PAPER), color(rng, INK)
    dark = rng.random() < 0.5
    colors = (first, second, ground, third, ink) if dark else (ground, first, second, third, ink)
    return Skin(Texture(kind, int(rng.integers(2**31)), colors), specular=0.25, shininess=0.4)


def painted(rng: np.random.Generator, kind: str) -> Skin:
    """A pattern in two or three paints."""
    return Skin(Texture(kind, int(rng.integers(2**31)), (color(rng), color(rng, PAPER), color(rng))), specular=0.35)


def any_texture(rng: np.random.Generator) -> Skin:
    """One of the whole bank."""
    return Skin(random_texture(rng))


def wooden(rng: np.random.Generator) -> Skin:
    """Bare wood with a fine grain."""
    tone = float(rng.uniform(0.75, 1.15))
    dark, bright = (0.52 * tone, 0.36 * tone, 0.22 * tone), (0.82 * tone, 0.66 * tone, 0.46 * tone)
    return Skin(Texture("brushed", int(rng.integers(2**31)), (dark, bright)), specular=0.15)

"""Cloths."""

from __future__ import annotations

import numpy as np

from keypoint_sim.patterns.fields import SIZE, Field, cells_of, fractal, line, soft, value_noise


def cloth(rng: np.random.Generator) -> Field:
    """A weave of threads with broader bands."""
    count = int(rng.integers(48, 96))
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    weave = np.sin(2 * np.pi * count * u) * np.sin(2 * np.pi * count * v)
    bands = np.sin(2 * np.pi * rng.integers(3, 9) * u) + np.sin(2 * np.pi * rng.integers(3, 9) * v)
    return 0.45 + 0.15 * weave + 0.14 * np.tanh(3 * bands) + 0.15 * fractal(rng, 64, 2)


def gingham(rng: np.random.Generator) -> Field:
    """A tablecloth: crossed bands that darken each other."""
    count = int(rng.integers(4, 14))
    band = soft(line(count), 12)
    threads = 0.05 * line(170)
    return 0.5 * (band[:, None] + band[None]) + (threads[:, None] * threads[None]) * 8


def plaid(rng: np.random.Generator) -> Field:
    """Tartan: the same uneven bands down and across."""
    edges = np.sort(rng.integers(0, SIZE, 2 * int(rng.integers(4, 9))))
    shades = rng.random(len(edges) + 1, dtype=np.float32)
    row = shades[np.searchsorted(edges, np.arange(SIZE))]
    twill = (np.add.outer(np.arange(SIZE), np.arange(SIZE)) // 3) % 2 == 0
    return np.where(twill, row[:, None], row[None])


def herringbone(rng: np.random.Generator) -> Field:
    """Slanted threads that change direction in columns."""
    columns = 2 * int(rng.integers(4, 12))
    fine = int(rng.integers(24, 48))
    _, index, _, x = cells_of((1, columns))
    slope = np.where(index % 2 == 0, x, 1 - x) * (fine / columns)
    down = np.arange(SIZE, dtype=np.float32)[:, None] / SIZE * fine
    return soft(np.sin(2 * np.pi * (down + slope)).astype(np.float32), 1.5) + 0.1 * (fractal(rng, 32, 2) - 0.5)


def denim(rng: np.random.Generator) -> Field:
    """Twill with worn threads."""
    diagonal = np.add.outer(np.arange(SIZE), 2 * np.arange(SIZE)) % 8 < 3
    worn = value_noise(rng, (256, 32)) + value_noise(rng, (32, 256))
    return 0.15 + 0.22 * diagonal.astype(np.float32) + 0.28 * worn + 0.1 * fractal(rng, 4, 2)

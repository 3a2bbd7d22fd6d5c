"""Wood, stone, paint, metal: what grew or was ground."""

from __future__ import annotations

import cv2
import numpy as np

from keypoint_sim.patterns.fields import SIZE, Field, cells_of, fractal, grid, line, value_noise


def plain(rng: np.random.Generator) -> Field:
    """Paint: hardly any structure."""
    return 0.4 * fractal(rng, 2, 3) + 0.1 * rng.random((SIZE, SIZE), dtype=np.float32)


def brushed(rng: np.random.Generator) -> Field:
    """Brushed metal: fine scratches all in one direction."""
    scratches = 0.6 * value_noise(rng, (256, 8)) + 0.4 * value_noise(rng, (128, 2))
    return scratches if rng.random() < 0.5 else np.ascontiguousarray(scratches.T)


def noise(rng: np.random.Generator) -> Field:
    """Fine grain of one size."""
    cells = int(rng.choice([64, 128, 256]))
    return value_noise(rng, (cells, cells))


def clouds(rng: np.random.Generator) -> Field:
    """Soft clouds."""
    return fractal(rng, int(rng.integers(3, 8)), 5)


def marble(rng: np.random.Generator) -> Field:
    """Dark veins on a clouded ground."""
    across, down = grid()
    bend = fractal(rng, int(rng.integers(2, 4)), 5)
    slope = int(rng.integers(1, 4))
    veins = np.abs(np.sin(np.pi * (slope * across + int(rng.integers(1, 4)) * down + 3.0 * bend)))
    return 0.92 - 0.75 * np.exp(-9 * veins) - 0.22 * bend


def granite(rng: np.random.Generator) -> Field:
    """Grains of three minerals."""
    coarse, fine = value_noise(rng, (96, 96)), value_noise(rng, (192, 192))
    return 0.45 + 0.35 * (coarse > 0.62) - 0.35 * (fine < 0.32) + 0.25 * (fine - 0.5)


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


def terrazzo(rng: np.random.Generator) -> Field:
    """Broken stones of several colours in cement."""
    image = 0.06 * value_noise(rng, (64, 64))
    for _ in range(int(rng.integers(80, 220))):
        corners = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 7))))
        outline = rng.integers(0, SIZE, 2) + rng.uniform(6, 26) * np.column_stack([np.cos(corners), np.sin(corners)])
        cv2.fillPoly(image, [np.round(outline * 16).astype(np.int32)], float(rng.uniform(0.2, 1)), cv2.LINE_AA, 4)
    return image


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


def parquet(rng: np.random.Generator) -> Field:
    """Blocks of short staves, turned in turn."""
    count, staves = 2 * int(rng.integers(2, 5)), int(rng.integers(3, 6))
    rows, columns, y, x = cells_of((count, count))
    turned = (rows + columns) % 2 == 1
    along, grain = np.where(turned, y, x), value_noise(rng, (256, 16))
    stave = (np.where(turned, x, y) * staves).astype(np.int64)
    shade = rng.uniform(0.25, 0.75, (count, count, staves)).astype(np.float32)[rows, columns, stave]
    edge = (np.abs(np.where(turned, x, y) * staves % 1 - 0.5) > 0.46) | (np.abs(along - 0.5) > 0.488)
    return np.where(edge, 0.02, shade + 0.3 * (np.where(turned, grain.T, grain) - 0.5))


def bamboo(rng: np.random.Generator) -> Field:
    """Narrow slats with knots."""
    slats = int(rng.integers(12, 28))
    _, columns, _, x = cells_of((1, slats))
    shade = rng.uniform(0.35, 0.85, slats).astype(np.float32)[columns]
    knots = np.zeros((SIZE, SIZE), dtype=np.float32)
    for i in range(slats):
        knots[(rng.integers(0, SIZE) + np.arange(3)) % SIZE, i * SIZE // slats : (i + 1) * SIZE // slats] = 0.3
    return shade - knots - 0.3 * (np.abs(x - 0.5) > 0.45) + 0.25 * (value_noise(rng, (4, 256)) - 0.5)


def cork(rng: np.random.Generator) -> Field:
    """Light crumbs with dark specks."""
    crumbs = fractal(rng, 40, 2)
    return 0.35 + 0.55 * crumbs - 0.5 * (value_noise(rng, (80, 80)) < 0.2)


def carpet(rng: np.random.Generator) -> Field:
    """A pile that catches the light unevenly, with a few broad ribs."""
    ribs = 0.08 * line(int(rng.integers(20, 60)))[:, None]
    pile = rng.random((SIZE, SIZE), dtype=np.float32)
    return 0.35 * cv2.GaussianBlur(pile, (0, 0), 1.0) + 0.2 * pile + 0.3 * fractal(rng, 4, 3) + ribs

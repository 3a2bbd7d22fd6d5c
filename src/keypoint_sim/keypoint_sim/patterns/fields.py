"""What patterns are made of: noise, coordinates, cells."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Cells = NDArray[np.int64]
SIZE = 512  # of textures [px]


def value_noise(rng: np.random.Generator, cells: tuple[int, int], size: int = SIZE) -> Field:
    """Smooth noise in 0..1 with this many cells (down, across), tileable."""
    padded = np.pad(rng.random(cells, dtype=np.float32), 2, mode="wrap")
    scale = (size / cells[0], size / cells[1])
    top, left = round(2 * scale[0]), round(2 * scale[1])
    # One axis after the other: what the padding adds is cut off before it is enlarged a second time.
    width, height = round((cells[1] + 4) * scale[1]), round((cells[0] + 4) * scale[0])
    wide = cv2.resize(padded, (width, len(padded)), interpolation=cv2.INTER_CUBIC)[:, left : left + size]
    return cv2.resize(np.ascontiguousarray(wide), (size, height), interpolation=cv2.INTER_CUBIC)[top : top + size]


def fractal(rng: np.random.Generator, first: int, octaves: int) -> Field:
    """Octaves of value noise, stretched to 0..1."""
    total = np.zeros((SIZE, SIZE), dtype=np.float32)
    for i in range(octaves):
        cells = first * 2**i
        total += value_noise(rng, (cells, cells)) / 2**i
    return (total - total.min()) / (total.max() - total.min())


def grid() -> tuple[Field, Field]:
    """Coordinates in 0..1 over the image: across, down."""
    down, across = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    return across, down


def rotated(rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates in 0..1 over the image, turned by a random angle: across, along."""
    u, v = grid()
    angle = rng.uniform(0, np.pi)
    return u * np.cos(angle) + v * np.sin(angle), -u * np.sin(angle) + v * np.cos(angle)


def line(count: int, phase: float = 0.0) -> Field:
    """A wave -1..1 of a whole number of periods along one axis, [SIZE]."""
    return np.sin(2 * np.pi * (count * np.arange(SIZE, dtype=np.float32) / SIZE + phase)).astype(np.float32)


def soft(field: Field, sharpness: float) -> Field:
    """A wave -1..1 turned into bands 0..1 with soft edges."""
    return 0.5 + 0.5 * np.tanh(sharpness * field)


def cells_of(count: tuple[int, int]) -> tuple[Cells, Cells, Field, Field]:
    """A grid of (down, across) cells: row and column [SIZE, SIZE] of each pixel, and where in its cell it is, 0..1."""
    steps = np.arange(SIZE, dtype=np.float32) / SIZE
    down, across = steps * count[0], steps * count[1]
    rows, columns = np.meshgrid(down.astype(np.int64), across.astype(np.int64), indexing="ij")
    inner_down, inner_across = np.meshgrid(down % 1, across % 1, indexing="ij")
    return rows, columns, inner_down, inner_across


def scattered(rng: np.random.Generator, count: int) -> tuple[Cells, Field]:
    """Cells about `count` random points: index of the nearest one [SIZE, SIZE], and the distance to it [px]."""
    seeds = np.full((SIZE, SIZE), 255, dtype=np.uint8)
    seeds[rng.integers(0, SIZE, count), rng.integers(0, SIZE, count)] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return labels.astype(np.int64), distance

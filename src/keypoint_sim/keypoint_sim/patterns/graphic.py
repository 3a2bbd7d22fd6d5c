"""Printed and laid patterns: stripes, checks, tiles, dots and the like."""

from __future__ import annotations

import cv2
import numpy as np

from keypoint_sim.patterns.fields import SIZE, Field, cells_of, fractal, grid, line, rotated, scattered, soft


def stripes(rng: np.random.Generator) -> Field:
    """Parallel bands with soft edges."""
    across, _ = rotated(rng)
    return 0.5 + 0.5 * np.tanh(4 * np.sin(2 * np.pi * rng.uniform(6, 24) * across))


def bands(rng: np.random.Generator) -> Field:
    """A deck chair: straight bands of random widths in several colours."""
    edges = np.sort(rng.integers(0, SIZE, int(rng.integers(10, 28))))
    shades = rng.random(len(edges) + 1, dtype=np.float32)
    row = shades[np.searchsorted(edges, np.arange(SIZE))]
    field = np.broadcast_to(row, (SIZE, SIZE))
    return np.ascontiguousarray(field if rng.random() < 0.5 else field.T)


def waves(rng: np.random.Generator) -> Field:
    """Bands that wind."""
    across, down = grid()
    bend = rng.uniform(0.02, 0.08) * line(int(rng.integers(1, 5)), rng.random())[None]
    return soft(np.sin(2 * np.pi * int(rng.integers(6, 18)) * (down + bend)), rng.uniform(1, 5)) + 0.0 * across


def rings(rng: np.random.Generator) -> Field:
    """Circles about some random points."""
    _, distance = scattered(rng, int(rng.integers(3, 12)))
    return soft(np.sin(distance * np.float32(2 * np.pi / rng.uniform(14, 44))), 3)


def checks(rng: np.random.Generator) -> Field:
    """A chessboard, turned."""
    across, along = rotated(rng)
    count = rng.uniform(4, 16)
    return 0.5 + 0.5 * np.tanh(8 * np.sin(2 * np.pi * count * across) * np.sin(2 * np.pi * count * along))


def diamonds(rng: np.random.Generator) -> Field:
    """Argyle: lozenges in two shades with fine lines across."""
    count = int(rng.integers(3, 10))
    tall = count * int(rng.integers(1, 3))
    shape = line(tall, 0.25)[:, None] + line(count, 0.25)[None]
    fine = np.abs(line(tall)[:, None] + line(count)[None]) < 0.07
    return np.where(fine, 0.95, 0.2 + 0.5 * soft(shape, 12)).astype(np.float32)


def triangles(rng: np.random.Generator) -> Field:
    """A grid of triangles in random shades."""
    count = int(rng.integers(4, 12))
    rows, columns, y, x = cells_of((count, count))
    shades = rng.random((count, count, 2), dtype=np.float32)
    upper = np.where((rows + columns) % 2, x > y, x > 1 - y).astype(np.int64)
    return shades[rows, columns, upper]


def dots(rng: np.random.Generator) -> Field:
    """Polka dots, every other row shifted."""
    count = 2 * int(rng.integers(3, 10))
    rows, _, y, _ = cells_of((count, count))
    across, _ = grid()
    x = (across * count / 2 + 0.5 * (rows % 2)) % 1
    distance = np.hypot((x - 0.5) * 2, y - 0.5)
    return soft((rng.uniform(0.22, 0.42) - distance).astype(np.float32), 30)


def confetti(rng: np.random.Generator) -> Field:
    """Many small discs and strips in several colours."""
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    length = int(rng.integers(2, 16))
    for x, y, turn, shade in rng.random((int(rng.integers(150, 400)), 4)):
        axes = (int(rng.integers(4, 6 + length)), int(rng.integers(4, 10)))
        centre = (int(x * SIZE), int(y * SIZE))
        cv2.ellipse(image, centre, axes, 180 * turn, 0, 360, float(0.15 + 0.85 * shade), -1, cv2.LINE_AA)
    return image


def gradient(rng: np.random.Generator) -> Field:
    """A colour that goes over into another and back."""
    count, phase = int(rng.integers(1, 3)), rng.random()
    field = 0.5 + 0.3 * line(count, phase)[None] + 0.2 * line(int(rng.integers(1, 3)), rng.random())[:, None]
    return field + 0.03 * rng.random((SIZE, SIZE), dtype=np.float32)


def tiles(rng: np.random.Generator) -> Field:
    """Tiles of varied shade with joints."""
    count = int(rng.integers(5, 12))
    side = SIZE // count + 1
    shade = np.kron(rng.uniform(0.35, 0.9, (count, count)), np.ones((side, side)))[:SIZE, :SIZE].astype(np.float32)
    joint = np.minimum(np.arange(SIZE) % side, side - np.arange(SIZE) % side) < 3
    shade[joint] = 0.05
    shade[:, joint] = 0.05
    return shade + 0.08 * (fractal(rng, 16, 3) - 0.5)


def brick(rng: np.random.Generator) -> Field:
    """Courses of bricks with mortar."""
    rows_count, count = 2 * int(rng.integers(4, 9)), int(rng.integers(3, 7))
    rows, _, y, _ = cells_of((rows_count, count))
    across, _ = grid()
    x = across * count + 0.5 * (rows % 2)
    shade = rng.uniform(0.0, 0.55, (rows_count, count)).astype(np.float32)[rows, x.astype(np.int64) % count]
    mortar = (np.abs(y - 0.5) > 0.45) | (np.abs(x % 1 - 0.5) > 0.475)
    return np.where(mortar, 0.95, shade).astype(np.float32) + 0.15 * (fractal(rng, 32, 2) - 0.5)


def hexagons(rng: np.random.Generator) -> Field:
    """Honeycomb tiles with joints."""
    count = int(rng.integers(4, 11))
    across, down = grid()
    x, y = across * count, down * round(count / np.sqrt(3)) * np.float32(np.sqrt(3))
    first = (x % 1 - 0.5, y % np.sqrt(3) - np.sqrt(3) / 2)
    second = ((x + 0.5) % 1 - 0.5, (y + np.sqrt(3) / 2) % np.sqrt(3) - np.sqrt(3) / 2)
    near = first[0] ** 2 + first[1] ** 2 < second[0] ** 2 + second[1] ** 2
    a, b = (np.abs(np.where(near, i, j)) for i, j in zip(first, second, strict=True))
    reach = np.maximum(a, 0.5 * a + np.sqrt(3) / 2 * b)
    names = np.where(near, np.floor(x) + 31 * np.floor(y / np.sqrt(3)), np.floor(x + 0.5) + 17 * np.floor(y) + 7)
    shade = rng.uniform(0.3, 0.95, 257).astype(np.float32)[names.astype(np.int64) % 257]
    return np.where(reach > 0.46, 0.05, shade).astype(np.float32)


def mosaic(rng: np.random.Generator) -> Field:
    """Small square stones in several colours."""
    count = int(rng.integers(14, 34))
    rows, columns, y, x = cells_of((count, count))
    joint = (np.abs(x - 0.5) > 0.43) | (np.abs(y - 0.5) > 0.43)
    return np.where(joint, 0.0, 0.2 + 0.8 * rng.random((count, count), dtype=np.float32)[rows, columns])


def cells(rng: np.random.Generator) -> Field:
    """Irregular patches in several colours."""
    count = int(rng.integers(40, 250))
    labels, _ = scattered(rng, count)
    return rng.random(count + 1, dtype=np.float32)[np.minimum(labels, count)]

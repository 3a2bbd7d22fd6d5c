"""Meshes of food and tableware: bodies of revolution, and loaves with round ends.

All give vertices [n, 3] [m], faces [m, 3] and texture coordinates [n, 2].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Faces = NDArray[np.int64]
Mesh = tuple[Array, Faces, Array]


def sheet(grid: Array, texcoords: Array | None = None) -> Mesh:
    """A surface through a grid of points [R, C, 3], seen from where the columns run right and the rows run up.

    Args:
        grid: the points [m]; rows and columns may close on themselves or shrink to a point.
        texcoords: [R, C, 2]; None lays the picture over the grid.
    """
    rows, columns = grid.shape[:2]
    if texcoords is None:
        texcoords = np.stack(np.meshgrid(np.linspace(0, 1, columns), np.linspace(1, 0, rows)), axis=-1)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))])
    vertices = grid.reshape(-1, 3)
    p, q, r = vertices[faces].swapaxes(0, 1)
    wide = np.linalg.norm(np.cross(q - p, r - p), axis=1) > 1e-12
    return vertices, faces[wide], texcoords.reshape(-1, 2)


def dish(profile: list[tuple[float, float]], segments: int = 32) -> Mesh:
    """A body of revolution about z from (radius, height) [m], with its outside to the right of the way along them.

    Its picture is seen from above and fills the square around the widest circle: right is +y, up is -x, as in the view
    of a camera that stands in front of the robot.
    """
    outline, turn = np.array(profile), 2 * np.pi * np.arange(segments + 1) / segments
    grid = _revolve(outline, turn)
    return sheet(grid, 0.5 + grid[..., [1, 0]] / (2 * outline[:, 0].max()))


def drum(profile: list[tuple[float, float]], segments: int = 32) -> Mesh:
    """As `dish`, but the picture is wrapped once around."""
    return sheet(_revolve(np.array(profile), 2 * np.pi * np.arange(segments + 1) / segments))


def _revolve(outline: Array, turn: Array) -> Array:
    radius, height = outline[:, :1], outline[:, 1:]
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height + 0 * turn], axis=-1)


def loaf(stations: Array, loops: Array) -> Mesh:
    """A body along x with closed ends.

    Args:
        stations: [R] rising x [m].
        loops: [R, C, 2] outline (y, z) at each of them, counter-clockwise as seen from +x, first point = last point.
    """
    rows, columns = loops.shape[:2]
    grid = np.concatenate([np.broadcast_to(stations[:, None, None], (rows, columns, 1)), loops], axis=-1)
    ends = [np.broadcast_to(grid[i].mean(axis=0), (1, columns, 3)) for i in (0, -1)]
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(1, 0, rows))
    texcoords = np.stack([v, u], axis=-1)[[0, *range(rows), -1]]
    return sheet(np.concatenate([ends[0], grid, ends[1]]), texcoords)


def rounded(angle: Array, power: float) -> Array:
    """Outline [n, 2] of a superellipse of size 1, from round (power 2) to square, at angles [n] [rad]."""
    corner = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(np.sign(corner) * np.abs(corner) ** (2 / power))

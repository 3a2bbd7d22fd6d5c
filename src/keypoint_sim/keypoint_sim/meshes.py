"""Light meshes, made of numbers instead of files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rounded_rectangle(width: float, height: float, radius: float, segments: int = 6) -> Array:
    """Outline [4 * (segments + 1), 2] of a rectangle with round corners, counter-clockwise about the origin."""
    corners = []
    for i, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angle = np.pi / 2 * (i + np.linspace(0, 1, segments + 1))
        centre = np.array([sx * (width / 2 - radius), sy * (height / 2 - radius)])
        corners.append(centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(corners)


def extrude(rings: list[tuple[Array, float]]) -> tuple[Array, NDArray[np.int64]]:
    """A closed solid through outlines [n, 2] of equal n at rising depths; returns vertices [m, 3] and faces [k, 3].

    Outline axes become y and z, the depth becomes x.
    """
    n = len(rings[0][0])
    vertices = [np.column_stack([np.full(n, depth), outline]) for outline, depth in rings]
    faces = []
    for ring in range(len(rings) - 1):
        a, b = ring * n, (ring + 1) * n
        for i in range(n):
            j = (i + 1) % n
            faces += [(a + i, a + j, b + j), (a + i, b + j, b + i)]
    last = len(rings) * n
    centres = np.array([[rings[0][1], 0.0, 0.0], [rings[-1][1], 0.0, 0.0]])
    for i in range(n):
        j = (i + 1) % n
        faces += [(last, j, i), (last + 1, last - n + i, last - n + j)]
    return np.concatenate([*vertices, centres]), np.array(faces)


def torus(radius: float, thickness: float, segments: int = 36, sides: int = 8) -> tuple[Array, NDArray[np.int64]]:
    """A ring about the x axis; returns vertices [m, 3] and faces [k, 3]."""
    a = 2 * np.pi * np.arange(segments) / segments
    b = 2 * np.pi * np.arange(sides) / sides
    reach = radius + thickness * np.cos(b)[None]
    x = np.broadcast_to(thickness * np.sin(b)[None], (segments, sides))
    vertices = np.stack([x, reach * np.cos(a)[:, None], reach * np.sin(a)[:, None]], axis=-1).reshape(-1, 3)
    faces = []
    for i in range(segments):
        for j in range(sides):
            p, q = i * sides + j, ((i + 1) % segments) * sides + j
            r, s = ((i + 1) % segments) * sides + (j + 1) % sides, i * sides + (j + 1) % sides
            faces += [(p, q, r), (p, r, s)]
    return vertices, np.array(faces)


def lathe(profile: list[tuple[float, float]], segments: int = 28) -> tuple[Array, NDArray[np.int64], Array]:
    """A surface of revolution about z.

    Args:
        profile: (radius, height) [m]; the outside lies to the right of the way along it. Radius 0 is a pole.
        segments: around the axis.

    Returns:
        Vertices [n, 3], faces [m, 3] and texture coordinates [n, 2]: once around the axis, and along the profile. The
        picture's seam lies at -x.
    """
    outline = np.array(profile)
    turn = np.pi + 2 * np.pi * np.arange(segments + 1) / segments
    way = np.concatenate([[0.0], np.hypot(*np.diff(outline, axis=0).T).cumsum()])
    radius, height = outline[:, :1], outline[:, 1:]
    vertices = np.stack([radius * np.cos(turn), radius * np.sin(turn), height + 0 * turn], axis=-1).reshape(-1, 3)
    u, v = np.meshgrid(np.arange(segments + 1) / segments, 1 - way / way[-1])
    return vertices, grid_faces(len(outline), segments + 1, outline[:, 0] > 0), np.stack([u, v], axis=-1).reshape(-1, 2)


def grid_faces(rows: int, columns: int, wide: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Two triangles per cell of a grid; a row that is not wide is a pole, where one of them has no area."""
    faces = []
    for row in range(rows - 1):
        for i in range(columns - 1):
            a, b, c, d = row * columns + i, row * columns + i + 1, (row + 1) * columns + i + 1, (row + 1) * columns + i
            if wide[row]:
                faces.append((a, b, c))
            if wide[row + 1]:
                faces.append((a, c, d))
    return np.array(faces)


def plate(outline: Array, depth: float, thickness: float = 0.002) -> tuple[Array, NDArray[np.int64], Array]:
    """A thin plate that carries a picture on its +x side, at this depth; its back is a flat pyramid.

    Returns:
        Vertices [m, 3], faces [k, 3] and texture coordinates [m, 2]: the picture fills the outline's [n, 2] bounds, its
        right toward +y, its top toward +z.
    """
    n = len(outline)
    middle, size = (outline.max(axis=0) + outline.min(axis=0)) / 2, np.ptp(outline, axis=0)
    ring = np.column_stack([np.full(n, depth), outline])
    # The two sides share no vertices: shared ones would get a mean normal, and the picture a dark rim.
    vertices = np.vstack([ring, [depth, *middle], ring, [depth - thickness, *middle]])
    front = [(n, i, (i + 1) % n) for i in range(n)]
    back = [(2 * n + 1, n + 1 + (i + 1) % n, n + 1 + i) for i in range(n)]
    texcoords = (vertices[:, 1:] - middle) / size * (1, -1) + 0.5
    return vertices, np.array(front + back), texcoords


def mesh_xml(name: str, vertices: Array, faces: NDArray[np.int64], texcoords: Array | None = None) -> str:
    """An MJCF mesh asset; texcoords [m, 2] go with the vertices."""
    texture = f' texcoord="{_join(texcoords)}"' if texcoords is not None else ""
    corners = " ".join(str(int(i)) for i in faces.ravel())
    return f'<mesh name="{name}" inertia="shell" vertex="{_join(vertices)}"{texture} face="{corners}"/>'


def box_inertia(mass: float, x: float, y: float, z: float) -> str:
    """Principal moments [kg m^2] of a solid box with these edges [m], as MJCF wants them."""
    return _join(mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y]))


def _join(values: Array) -> str:
    return " ".join(f"{v:.6g}" for v in values.ravel())

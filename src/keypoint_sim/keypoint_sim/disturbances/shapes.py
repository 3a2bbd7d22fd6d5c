"""Meshes of which things are made, with texture coordinates."""

from __future__ import annotations

import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.disturbances.solid import Mesh, Skin
from keypoint_sim.meshes import lathe

SEGMENTS = 28
UPRIGHT_TO_X = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # lays a mesh down: z becomes x
Profile = list[tuple[float, float]]  # (radius, height) [m] from the bottom up; the outside lies to the right


def turned(profile: Profile, skin: Skin, segments: int = SEGMENTS) -> Mesh:
    """A surface of revolution about z; a texture goes once around it."""
    vertices, faces, texcoords = lathe(profile, segments)
    return Mesh(vertices, faces, skin, texcoords)


def ball(radius: float, skin: Skin, flat: float = 1.0, segments: int = SEGMENTS) -> Mesh:
    """A ball on the table, its height times `flat`."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    radii = np.where(np.abs(angles) > 1.57, 0.0, radius * np.cos(angles))
    heights = flat * radius * (1 + np.sin(angles))
    return turned(list(zip(radii.tolist(), heights.tolist(), strict=True)), skin, segments)


def prism(outline: Float64, bottom: float, top: float, skin: Skin) -> Mesh:
    """A straight prism over an outline [n, 2] (x, y), counter-clockwise and star-shaped about its mean.

    A texture covers each of top and bottom once, and goes once around the sides.
    """
    n = len(outline)
    low, size = outline.min(axis=0), np.ptp(outline, axis=0)
    flat, ring = (outline - low) / size, np.append(np.arange(n), 0)
    around = np.arange(n + 1) / n
    middle = outline.mean(axis=0)
    vertices = [
        np.column_stack([outline[ring], np.full(n + 1, bottom)]),
        np.column_stack([outline[ring], np.full(n + 1, top)]),
        np.column_stack([np.vstack([outline, middle]), np.full(n + 1, bottom)]),
        np.column_stack([np.vstack([outline, middle]), np.full(n + 1, top)]),
    ]
    texcoords = [
        np.column_stack([around, np.ones(n + 1)]),
        np.column_stack([around, np.zeros(n + 1)]),
        np.vstack([flat, (middle - low) / size]),
        np.vstack([flat, (middle - low) / size]),
    ]
    m, i = n + 1, np.arange(n)
    j = (i + 1) % n
    faces = [
        np.column_stack([i, i + 1, m + i + 1]),
        np.column_stack([i, m + i + 1, m + i]),
        np.column_stack([2 * m + j, 2 * m + i, np.full(n, 2 * m + n)]),
        np.column_stack([3 * m + i, 3 * m + j, np.full(n, 3 * m + n)]),
    ]
    return Mesh(np.vstack(vertices), np.vstack(faces), skin, np.vstack(texcoords))


def cuboid(size: tuple[float, float, float], skin: Skin, at: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    """A box of full sizes [m] whose bottom's middle is `at`; a texture covers each side once."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    texture = np.column_stack([corners[:, 0] + 1, 1 - corners[:, 1]]) / 2
    vertices, texcoords, faces = [], [], []
    for axis in range(3):
        for sign in (-1, 1):
            side = np.empty((4, 3))
            first, second = (axis + 1) % 3, (axis + 2) % 3
            side[:, axis], side[:, first], side[:, second] = sign, corners[:, 0] * sign, corners[:, 1]
            start = 4 * len(vertices)
            vertices.append(side)
            # Upright on the sides: rows of the picture run down.
            texcoords.append(texture if axis == 0 else _upright(side, axis))
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    scaled = np.vstack(vertices) * np.array(size) / 2 + (at[0], at[1], at[2] + size[2] / 2)
    return Mesh(scaled, np.array(faces), skin, np.vstack(texcoords))


def _upright(side: Float64, axis: int) -> Float64:
    """Texture coordinates [4, 2] of the sides across y, and of top and bottom."""
    if axis == 1:
        return np.column_stack([1 - side[:, 0] * side[0, 1], 1 - side[:, 2]]) / 2
    return np.column_stack([side[:, 1] + 1, side[:, 0] + 1]) / 2


def moved(mesh: Mesh, shift: tuple[float, float, float], turn: Float64 | None = None) -> Mesh:
    """The mesh turned by a rotation [3, 3], then shifted [m]."""
    vertices = mesh.vertices if turn is None else mesh.vertices @ turn.T
    return Mesh(vertices + shift, mesh.faces, mesh.skin, mesh.texcoords)


def ring(radius: float, thickness: float, height: float, skin: Skin) -> Mesh:
    """A round ring that lies at a height of its middle."""
    angles = np.linspace(0, 2 * np.pi, 11) - np.pi / 2
    profile = [(radius + thickness * np.cos(a), height + thickness * np.sin(a)) for a in angles]
    return turned(profile, skin, 24)


def handle(radius: float, thickness: float, at: tuple[float, float], skin: Skin) -> Mesh:
    """Half of an upright ring in the plane y = 0, toward +x, its middle at (x, z)."""
    along, around = np.linspace(-np.pi / 2, np.pi / 2, 13), np.linspace(0, 2 * np.pi, 9)
    a, b = np.meshgrid(along, around, indexing="ij")
    reach = radius + thickness * np.cos(b)
    vertices = np.stack([at[0] + reach * np.cos(a), thickness * np.sin(b), at[1] + 1.25 * reach * np.sin(a)], axis=-1)
    texcoords = np.stack(np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 13)), axis=-1)
    index = np.arange(13 * 9).reshape(13, 9)
    p, q, r, s = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.vstack([np.column_stack([p, s, r]), np.column_stack([p, r, q])])
    return Mesh(vertices.reshape(-1, 3), faces, skin, texcoords.reshape(-1, 2))

"""Geoms of a compiled model as meshes, and what makes foreign meshes fit for drawing."""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.disturbances.shapes import cuboid, turned
from keypoint_sim.disturbances.solid import Faces, Mesh, Skin

GEOM = mujoco.mjtGeom


def geom_mesh(model: mujoco.MjModel, geom: int) -> tuple[Float64, Faces] | None:
    """Vertices [V, 3] [m] and faces [F, 3] of a geom in its own frame; None for planes and height fields."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == GEOM.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        start, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
        vertices = model.mesh_vert[first : first + count].astype(np.float64)
        return vertices, model.mesh_face[start : start + faces].astype(np.int64)
    if kind == GEOM.mjGEOM_BOX:
        x, y, z = (float(2 * s) for s in size)
        return _plain(cuboid((x, y, z), Skin(), (0.0, 0.0, -z / 2)))
    if kind == GEOM.mjGEOM_CYLINDER:
        radius, half = float(size[0]), float(size[1])
        return _plain(turned([(0.0, -half), (radius, -half), (radius, half), (0.0, half)], Skin()))
    if kind in (GEOM.mjGEOM_SPHERE, GEOM.mjGEOM_ELLIPSOID, GEOM.mjGEOM_CAPSULE):
        return _round(kind, size)
    return None


def _round(kind: int, size: Float64) -> tuple[Float64, Faces]:
    """A sphere, an ellipsoid or a capsule."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 14)
    radii, heights = np.cos(angles), np.sin(angles)
    radii[[0, -1]] = 0.0
    vertices, faces = _plain(turned(list(zip(radii.tolist(), heights.tolist(), strict=True)), Skin()))
    if kind == GEOM.mjGEOM_ELLIPSOID:
        return vertices * size, faces
    half = float(size[1]) if kind == GEOM.mjGEOM_CAPSULE else 0.0
    return vertices * size[0] + np.sign(vertices[:, 2:]) * (0, 0, half), faces


def _plain(mesh: Mesh) -> tuple[Float64, Faces]:
    return mesh.vertices, mesh.faces


def thinned(vertices: Float64, faces: Faces, most: int) -> tuple[Float64, Faces]:
    """A mesh of about `most` faces or fewer: corners in the same cell of a grid become one."""
    cells = 64
    while len(faces) > most and cells > 4:
        low, size = vertices.min(axis=0), np.ptp(vertices, axis=0).max()
        grid = np.floor((vertices - low) / size * cells).astype(np.int64)
        _, first, index = np.unique(grid, axis=0, return_index=True, return_inverse=True)
        merged = index.reshape(-1)[faces]
        real = (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])
        vertices, faces = vertices[first], np.unique(merged[real], axis=0)
        cells //= 2
    return vertices, faces


def box_mapped(vertices: Float64, faces: Faces, skin: Skin) -> tuple[Float64, Faces, Skin, Float64]:
    """A mesh's corners, split where its sides turn from one axis to another, with texture coordinates along the axes.

    Returns:
        Vertices [V', 3], faces [F, 3], the skin, texture coordinates [V', 2].
    """
    edges = vertices[faces[:, 1:]] - vertices[faces[:, :1]]
    normals = np.cross(edges[:, 0], edges[:, 1])
    axis = np.abs(normals).argmax(axis=1)
    keys = np.stack([faces.ravel(), np.repeat(axis, 3)], axis=1)
    split, index = np.unique(keys, axis=0, return_inverse=True)
    corners = vertices[split[:, 0]]
    unit = (corners - vertices.min(axis=0)) / np.ptp(vertices, axis=0).max()
    rows = np.arange(len(split))
    across = unit[rows, np.array([1, 0, 0])[split[:, 1]]]
    down = 1 - unit[rows, np.array([2, 2, 1])[split[:, 1]]]
    return corners, index.reshape(-1, 3), skin, np.column_stack([across, down])

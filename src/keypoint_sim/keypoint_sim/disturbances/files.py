"""Distractors from files: OBJ, STL and MJCF become rigid things that lie on the table as they come to rest.

A file's lengths are metres, z is up. What is larger than 3 m is taken to be in millimetres. After that, what is larger
than 16 cm or smaller than 3 cm is scaled to that. Joints of an MJCF file stay as they are. Contact is the convex hull.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import quoteattr

import mujoco
import numpy as np
from scipy.spatial import ConvexHull, QhullError

from keypoint_core.errors import InputError
from keypoint_core.types import Float64
from keypoint_sim.disturbances.mesh_tools import box_mapped, geom_mesh, thinned
from keypoint_sim.disturbances.paints import any_texture, enamel
from keypoint_sim.disturbances.solid import HULL_POINTS, Faces, Mesh, Skin, Solid, things_mjcf
from keypoint_sim.rng import Stream, generator
from keypoint_sim.scene import BENCH, compose

MESHES, DOCUMENTS = (".obj", ".stl"), (".xml", ".mjcf")
MILLIMETRES = 3.0  # a larger extent is taken to be in millimetres [m]
SMALLEST, LARGEST = 0.03, 0.16  # extent [m]
FLATTEST = 1e-4  # thinner ones have no hull to speak of [m]
MAX_FACES = 8000  # more of them are thinned out; 48,000 triangles would cost 20 ms per picture
MAX_COLORS = 8  # of an MJCF file; further parts take the last colour
DENSITY = 350.0  # of the hull [kg/m^3]; things are hollow
GREY = (0.5, 0.5, 0.5)  # MuJoCo's default, so the file has no colour of its own
SETTLE = 3.0  # [s]


def find_objects(folder: str) -> tuple[str, ...]:
    """The object files in a folder, by name, each of which was read once.

    Raises:
        InputError: no such folder, none in it, or one cannot be used; the message names it and the reason.
    """
    if not Path(folder).is_dir():
        raise InputError(f"objects_dir must be a folder with OBJ, STL or MJCF files, got '{folder}'")
    found = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in MESHES + DOCUMENTS)
    if not found:
        raise InputError(f"objects_dir {folder} holds no object; put files {', '.join(MESHES + DOCUMENTS)} into it")
    for path in found:
        _check(str(path))
    return tuple(str(path) for path in found)


def _check(path: str) -> None:
    """Builds a scene with the thing in it, so that what is wrong with it shows before any trial."""
    thing = things_mjcf([("thing", load_solid(path, generator(0, Stream.DISTRACTORS)))])
    _compiled(path, ET.tostring(compose([BENCH, thing]), encoding="unicode"))


def load_solid(path: str, rng: np.random.Generator) -> Solid:
    """The thing in a file; parts without a colour of their own get one by chance.

    Raises:
        InputError: the file cannot be used; the message names it and the reason.
    """
    parts, hull = read_parts(path)
    meshes = []
    for vertices, faces, color in parts:
        chance = enamel(rng) if rng.random() < 0.4 else any_texture(rng)
        skin = chance if color is None else Skin(color=color)
        meshes.append(Mesh(*box_mapped(vertices, faces, skin)))
    radius, height = float(np.hypot(*hull[:, :2].T).max()), float(hull[:, 2].max())
    mass = float(np.clip(ConvexHull(hull).volume * DENSITY, 0.03, 0.5))
    return Solid(tuple(meshes), (), radius, height, mass, hull)


Color = tuple[float, float, float]
Part = tuple[Float64, Faces, Color | None]


@lru_cache(maxsize=256)
def read_parts(path: str) -> tuple[tuple[Part, ...], Float64]:
    """Vertices [m], faces and colour of each part, and the convex hull [V, 3], all at rest on the table."""
    model = _compile(path)
    parts = tuple(_merged(_visible(model)))
    points = np.vstack([vertices for vertices, _, _ in parts]) if parts else np.zeros((0, 3))
    if not len(points) or not np.isfinite(points).all():
        raise InputError(f"object {path} cannot be used: it has no surface with finite corners")
    extent = float(np.ptp(points, axis=0).max())
    if extent <= 0:
        raise InputError(f"object {path} cannot be used: all its corners coincide")
    factor = scale_of(extent)
    hull = _hull(path, points * factor)
    turn, shift = _settle(path, hull)
    placed = tuple((v * factor @ turn.T + shift, faces, color) for v, faces, color in parts)
    return placed, hull @ turn.T + shift


def scale_of(extent: float) -> float:
    """By what a thing of this extent [m] is multiplied."""
    factor = 1e-3 if extent > MILLIMETRES else 1.0
    return factor * float(np.clip(extent * factor, SMALLEST, LARGEST)) / (extent * factor)


def _compile(path: str) -> mujoco.MjModel:
    """The file's own model."""
    if Path(path).suffix.lower() in DOCUMENTS:
        return _compiled(path, None)
    file = f'<asset><mesh name="thing" file={quoteattr(str(Path(path).resolve()))} inertia="shell"/></asset>'
    return _compiled(path, f'<mujoco>{file}<worldbody><geom type="mesh" mesh="thing"/></worldbody></mujoco>')


def _compiled(path: str, text: str | None) -> mujoco.MjModel:
    """The model of an MJCF text that holds what is in a file, or of the file itself."""
    try:
        return mujoco.MjModel.from_xml_string(text) if text else mujoco.MjModel.from_xml_path(path)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"object {path} cannot be used: {reason}") from error


def _visible(model: mujoco.MjModel) -> Iterator[Part]:
    """The parts of a compiled file in world coordinates; groups from 3 on are for contact by MuJoCo's custom."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    shown = [i for i in range(model.ngeom) if model.geom_group[i] < 3] or list(range(model.ngeom))
    for i in shown:
        mesh = geom_mesh(model, i)
        if mesh is None:
            continue
        vertices, faces = mesh
        material = int(model.geom_matid[i])
        rgb = tuple(float(c) for c in (model.mat_rgba[material] if material >= 0 else model.geom_rgba[i])[:3])
        color = None if np.allclose(rgb, GREY) else (rgb[0], rgb[1], rgb[2])
        yield vertices @ data.geom_xmat[i].reshape(3, 3).T + data.geom_xpos[i], faces, color


def _merged(parts: Iterator[Part]) -> Iterator[Part]:
    """One part per colour."""
    by_color: dict[Color | None, tuple[list[Float64], list[Faces]]] = {}
    for vertices, faces, color in parts:
        if color not in by_color and len(by_color) >= MAX_COLORS:
            color = next(reversed(by_color))
        corners, triangles = by_color.setdefault(color, ([], []))
        triangles.append(faces + sum(map(len, corners)))
        corners.append(vertices)
    for color, (corners, triangles) in by_color.items():
        yield *thinned(np.vstack(corners), np.vstack(triangles), MAX_FACES), color


def _hull(path: str, points: Float64) -> Float64:
    """Corners [V, 3] of the convex hull."""
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError as error:
        raise InputError(f"object {path} cannot be used: it is flat or a line, and has no volume to touch") from error
    if np.linalg.svd(hull - hull.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(hull)) < FLATTEST:
        raise InputError(f"object {path} cannot be used: it is thinner than {FLATTEST * 1e3} mm")
    return hull


def _settle(path: str, hull: Float64) -> tuple[Float64, Float64]:
    """Rotation [3, 3] and shift [3] that bring a hull to rest on the table, over the origin."""
    corners = " ".join(f"{value:.6g}" for value in hull.ravel())
    model = mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <option timestep="0.002" integrator="implicitfast" cone="elliptic" impratio="10"/>
      <asset><mesh name="hull" vertex="{corners}" maxhullvert="{HULL_POINTS}"/></asset>
      <worldbody>
        <geom type="plane" size="1 1 1"/>
        <body name="thing"><freejoint name="thing"/>
          <geom type="mesh" mesh="hull" mass="0.2" friction="0.8 0.01 0.0005" solref="0.005 1"/>
        </body>
      </worldbody>
    </mujoco>""")
    data = mujoco.MjData(model)
    model.dof_damping[3:] = 2e-4  # or a ball would roll for ever
    data.qpos[2] = 0.002 - hull[:, 2].min()
    for _ in range(round(SETTLE / model.opt.timestep)):
        mujoco.mj_step(model, data)
    turn = data.body("thing").xmat.reshape(3, 3).copy()
    if not np.isfinite(turn).all() or np.abs(data.qvel).max() > 0.05:
        raise InputError(f"object {path} cannot be used: it does not come to rest on a table")
    rested = hull @ turn.T
    middle = (rested.min(axis=0) + rested.max(axis=0)) / 2
    return turn, np.array([-middle[0], -middle[1], -rested[:, 2].min()])

"""Distractors from files: OBJ, STL and MJCF become rigid things that lie on the table as they come to rest.

A file's lengths are metres, z is up. What is larger than 3 m is taken to be in millimetres. After that, what is larger
than 16 cm or smaller than 3 cm is scaled to that. Joints of an MJCF file stay as they are. Contact is the convex hull.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
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
from keypoint_sim.disturbances.solid import TOUCHES_FLOOR, Faces, Mesh, Skin, Solid, things_mjcf
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
FEET, FOOT = 32, 0.0005  # balls that a thing stands on: most of them, and their radius [m]
SETTLE = 4.0  # [s]
STILL = 2e-3  # [m/s and rad/s]


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
    found = read_parts(path)
    meshes = []
    for vertices, faces, color in found.parts:
        chance = enamel(rng) if rng.random() < 0.4 else any_texture(rng)
        skin = chance if color is None else Skin(color=color)
        meshes.append(Mesh(*box_mapped(vertices, faces, skin)))
    radius, height = float(np.hypot(*found.hull[:, :2].T).max()), float(found.hull[:, 2].max())
    mass = float(np.clip(ConvexHull(found.hull).volume * DENSITY, 0.03, 0.5))
    return Solid(tuple(meshes), _balls(found.feet), radius, height, mass, found.hull)


Color = tuple[float, float, float]
Part = tuple[Float64, Faces, Color | None]


@dataclass(frozen=True, eq=False)
class Found:
    """What is in a file, at rest on the table.

    Attributes:
        parts: vertices [V, 3] [m], faces [F, 3] and colour of each part.
        hull: [V, 3] corners of the convex hull [m].
        feet: [F, 3] middles of the balls that it stands on [m].
    """

    parts: tuple[Part, ...]
    hull: Float64
    feet: Float64


@lru_cache(maxsize=256)
def read_parts(path: str) -> Found:
    """What is in a file."""
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
    feet = _feet(hull)
    turn, shift = _settle(path, hull, feet)
    placed = tuple((v * factor @ turn.T + shift, faces, color) for v, faces, color in parts)
    return Found(placed, hull @ turn.T + shift, feet @ turn.T + shift)


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


def _feet(hull: Float64) -> Float64:
    """Middles [F, 3] of small balls in the corners of a hull, far apart from each other, to touch the floor with.

    A plane finds only two or three corners of a mesh at a time, so that it would never lie quite still.
    """
    middle = hull.mean(axis=0)
    chosen = [int(np.linalg.norm(hull - middle, axis=1).argmax())]
    away = np.linalg.norm(hull - hull[chosen[0]], axis=1)
    while len(chosen) < min(FEET, len(hull)):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(hull - hull[chosen[-1]], axis=1))
    inward = middle - hull[chosen]
    return hull[chosen] + FOOT * np.sqrt(3) * inward / np.linalg.norm(inward, axis=1, keepdims=True)


def _balls(feet: Float64) -> tuple[str, ...]:
    """Contacts of feet."""
    return tuple(f'type="sphere" size="{FOOT}" pos="{x:.6g} {y:.6g} {z:.6g}" {TOUCHES_FLOOR}' for x, y, z in feet)


def _settle(path: str, hull: Float64, feet: Float64) -> tuple[Float64, Float64]:
    """Rotation [3, 3] and shift [3] that bring a thing to rest on the table, over the origin."""
    balls = "".join(f'<geom {ball} mass="0.01"/>' for ball in _balls(feet))
    model = mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <option timestep="0.002" integrator="implicitfast" cone="elliptic" impratio="10"/>
      <default><geom friction="0.8 0.01 0.0005" solref="0.005 1"/></default>
      <worldbody>
        <geom type="plane" size="1 1 1" {TOUCHES_FLOOR}/>
        <body name="thing"><freejoint name="thing"/>{balls}</body>
      </worldbody>
    </mujoco>""")
    data = mujoco.MjData(model)
    data.qpos[2] = 0.002 - feet[:, 2].min()
    mujoco.mj_step(model, data, round(SETTLE / model.opt.timestep))
    turn, height = data.body("thing").xmat.reshape(3, 3).copy(), float(data.qpos[2])
    if not np.isfinite(turn).all() or np.abs(data.qvel).max() > STILL:
        raise InputError(f"object {path} cannot be used: it does not come to rest on a table")
    rested = hull @ turn.T
    middle = (rested.min(axis=0) + rested.max(axis=0)) / 2
    return turn, np.array([-middle[0], -middle[1], height])

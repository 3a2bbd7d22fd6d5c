"""Rigid things that stand on the table: what is seen of them, what they touch with, and their MJCF."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64
from keypoint_sim.meshes import mesh_xml
from keypoint_sim.scene import COLLISION_GROUP, set_texture
from keypoint_sim.textures import Texture

Faces = NDArray[np.int64]
HULL_POINTS = 48  # most corners of a convex hull to touch with
TEXTURE_SIZE = 256  # of things [px]; they are small in the picture


@dataclass(frozen=True)
class Skin:
    """What a surface looks like.

    Attributes:
        texture: wins over the colour.
        color: RGB in 0..1.
        specular, shininess: of the gloss, 0..1.
    """

    texture: Texture | None = None
    color: tuple[float, float, float] = (0.7, 0.7, 0.7)
    specular: float = 0.2
    shininess: float = 0.3


@dataclass(frozen=True, eq=False)
class Mesh:
    """A visible mesh in the thing's frame.

    Attributes:
        vertices: [V, 3] [m].
        faces: [F, 3], counter-clockwise from outside.
        skin: its look.
        texcoords: [V, 2]; needed by a texture.
    """

    vertices: Float64
    faces: Faces
    skin: Skin
    texcoords: Float64 | None = None


@dataclass(frozen=True, eq=False)
class Solid:
    """A thing whose frame lies under its middle, z up, as it stands at rest.

    Attributes:
        meshes: what is seen.
        contacts: convex geoms that it touches with, as MJCF attributes; made by `post`, `block` and `lump`.
        radius, height: of the upright cylinder that holds it [m].
        mass: [kg].
        hull: [V, 3] convex hull [m] to touch everything but the floor with, for things from files.
    """

    meshes: tuple[Mesh, ...]
    contacts: tuple[str, ...]
    radius: float
    height: float
    mass: float
    hull: Float64 = field(default_factory=lambda: np.zeros((0, 3)))


# Bit 4 is for the floor that only these things touch; see `things_mjcf`.
TOUCHES_ALL = 'contype="6" conaffinity="7"'
TOUCHES_THINGS = 'contype="2" conaffinity="3"'
TOUCHES_FLOOR = 'contype="4" conaffinity="4"'


def block(size: tuple[float, float, float], at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> str:
    """A box to touch with, of full sizes, whose bottom's middle is `at` [m]."""
    x, y, z = size
    return (
        f'type="box" size="{x / 2:.6g} {y / 2:.6g} {z / 2:.6g}" pos="{at[0]} {at[1]} {at[2] + z / 2:.6g}" {TOUCHES_ALL}'
    )


def post(radius: float, height: float, bottom: float = 0.0) -> tuple[str, str]:
    """An upright cylinder to touch with [m].

    On the floor a box within it stands in for it. MuJoCo 3.3.0 finds contacts of a plane with a cylinder along a vector
    that is lost in rounding when the cylinder is all but upright, and once in some minutes it is kicked away.
    """
    half, side = height / 2, radius / np.sqrt(2)
    where = f'pos="0 0 {bottom + half:.6g}"'
    return (
        f'type="cylinder" size="{radius:.6g} {half:.6g}" {where} {TOUCHES_THINGS}',
        f'type="box" size="{side:.6g} {side:.6g} {half:.6g}" {where} {TOUCHES_FLOOR}',
    )


def lump(radius: float, flat: float = 1.0) -> str:
    """A ball on the floor to touch with, its height times `flat`."""
    half = f"{flat * radius:.6g}"
    return f'type="ellipsoid" size="{radius:.6g} {radius:.6g} {half}" pos="0 0 {half}" {TOUCHES_ALL}'


def visual_xml(name: str, meshes: tuple[Mesh, ...]) -> tuple[str, str]:
    """MJCF assets and geoms of what is seen; each is called after `name` and its number."""
    assets, geoms = "", ""
    for i, mesh in enumerate(meshes):
        part = f"{name}_{i}"
        assets += mesh_xml(part, mesh.vertices, mesh.faces, mesh.texcoords) + _material(part, mesh.skin)
        geoms += f'<geom class="decor" type="mesh" mesh="{part}" material="{part}" mass="0"/>'
    return assets, geoms


def _solid_xml(name: str, solid: Solid) -> tuple[str, str]:
    """MJCF assets and body of a solid; everything in it is called after `name`."""
    assets, geoms = visual_xml(name, solid.meshes)
    contacts = list(solid.contacts)
    if len(solid.hull):
        corners = " ".join(f"{value:.6g}" for value in solid.hull.ravel())
        assets += f'<mesh name="{name}_hull" vertex="{corners}" maxhullvert="{HULL_POINTS}"/>'
        contacts.append(f'type="mesh" mesh="{name}_hull" {TOUCHES_THINGS}')
    for contact in contacts:
        geoms += f'<geom {contact} group="{COLLISION_GROUP}" mass="{solid.mass / len(contacts):.6g}"/>'
    return assets, f'<body name="{name}"><freejoint name="{name}"/>{geoms}</body>'


def _material(name: str, skin: Skin) -> str:
    gloss = f'specular="{skin.specular}" shininess="{skin.shininess}"'
    if skin.texture is None:
        red, green, blue = skin.color
        return f'<material name="{name}" rgba="{red:.4g} {green:.4g} {blue:.4g} 1" {gloss}/>'
    size = f'width="{TEXTURE_SIZE}" height="{TEXTURE_SIZE}"'
    return f'<texture name="{name}" type="2d" builtin="flat" {size}/><material name="{name}" texture="{name}" {gloss}/>'


def things_mjcf(named: list[tuple[str, Solid]]) -> str:
    """One MJCF document of several solids, to be put at the END of a scene: ids of everything before it stay.

    They stand on a plane of their own in the table's top, not on the table: contacts with a plane are cheaper and
    steadier than those of cylinders and hulls with a box.
    """
    assets, bodies, excludes = "", "", ""
    for name, solid in named:
        asset, body = _solid_xml(name, solid)
        assets, bodies = assets + asset, bodies + body
        excludes += f'<exclude body1="world" body2="{name}"/>'
    floor = f'<geom type="plane" size="3 3 1" group="{COLLISION_GROUP}" {TOUCHES_FLOOR}/>'
    return f"""
    <mujoco>
      <asset>{assets}</asset>
      <worldbody><body name="distractor_floor">{floor}</body>{bodies}</worldbody>
      <contact>{excludes}</contact>
    </mujoco>"""


def paint_mesh(model: mujoco.MjModel, name: str, mesh: Mesh) -> None:
    """Draws the texture of the mesh that is called so, if it has one, into the model."""
    if mesh.skin.texture is not None:
        size = (TEXTURE_SIZE, TEXTURE_SIZE)
        set_texture(model, name, cv2.resize(mesh.skin.texture.draw(), size, interpolation=cv2.INTER_AREA))


def paint_solid(model: mujoco.MjModel, name: str, solid: Solid) -> None:
    """Draws a solid's textures into the model."""
    for i, mesh in enumerate(solid.meshes):
        paint_mesh(model, f"{name}_{i}", mesh)

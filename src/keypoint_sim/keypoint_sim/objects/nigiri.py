"""A nigiri: a block of rice under a slice of salmon, with a belt of nori.

Its frame: origin on the table under its middle, x along it, z up.
"""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_sim import meshes
from keypoint_sim.objects import food_prints
from keypoint_sim.objects.food_shapes import Array, Mesh, loaf, rounded
from keypoint_sim.scene import COLLISION_GROUP, set_texture

BODY, JOINT = "nigiri", "nigiri_pose"

LENGTH, WIDTH, HEIGHT = 0.060, 0.030, 0.025  # [m]
SHOULDER = 0.021  # up to this height its sides are upright and as wide as WIDTH [m]
MASS = 0.035  # [kg]
RICE_HEIGHT = 0.017
BELT = (-0.013, -0.003)  # the nori, along x [m]

EDGE = 0.003  # radius of its edges [m]
TEXTURES = {
    "nigiri_rice": food_prints.draw_rice,
    "nigiri_salmon": food_prints.draw_salmon,
    "nigiri_nori": food_prints.draw_nori,
}

# It stands and falls on its edges, which meet tables, plates and other food; fingers meet its flat sides. The upper part
# is narrower, so that fingers that lean a little still press where it is widest, both at the same height.
FEET = f'contype="6" conaffinity="2" condim="3" friction="0.8 0.01 0.0005" group="{COLLISION_GROUP}" rgba="0 1 0 .3"'
SIDES = f'contype="0" conaffinity="1" condim="4" friction="0.9 0.01 0.0005" solref="0.004 1" group="{COLLISION_GROUP}"'


def mjcf() -> str:
    """The nigiri's MJCF document."""
    parts = {"nigiri_rice": _rice(), "nigiri_salmon": _salmon(), "nigiri_nori": _belt()}
    skins = "".join(
        f'<geom type="mesh" mesh="{part}" material="{part}" contype="0" conaffinity="0" group="1"/>' for part in parts
    )
    return f"""
    <mujoco>
      <asset>
        {food_prints.texture_xml(TEXTURES)}
        <material name="nigiri_rice" texture="nigiri_rice" specular="0.15" shininess="0.3"/>
        <material name="nigiri_salmon" texture="nigiri_salmon" specular="0.35" shininess="0.5"/>
        <material name="nigiri_nori" texture="nigiri_nori" specular="0.25" shininess="0.4"/>
        {"".join(meshes.mesh_xml(name, *mesh) for name, mesh in parts.items())}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="0 0 {0.45 * HEIGHT}" mass="{MASS}" diaginertia="{_inertia()}"/>
          {skins}
          {_edges()}
          <geom type="box" size="{LENGTH / 2} {WIDTH / 2} {SHOULDER / 2 - 0.0005}" pos="0 0 {SHOULDER / 2}" {SIDES}/>
          <geom type="box" size="{LENGTH / 2 - 0.001} {WIDTH / 2 - 0.0025} {(HEIGHT - SHOULDER) / 2}"
            pos="0 0 {(HEIGHT + SHOULDER) / 2}" {SIDES}/>
        </body>
      </worldbody>
    </mujoco>"""


def paint(model: mujoco.MjModel) -> None:
    """Draws the nigiri's textures into the model."""
    for name, draw in TEXTURES.items():
        set_texture(model, name, draw())


def _inertia() -> str:
    x, y, z = LENGTH, WIDTH, HEIGHT
    moments = MASS / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    return " ".join(f"{m:.6g}" for m in moments)


def _edges() -> str:
    low, high = WIDTH / 2 - EDGE, WIDTH / 2 - 0.0025 - EDGE
    reach = LENGTH / 2 - EDGE - 0.002
    return "".join(
        f'<geom type="capsule" size="{EDGE}" fromto="{-reach} {y} {z} {reach} {y} {z}" {FEET}/>'
        for y, z in ((-low, EDGE), (low, EDGE), (-high, HEIGHT - EDGE), (high, HEIGHT - EDGE))
    )


def _rice() -> Mesh:
    half, round_ = 0.0285, rounded(np.linspace(-np.pi / 2, 3 * np.pi / 2, 21), 2.9)
    stations = half * np.sin(np.linspace(-1, 1, 9) * np.pi / 2)
    size = (1 - np.abs(stations / (1.004 * half)) ** 4) ** 0.25
    loop = round_ * (WIDTH / 2, RICE_HEIGHT / 2)
    return loaf(stations, size[:, None, None] * loop + (0, RICE_HEIGHT / 2))


def _arch(count: int, width: float, edge: float, top: float) -> Array:
    """Outline [count, 2] from right to left over the top; width and heights [m]."""
    return rounded(np.linspace(0, np.pi, count), 2.6) * (width / 2, top - edge) + (0, edge)


def _salmon() -> Mesh:
    """Draped over the rice: its ends hang down."""
    half = 0.0325
    stations = half * np.sin(np.linspace(-1, 1, 13) * np.pi / 2)
    outer, inner = _arch(15, WIDTH, 0.0115, HEIGHT), _arch(6, WIDTH - 0.005, 0.0105, HEIGHT - 0.005)[::-1]
    loop, middle = np.vstack([outer, inner, outer[:1]]), (0.0, 0.018)
    size = (1 - np.abs(stations / (1.002 * half)) ** 6) ** 0.3
    sag = np.stack([0 * stations, -0.006 * np.abs(stations / half) ** 4], axis=-1)
    return loaf(stations, middle + size[:, None, None] * (loop - middle) + sag[:, None])


def _belt() -> Mesh:
    arch = _arch(17, WIDTH + 0.0006, 0.0115, HEIGHT + 0.0004)
    side = WIDTH / 2 + 0.0003
    foot = np.array([[-side, 0.002], [-side + 0.0015, 0.0003], [side - 0.0015, 0.0003], [side, 0.002]])
    loop = np.vstack([foot[2:], arch, foot[:2], foot[2:3]])
    return loaf(np.array(BELT), np.stack([loop, loop]))

"""What else stands on a sushi bar: a dish of soy sauce, and a bamboo leaf with two maki and wasabi on it.

Frames: origin on the table under the middle, z up; the leaf lies along x.
"""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim import meshes
from keypoint_sim.objects import food_prints
from keypoint_sim.objects.food_shapes import Mesh, dish, drum, sheet
from keypoint_sim.scene import COLLISION_GROUP, set_texture

DISH, DISH_JOINT = "soy_dish", "soy_dish_pose"
LEAF, LEAF_JOINT = "maki_leaf", "maki_leaf_pose"

DISH_RADIUS, DISH_HEIGHT = 0.036, 0.018  # [m]
LEAF_LENGTH, LEAF_WIDTH = 0.118, 0.040
LEAF_REACH = 0.048  # radius of the circle about the leaf's frame in which things stand on it [m]
MAKI_RADIUS, MAKI_HEIGHT = 0.0145, 0.024
MAKI = ((-0.031, 0.003), (0.001, -0.004))  # where the rolls stand on the leaf [m]
WASABI = (0.030, 0.003)

TEXTURES = {
    "soy_dish": food_prints.draw_dish,
    "maki_leaf": food_prints.draw_leaf,
    "maki_cut": food_prints.draw_maki,
    "maki_nori": food_prints.draw_nori,
}
SHELL = f'type="cylinder" contype="4" conaffinity="5" group="{COLLISION_GROUP}" rgba="1 0 0 .3"'
SKIN = 'type="mesh" contype="0" conaffinity="0" group="1"'


def mjcf() -> str:
    """The MJCF document of both."""
    parts = {"soy_dish": _dish(), "maki_leaf": _leaf(), "maki_cut": _cut(), "maki_nori": _nori(), "wasabi": _wasabi()}
    return f"""
    <mujoco>
      <asset>
        {food_prints.texture_xml(TEXTURES)}
        <material name="soy_dish" texture="soy_dish" specular="0.6" shininess="0.8"/>
        <material name="maki_leaf" texture="maki_leaf" specular="0.2" shininess="0.4"/>
        <material name="maki_cut" texture="maki_cut" specular="0.15" shininess="0.3"/>
        <material name="maki_nori" texture="maki_nori" specular="0.25" shininess="0.4"/>
        <material name="wasabi" rgba="0.62 0.74 0.36 1" specular="0.1"/>
        {"".join(meshes.mesh_xml(name, *mesh) for name, mesh in parts.items())}
      </asset>
      <worldbody>
        {_dish_body()}
        {_leaf_body()}
      </worldbody>
    </mujoco>"""


def paint(model: mujoco.MjModel) -> None:
    """Draws the textures into the model."""
    for name, draw in TEXTURES.items():
        set_texture(model, name, draw())


def _slides(joint: str, friction: float, radius: float) -> str:
    """Joints of a body that slides on the table and turns, against dry friction [N] at a radius [m], and never tips.

    Feet in contact with the table would do the same at ten times the cost.
    """
    return f"""
      <joint name="{joint}_x" type="slide" axis="1 0 0" frictionloss="{friction}" damping="0.2"/>
      <joint name="{joint}_y" type="slide" axis="0 1 0" frictionloss="{friction}" damping="0.2"/>
      <joint name="{joint}" type="hinge" axis="0 0 1" frictionloss="{friction * radius:.4g}" damping="0.0002"/>"""


def put(data: mujoco.MjData, joint: str, pose: Float64) -> None:
    """Stands dish or leaf at a pose (x [m], y [m], yaw [rad])."""
    for name, value in zip((f"{joint}_x", f"{joint}_y", joint), pose, strict=True):
        data.joint(name).qpos[0] = value


def _dish_body() -> str:
    return f"""
    <body name="{DISH}">
      {_slides(DISH_JOINT, 0.9, 0.022)}
      <inertial pos="0 0 0.007" mass="0.12" diaginertia="4e-5 4e-5 7e-5"/>
      <geom {SKIN} mesh="soy_dish" material="soy_dish"/>
      <geom size="{DISH_RADIUS} {DISH_HEIGHT / 2}" pos="0 0 {DISH_HEIGHT / 2}" {SHELL}/>
    </body>"""


def _leaf_body() -> str:
    rolls = "".join(
        f'<geom {SKIN} mesh="maki_cut" material="maki_cut" pos="{x} {y} 0"/>'
        f'<geom {SKIN} mesh="maki_nori" material="maki_nori" pos="{x} {y} 0"/>'
        f'<geom size="{MAKI_RADIUS} {MAKI_HEIGHT / 2}" pos="{x} {y} {MAKI_HEIGHT / 2}" {SHELL}/>'
        for x, y in MAKI
    )
    return f"""
    <body name="{LEAF}">
      {_slides(LEAF_JOINT, 0.45, 0.03)}
      <inertial pos="-0.01 0 0.011" mass="0.06" diaginertia="1e-5 4e-5 4e-5"/>
      <geom {SKIN} mesh="maki_leaf" material="maki_leaf"/>
      {rolls}
      <geom {SKIN} mesh="wasabi" material="wasabi" pos="{WASABI[0]} {WASABI[1]} 0"/>
    </body>"""


def _dish() -> Mesh:
    r, h = DISH_RADIUS, DISH_HEIGHT
    outside = [(0.0, 0.001), (0.020, 0.001), (0.022, 0.0), (0.024, 0.002), (0.032, 0.009), (r, h - 0.001)]
    return dish([*outside, (r - 0.001, h), (r - 0.0025, h - 0.001), (0.026, 0.009), (0.0, 0.009)])


def _leaf() -> Mesh:
    """Pointed at one end, round at the other, a little raised along its edges."""
    along, across = np.linspace(-1, 1, 17), np.linspace(-1, 1, 7)
    half = LEAF_WIDTH / 2 * np.sqrt(np.clip(1 - np.abs(along) ** np.where(along > 0, 1.6, 4), 0, 1))
    x = np.broadcast_to(LEAF_LENGTH / 2 * along[None], (7, 17))
    z = 0.0008 + 0.003 * across[:, None] ** 2 * (0.3 + 0.7 * np.abs(along[None]) ** 2)
    return sheet(np.stack([x, across[:, None] * half, z], axis=-1))


def _cut() -> Mesh:
    r, h = MAKI_RADIUS, MAKI_HEIGHT
    return dish([(r, h - 0.0012), (r - 0.0012, h), (0.0, h + 0.0005)], 28)


def _nori() -> Mesh:
    r, h = MAKI_RADIUS, MAKI_HEIGHT
    return drum([(0.0, 0.001), (r - 0.001, 0.001), (r, 0.002), (r, h - 0.001)], 28)


def _wasabi() -> Mesh:
    return drum([(0.0, 0.0005), (0.011, 0.001), (0.0095, 0.006), (0.005, 0.011), (0.0, 0.0125)], 14)

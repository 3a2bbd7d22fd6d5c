"""A round plate with a painted picture.

Its frame: origin on the table under its middle, z up.
"""

from __future__ import annotations

import mujoco

from keypoint_sim import meshes
from keypoint_sim.objects import food_prints
from keypoint_sim.objects.food_shapes import dish
from keypoint_sim.scene import COLLISION_GROUP, set_texture

BODY, JOINT = "plate", "plate_pose"

RADIUS = 0.060  # of the inside [m]
OUTSIDE = 0.068  # radius with the rim [m]
FLOOR = 0.006  # height of the inside over the table [m]
RIM = 0.013
MASS = 0.28  # [kg]

TEXTURES = {"plate_glaze": food_prints.draw_plate}
FEET = f'type="sphere" size="0.0015" contype="2" conaffinity="2" group="{COLLISION_GROUP}" rgba="0 1 0 .3"'
# Food lies on a square that fits the rim: a box is met in four points, a cylinder only in one. Tools meet the round plate.
FOR_FOOD = f'contype="4" conaffinity="4" group="{COLLISION_GROUP}" rgba="1 0 0 .3"'
FOR_TOOLS = f'contype="0" conaffinity="1" group="{COLLISION_GROUP}" rgba="1 1 0 .3"'


def mjcf() -> str:
    """The plate's MJCF document."""
    outside = [(0.0, 0.001), (0.036, 0.001), (0.038, 0.0), (0.041, 0.0015), (0.056, 0.004), (OUTSIDE, RIM - 0.0008)]
    inside = [(OUTSIDE - 0.0005, RIM), (OUTSIDE - 0.002, RIM - 0.0008), (RADIUS, FLOOR), (0.030, FLOOR), (0.0, FLOOR)]
    moment, square = MASS * OUTSIDE**2, OUTSIDE / 2**0.5
    return f"""
    <mujoco>
      <asset>
        {food_prints.texture_xml(TEXTURES)}
        <material name="plate_glaze" texture="plate_glaze" specular="0.4" shininess="0.7"/>
        {meshes.mesh_xml("plate", *dish(outside + inside, 40))}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="0 0 {FLOOR}" mass="{MASS}" diaginertia="{moment / 4:.4g} {moment / 4:.4g} {moment / 2:.4g}"/>
          <geom type="mesh" mesh="plate" material="plate_glaze" contype="0" conaffinity="0" group="1"/>
          <geom type="box" size="{square} {square} {FLOOR / 2}" pos="0 0 {FLOOR / 2}" {FOR_FOOD}/>
          <geom type="cylinder" size="{OUTSIDE} {FLOOR / 2}" pos="0 0 {FLOOR / 2}" {FOR_TOOLS}/>
          <geom pos="0.040 0 0.0015" {FEET}/>
          <geom pos="-0.020 0.0346 0.0015" {FEET}/>
          <geom pos="-0.020 -0.0346 0.0015" {FEET}/>
        </body>
      </worldbody>
    </mujoco>"""


def paint(model: mujoco.MjModel) -> None:
    """Draws the plate's picture into the model."""
    for name, draw in TEXTURES.items():
        set_texture(model, name, draw())

"""A desk clock that stands on the table as a free body, with a sprung button on top.

Its frame: origin under the middle of its feet, x out of its face, z up.
"""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_sim import meshes
from keypoint_sim.objects.clock_face import draw_front
from keypoint_sim.scene import COLLISION_GROUP, set_texture
from keypoint_sim.textures import Texture

BODY, JOINT = "clock", "clock_pose"
BUTTON_BODY, BUTTON_JOINT = "clock_button", "clock_button"

WIDTH, HEIGHT, DEPTH = 0.132, 0.112, 0.056  # of the case [m]
FOOT = 0.006
BEVEL = 0.004
DIAL_RADIUS = 0.046
MASS = 0.65  # [kg]; a wooden clock with its movement and battery
TOP = FOOT + HEIGHT

TRAVEL = 0.008  # of the button [m]
BUTTON_RADIUS = 0.013
BUTTON_HEIGHT = 0.014
BUTTON_REST = TOP + 0.015  # height of the button's top at rest [m]
STIFFNESS = 320.0  # of its spring [N/m]
PRELOAD = 0.006  # of its spring [m]; 1.9 N at rest, 4.5 N when pressed

PANEL = (WIDTH - 2 * BEVEL, HEIGHT - 2 * BEVEL)
FRONT_TEXTURE, SIDE_TEXTURE = "clock_front", "clock_side"


def mjcf() -> str:
    """The clock's MJCF document."""
    front = draw_front(*PANEL, DIAL_RADIUS)
    return f"""
    <mujoco>
      <asset>
        <texture name="{FRONT_TEXTURE}" type="2d" builtin="flat" width="{front.shape[1]}" height="{front.shape[0]}"/>
        <texture name="{SIDE_TEXTURE}" type="2d" builtin="flat" width="512" height="512"/>
        <material name="clock_front" texture="{FRONT_TEXTURE}" specular="0.2" shininess="0.4"/>
        <material name="clock_side" texture="{SIDE_TEXTURE}" texuniform="true" texrepeat="9 9" specular="0.2"/>
        <material name="brass" rgba="0.80 0.63 0.32 1" specular="0.7" shininess="0.6"/>
        <material name="button_red" rgba="0.80 0.15 0.11 1" specular="0.4" shininess="0.5"/>
        {_meshes()}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="0 0 {FOOT + 0.42 * HEIGHT}" mass="{MASS}" diaginertia="{_inertia()}"/>
          {_case()}
          {_button()}
        </body>
      </worldbody>
      <contact><exclude body1="{BODY}" body2="{BUTTON_BODY}"/></contact>
    </mujoco>"""


def paint(model: mujoco.MjModel) -> None:
    """Draws the clock's own textures into the model; they belong to the object and never change."""
    set_texture(model, FRONT_TEXTURE, draw_front(*PANEL, DIAL_RADIUS))
    side = Texture("wood", seed=11, colors=((0.33, 0.19, 0.11), (0.60, 0.38, 0.22)))
    set_texture(model, SIDE_TEXTURE, side.draw())


def depression(button: float) -> float:
    """Part of its travel that the button is pressed by, from its joint position [m]."""
    return -button / TRAVEL


def _inertia() -> str:
    x, y, z = DEPTH, WIDTH, HEIGHT
    moments = MASS / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    return " ".join(f"{m:.6g}" for m in moments)


def _meshes() -> str:
    radius, half = 0.016, DEPTH / 2
    outer = meshes.rounded_rectangle(WIDTH, HEIGHT, radius)
    inner = meshes.rounded_rectangle(*PANEL, radius - BEVEL)
    case = meshes.extrude([(inner, -half), (outer, -half + BEVEL), (outer, half - BEVEL), (inner, half - 0.0012)])
    corners = np.column_stack([np.full(len(inner), half - 0.001), inner])
    vertices = np.vstack([corners, [half - 0.001, 0, 0], [half - 0.004, 0, 0]])
    n = len(corners)
    faces = np.array([(n, i, (i + 1) % n) for i in range(n)] + [(n + 1, (i + 1) % n, i) for i in range(n)])
    texcoords = vertices[:, 1:] / np.array(PANEL) * (1, -1) + 0.5
    rim = meshes.torus(DIAL_RADIUS + 0.001, 0.0028)
    return (
        meshes.mesh_xml("clock_case", *case)
        + meshes.mesh_xml("clock_panel", vertices, faces, texcoords)
        + meshes.mesh_xml("clock_rim", *rim)
    )


def _case() -> str:
    middle = FOOT + HEIGHT / 2
    visual = 'contype="0" conaffinity="0" group="1"'
    contact = f'group="{COLLISION_GROUP}" rgba="1 0 0 .3"'
    feet = "".join(
        f'<geom type="cylinder" size="0.007 {FOOT / 2}" pos="{x} {y} {FOOT / 2}" material="rubber"/>'
        for x in (-0.019, 0.019)
        for y in (-0.05, 0.05)
    )
    return f"""
      <geom type="mesh" mesh="clock_case" pos="0 0 {middle}" material="clock_side" {visual}/>
      <geom type="mesh" mesh="clock_panel" pos="0 0 {middle}" material="clock_front" {visual}/>
      <geom type="mesh" mesh="clock_rim" pos="{DEPTH / 2} 0 {middle}" material="brass" {visual}/>
      <geom type="box" size="{DEPTH / 2} {WIDTH / 2} {HEIGHT / 2}" pos="0 0 {middle}" {contact}/>
      <geom type="cylinder" size="0.0175 0.0025" pos="0 0 {TOP + 0.0015}" material="brass"/>
      {feet}"""


def _button() -> str:
    return f"""
      <body name="{BUTTON_BODY}" pos="0 0 {BUTTON_REST - BUTTON_HEIGHT / 2}">
        <joint name="{BUTTON_JOINT}" type="slide" axis="0 0 1" range="{-TRAVEL} 0" limited="true"
          stiffness="{STIFFNESS}" springref="{PRELOAD}" damping="3" solreflimit="0.004 1"/>
        <inertial pos="0 0 0" mass="0.012" diaginertia="1e-6 1e-6 1e-6"/>
        <geom type="cylinder" size="{BUTTON_RADIUS} {BUTTON_HEIGHT / 2}" material="button_red"/>
      </body>"""

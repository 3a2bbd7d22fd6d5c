"""A teaching clock: a wooden wedge with a dial on its slope and a chunky minute hand that is turned with a finger.

The clock's frame: origin on the table under the middle of the dial, x toward the dial's lower edge, z up. The frame of
the face and of the hand: origin in the middle of the dial, x out of it, z toward the 12.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64
from keypoint_sim import meshes
from keypoint_sim.objects.hand_clock_face import Image, draw_hand, draw_panel
from keypoint_sim.scene import COLLISION_GROUP, set_texture
from keypoint_sim.textures import Texture

BODY, JOINT = "hand_clock", "hand_clock_pose"
FACE_BODY = "hand_clock_face"
HAND_BODY, HAND_JOINT = "hand_clock_hand", "hand_clock_hand"

SLOPE = np.deg2rad(25)  # of the face; the camera sees it nearly from the front, and a tool that points down is free
WIDTH, LENGTH = 0.172, 0.168  # of the slope [m]
PANEL = (WIDTH - 0.008, LENGTH - 0.008)
FRONT = 0.028  # height of the wedge's front edge over its bottom [m]
FOOT = 0.005
MASS, FACE_MASS = 1.2, 0.15  # of the beech wedge, and of the panel on it [kg]
DIAL_RADIUS = 0.076
CENTER = FOOT + FRONT + LENGTH / 2 * np.sin(SLOPE)  # height of the dial's middle [m]

HAND_LENGTH, HAND_TAIL = 0.070, 0.020  # from the axis [m]
HAND_WIDTH = 0.014
HAND_LOW, HAND_HIGH = 0.004, 0.020  # over the dial [m]
KNOB = (0.056, 0.0055, 0.013)  # distance from the axis, radius, height over the hand [m]
HAND_MASS = 0.035
# It takes about a newton at the middle of its length to turn, and stays where it is left: MuJoCo's friction is soft and
# creeps under the hand's weight, the more so the less inertia it holds, so that the gears' and a stiffer limit are needed.
FRICTION, DAMPING, GEARS = 0.045, 0.003, 0.0005  # [Nm], [Nm s/rad], [kg m^2]
STIFF_FRICTION = 'solreffriction="0.004 1" solimpfriction="0.99 0.999 0.001"'

PANEL_TEXTURE, HAND_TEXTURE, WOOD_TEXTURE = "hand_clock_panel", "hand_clock_paint", "hand_clock_wood"

VISUAL = 'contype="0" conaffinity="0" group="1"'
CONTACT = f'group="{COLLISION_GROUP}" rgba="1 0 0 .3"'


def mjcf() -> str:
    """The clock's MJCF document."""
    panel, paint = _panel().shape, _paint().shape
    turn = (SLOPE - np.pi / 2) / 2
    return f"""
    <mujoco>
      <asset>
        <texture name="{PANEL_TEXTURE}" type="2d" builtin="flat" width="{panel[1]}" height="{panel[0]}"/>
        <texture name="{HAND_TEXTURE}" type="2d" builtin="flat" width="{paint[1]}" height="{paint[0]}"/>
        <texture name="{WOOD_TEXTURE}" type="2d" builtin="flat" width="512" height="512"/>
        <material name="hand_clock_panel" texture="{PANEL_TEXTURE}" specular="0.2" shininess="0.4"/>
        <material name="hand_clock_paint" texture="{HAND_TEXTURE}" specular="0.4" shininess="0.5"/>
        <material name="hand_clock_wood" texture="{WOOD_TEXTURE}" texuniform="true" texrepeat="7 7" specular="0.15"/>
        <material name="hand_clock_rim" rgba="0.93 0.70 0.20 1" specular="0.3" shininess="0.4"/>
        <material name="hand_clock_red" rgba="0.78 0.16 0.14 1" specular="0.3" shininess="0.4"/>
        <material name="hand_clock_knob" rgba="0.96 0.93 0.84 1" specular="0.4" shininess="0.5"/>
        <material name="hand_clock_hour" rgba="0.15 0.22 0.46 1" specular="0.3" shininess="0.4"/>
        {_meshes()}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="-0.015 0 {0.45 * CENTER}" mass="{MASS}" diaginertia="0.0033 0.003 0.0055"/>
          {_wedge()}
          <body name="{FACE_BODY}" pos="0 0 {CENTER}" quat="{np.cos(turn)} 0 {np.sin(turn)} 0">
            <inertial pos="0 0 0" mass="{FACE_MASS}" diaginertia="7.2e-4 3.6e-4 3.6e-4"/>
            {_dial()}
            {_hand()}
          </body>
        </body>
      </worldbody>
      <contact>
        <exclude body1="{BODY}" body2="{HAND_BODY}"/>
        <exclude body1="{FACE_BODY}" body2="{HAND_BODY}"/>
      </contact>
    </mujoco>"""


def paint(model: mujoco.MjModel) -> None:
    """Draws the clock's own textures into the model; they belong to the object and never change."""
    set_texture(model, PANEL_TEXTURE, _panel())
    set_texture(model, HAND_TEXTURE, _paint())
    beech = Texture("wood", seed=4, colors=((0.62, 0.42, 0.24), (0.90, 0.73, 0.50)))
    set_texture(model, WOOD_TEXTURE, beech.draw())


def _panel() -> Image:
    return draw_panel(*PANEL, DIAL_RADIUS)


def _paint() -> Image:
    return draw_hand(HAND_WIDTH, HAND_LENGTH + HAND_TAIL)


def _profile() -> Float64:
    """The wedge's outline [4, 2], toward its back and up [m], counter-clockwise about its middle."""
    half = LENGTH / 2 * np.cos(SLOPE)
    outline = np.array([[half, 0], [half, FRONT + LENGTH * np.sin(SLOPE)], [-half, FRONT], [-half, 0]])
    return outline - _profile_middle()


def _profile_middle() -> Float64:
    return np.array([0.0, (2 * FRONT + LENGTH * np.sin(SLOPE)) / 4])


def _arrow(length: float, tail: float, width: float) -> Float64:
    """A hand's outline [n, 2] in the dial's plane [m], counter-clockwise about its axis."""
    half, hub = width / 2, 0.72 * width
    bow = np.deg2rad(np.linspace(45, -45, 7))
    right = [*(hub * np.stack([np.cos(bow), np.sin(bow)], axis=1))[::-1], (half, length - width), (0.12 * half, length)]
    left = [(-y, z) for y, z in right[::-1]]
    return np.array([(0.7 * half, -tail), *right, *left, (-0.7 * half, -tail)])


def _meshes() -> str:
    profile, half = _profile(), WIDTH / 2
    inner = profile - 0.003 * np.sign(profile)
    wedge = meshes.extrude([(inner, -half), (profile, 0.003 - half), (profile, half - 0.003), (inner, half)])
    minute = _arrow(HAND_LENGTH, HAND_TAIL, HAND_WIDTH)
    hour = _arrow(0.036, 0.010, 0.011)
    return (
        _solid("hand_clock_wedge", *wedge)
        + meshes.mesh_xml("hand_clock_block", *meshes.extrude([(profile, -half), (profile, half)]))
        + _solid("hand_clock_minute", *meshes.extrude([(minute, HAND_LOW), (minute, HAND_HIGH)]))
        + _solid("hand_clock_hour", *meshes.extrude([(hour, 0.001), (0.9 * hour, 0.003)]))
        + _solid("hand_clock_paint", *meshes.plate(0.94 * minute, HAND_HIGH + 0.0004))
        + _solid("hand_clock_panel", *meshes.plate(meshes.rounded_rectangle(*PANEL, 0.01), 0.0008))
        + meshes.mesh_xml("hand_clock_rim", *meshes.torus(DIAL_RADIUS + 0.001, 0.0032, segments=48))
    )


def _solid(name: str, vertices: Float64, faces: NDArray[np.int64], texcoords: Float64 | None = None) -> str:
    """A mesh with edges that look sharp, for no two faces share a corner and so its normal."""
    corners = faces.ravel()
    texcoords = None if texcoords is None else texcoords[corners]
    return meshes.mesh_xml(name, vertices[corners], np.arange(len(corners)).reshape(-1, 3), texcoords)


def _wedge() -> str:
    x, y = LENGTH / 2 * np.cos(SLOPE) - 0.016, WIDTH / 2 - 0.016
    feet = "".join(
        f'<geom type="sphere" size="0.009" pos="{side * x} {other * y} 0.009" material="rubber" friction="1.1 0.01 0.0005"/>'
        for side in (-1, 1)
        for other in (-1, 1)
    )
    turned = f'pos="0 0 {FOOT + _profile_middle()[1]}" quat="0.70710678 0 0 0.70710678"'
    return f"""
      <geom type="mesh" mesh="hand_clock_wedge" {turned} material="hand_clock_wood" {VISUAL}/>
      <geom type="mesh" mesh="hand_clock_block" {turned} {CONTACT}/>
      {feet}"""


def _dial() -> str:
    turn = np.deg2rad(-200) / 2  # a little to seven
    return f"""
      <geom type="mesh" mesh="hand_clock_panel" material="hand_clock_panel" {VISUAL}/>
      <geom type="mesh" mesh="hand_clock_rim" material="hand_clock_rim" {VISUAL}/>
      <geom type="mesh" mesh="hand_clock_hour" quat="{np.cos(turn)} {np.sin(turn)} 0 0" material="hand_clock_hour" {VISUAL}/>"""


def _hand() -> str:
    """Turns about the axis into the dial, so that its joint's angle counts clockwise."""
    at, radius, height = KNOB
    thick, middle = (HAND_HIGH - HAND_LOW) / 2, (HAND_HIGH + HAND_LOW) / 2
    end = HAND_LENGTH - HAND_WIDTH
    upright = 'quat="0.70710678 0 0.70710678 0"'
    return f"""
      <body name="{HAND_BODY}">
        <joint name="{HAND_JOINT}" type="hinge" axis="-1 0 0" frictionloss="{FRICTION}" damping="{DAMPING}"
          armature="{GEARS}" {STIFF_FRICTION}/>
        <inertial pos="{middle} 0 0.015" mass="{HAND_MASS}" diaginertia="2.5e-5 2.5e-5 2e-6"/>
        <geom type="mesh" mesh="hand_clock_minute" material="hand_clock_red" {VISUAL}/>
        <geom type="mesh" mesh="hand_clock_paint" material="hand_clock_paint" {VISUAL}/>
        <geom type="cylinder" size="0.006 0.0015" pos="{HAND_HIGH} 0 0" {upright} material="hand_clock_rim" {VISUAL}/>
        <geom type="cylinder" size="{radius} {height / 2}" pos="{HAND_HIGH + height / 2} 0 {at}" {upright}
          material="hand_clock_knob"/>
        <geom type="box" size="{thick} {HAND_WIDTH / 2} {(end + HAND_TAIL) / 2}" pos="{middle} 0 {(end - HAND_TAIL) / 2}" {CONTACT}/>
        <geom type="box" size="{thick} {HAND_WIDTH / 5} {HAND_WIDTH / 2}" pos="{middle} 0 {HAND_LENGTH - HAND_WIDTH / 2}" {CONTACT}/>
      </body>"""

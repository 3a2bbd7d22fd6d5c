"""A glass teapot that stands on the table as a free body, and its lid, a free body that lies loosely in its rim.

Frame of the pot: origin under its middle, spout toward y, z up. Frame of the lid: origin in the plane it rests in.
"""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_sim import meshes
from keypoint_sim.objects import teapot_shapes as shapes
from keypoint_sim.scene import COLLISION_GROUP, set_texture

BODY, JOINT = "teapot", "teapot_pose"
LID_BODY, LID_JOINT = "teapot_lid", "teapot_lid_pose"
KNOB_BODY = "teapot_knob"

RIM = 0.094  # height of the rim, in which the lid's frame lies when it is shut [m]
KNOB_HEIGHT = 0.0255  # of the knob's middle over the lid's frame [m]
KNOB_RADIUS = 0.009
NECK = 0.039  # inner radius of the opening [m]
COLLAR = 0.037  # outer radius of the lid's collar [m]
COLLAR_DEPTH = 0.006  # of the collar's widest place below the rim [m]

MASS, LID_MASS, KNOB_MASS = 0.75, 0.070, 0.012  # of the pot with tea in it, of the lid's glass, of the knob [kg]
FACES = 8  # of the ring that the lid lies in
FEET = 4  # places where the lid lies on the rim, and as many where its collar may touch
BEAD = 0.003  # radius of those places [m]

PRINT_TEXTURE, STRAINER_TEXTURE, RATTAN_TEXTURE = "teapot_print", "teapot_strainer", "teapot_rattan"
BAMBOO_TEXTURE, KNOB_TEXTURE, LID_TEXTURE = "teapot_bamboo", "teapot_knob", "teapot_lid"
PICTURES = {
    PRINT_TEXTURE: shapes.draw_print,
    LID_TEXTURE: shapes.draw_lid,
    STRAINER_TEXTURE: shapes.draw_strainer,
    RATTAN_TEXTURE: shapes.draw_rattan,
    BAMBOO_TEXTURE: shapes.draw_bamboo,
    KNOB_TEXTURE: shapes.draw_knob,
}

VISUAL = 'contype="0" conaffinity="0" group="1"'
CONTACT = f'group="{COLLISION_GROUP}" rgba="1 0 0 .3"'
TOOL_ONLY = f'contype="0" conaffinity="1" {CONTACT}'

# (radius, height) [m], see meshes.lathe.
GLASS = [
    (0.0400, 0.0150), (0.0500, 0.0195), (0.0580, 0.0275), (0.0625, 0.0385), (0.0638, 0.0495), (0.0618, 0.0600),
    (0.0570, 0.0695), (0.0500, 0.0785), (0.0450, 0.0855), (0.0438, 0.0905), (0.0450, RIM),
    (0.0395, RIM), (0.0395, 0.0860),
]  # fmt: skip
TEA = [
    (0.0000, 0.0190), (0.0440, 0.0210), (0.0550, 0.0310), (0.0585, 0.0390), (0.0575, 0.0400), (0.0000, 0.0400),
]  # fmt: skip
STRAINER = [
    (0.0000, 0.0300), (0.0250, 0.0310), (0.0280, 0.0340), (0.0290, 0.0850), (0.0385, 0.0850), (0.0385, 0.0860),
    (0.0300, 0.0862), (0.0275, 0.0840), (0.0265, 0.0340), (0.0000, 0.0320),
]  # fmt: skip
BASE = [(0.0000, 0.0030), (0.0535, 0.0030), (0.0550, 0.0045), (0.0550, 0.0135), (0.0535, 0.0155), (0.0, 0.0155)]
LID = [(0.0440, 0.0030), (0.0340, 0.0068), (0.0230, 0.0100), (0.0110, 0.0116), (0.0000, 0.0118)]
LID_EDGE = [(0.0345, -0.0080), (0.0370, -0.0060), (0.0370, 0.0), (0.0442, 0.0002), (0.0452, 0.0016), (0.0420, 0.0036)]
KNOB = [
    (0.0070, 0.0108), (0.0068, 0.0126), (0.0046, 0.0150), (0.0052, 0.0172), (0.0078, 0.0208), (0.0090, 0.0255),
    (0.0084, 0.0295), (0.0062, 0.0328), (0.0030, 0.0344), (0.0000, 0.0347),
]  # fmt: skip


def mjcf() -> str:
    """The MJCF document of pot and lid."""
    return f"""
    <mujoco>
      <asset>
        {_textures()}
        <material name="teapot_glass" texture="{PRINT_TEXTURE}" rgba="1 1 1 0.99" specular="1" shininess="0.9"/>
        <material name="teapot_lid" texture="{LID_TEXTURE}" rgba="1 1 1 0.99" specular="1" shininess="0.9"/>
        <material name="teapot_clear" rgba="0.84 0.93 0.92 0.30" specular="1" shininess="0.9"/>
        <material name="teapot_edge" rgba="0.90 0.97 0.96 0.75" specular="1" shininess="0.9"/>
        <material name="teapot_tea" rgba="0.85 0.55 0.16 0.45" specular="0.4" shininess="0.6"/>
        <material name="teapot_strainer" texture="{STRAINER_TEXTURE}" specular="0.8" shininess="0.6"/>
        <material name="teapot_rattan" texture="{RATTAN_TEXTURE}" specular="0.2" shininess="0.3"/>
        <material name="teapot_bamboo" texture="{BAMBOO_TEXTURE}" specular="0.2" shininess="0.3"/>
        <material name="teapot_knob" texture="{KNOB_TEXTURE}" specular="0.5" shininess="0.6"/>
        {_meshes()}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="0 0 0.036" mass="{MASS}" diaginertia="7e-4 7e-4 9e-4"/>
          {_pot()}
        </body>
        <body name="{LID_BODY}" pos="0 0 {RIM}">
          <freejoint name="{LID_JOINT}"/>
          <inertial pos="0 0 0.003" mass="{LID_MASS}" diaginertia="2.6e-5 2.6e-5 5e-5"/>
          {_lid()}
          <body name="{KNOB_BODY}">
            <inertial pos="0 0 {KNOB_HEIGHT}" mass="{KNOB_MASS}" diaginertia="4e-7 4e-7 4e-7"/>
            <geom type="mesh" mesh="teapot_knob" material="teapot_knob" {VISUAL}/>
            <geom type="sphere" size="{KNOB_RADIUS}" pos="0 0 {KNOB_HEIGHT}" condim="4" friction="1 0.01 0.0005"
              solref="0.004 1" {CONTACT}/>
          </body>
        </body>
      </worldbody>
    </mujoco>"""


def paint(model: mujoco.MjModel) -> None:
    """Draws the teapot's own textures into the model; they belong to the object and never change."""
    for name, draw in PICTURES.items():
        set_texture(model, name, draw())


def _textures() -> str:
    rows = []
    for name, draw in PICTURES.items():
        height, width, channels = draw().shape
        size = f'width="{width}" height="{height}" nchannel="{channels}"'
        rows.append(f'<texture name="{name}" type="2d" builtin="flat" {size}/>')
    return "".join(rows)


def _meshes() -> str:
    spout = shapes.bend([(0.052, 0.038), (0.078, 0.042), (0.082, 0.068), (0.106, 0.092)], 12)
    handle = shapes.bend([(-0.050, 0.080), (-0.086, 0.102), (-0.122, 0.064), (-0.086, 0.022), (-0.056, 0.026)], 20)
    parts = {
        "glass": meshes.lathe(GLASS),
        "tea": meshes.lathe(TEA),
        "strainer": meshes.lathe(STRAINER, 20),
        "base": meshes.lathe(BASE),
        "lid": meshes.lathe(LID),
        "lid_edge": meshes.lathe(LID_EDGE),
        "knob": meshes.lathe(KNOB, 16),
        "spout": shapes.tube(spout, np.linspace(0.0140, 0.0062, 12)),
        "handle": shapes.tube(handle, np.full(20, 0.0062)),
    }
    return "".join(meshes.mesh_xml(f"teapot_{name}", *part) for name, part in parts.items())


def _pot() -> str:
    looks = "".join(
        f'<geom type="mesh" mesh="teapot_{mesh}" material="teapot_{material}" {VISUAL}/>'
        for mesh, material in (
            ("base", "bamboo"), ("strainer", "strainer"), ("handle", "rattan"), ("tea", "tea"), ("spout", "clear"),
            ("glass", "glass"),
        )
    )  # fmt: skip
    feet = "".join(f'<geom type="sphere" size="0.004" pos="{x} {y} 0.004" {CONTACT}/>' for x, y in _ring(4, 0.048))
    belly = "".join(
        f'<geom type="box" size="0.061 0.035 0.027" pos="0 0 0.043" euler="0 0 {i * np.pi / 3}" {CONTACT}/>'
        for i in range(3)
    )
    return looks + feet + belly + _opening() + _arms()


def _opening() -> str:
    """Eight walls around the hole; their tops are the rim."""
    thick, deep = 0.004, 0.009
    middle = NECK + thick
    half = (NECK + 2 * thick) * np.tan(np.pi / FACES)
    walls = []
    for i, (x, y) in enumerate(_ring(FACES, middle)):
        turn = 2 * np.pi * i / FACES
        walls.append(
            f'<geom type="box" size="{thick} {half:.5f} {deep}" pos="{x} {y} {RIM - deep}" euler="0 0 {turn}" {CONTACT}/>'
        )
    return "".join(walls)


def _arms() -> str:
    """Spout and handle, for what bumps into them."""
    return f"""
      <geom type="capsule" fromto="0 0.056 0.043 0 0.083 0.066" size="0.011" {CONTACT}/>
      <geom type="capsule" fromto="0 0.083 0.066 0 0.102 0.088" size="0.006" {CONTACT}/>
      <geom type="capsule" fromto="0 -0.056 0.084 0 -0.098 0.066" size="0.006" {CONTACT}/>
      <geom type="capsule" fromto="0 -0.098 0.060 0 -0.062 0.028" size="0.006" {CONTACT}/>"""


def _lid() -> str:
    """Beads under its flange and around its collar meet the pot; plates in its place meet the tool."""
    feet = "".join(
        f'<geom type="sphere" size="{BEAD}" pos="{x} {y} {BEAD}" {CONTACT}/>' for x, y in _ring(FEET, 0.0415)
    )
    collar = "".join(
        f'<geom type="sphere" size="{BEAD}" pos="{x} {y} {-COLLAR_DEPTH}" {CONTACT}/>'
        for x, y in _ring(FEET, COLLAR - BEAD)
    )
    plates = "".join(
        f'<geom type="box" size="0.037 0.022 0.003" pos="0 0 0.004" euler="0 0 {i * np.pi / 3}" {TOOL_ONLY}/>'
        for i in range(3)
    )
    looks = f"""
      <geom type="mesh" mesh="teapot_lid" material="teapot_lid" {VISUAL}/>
      <geom type="mesh" mesh="teapot_lid_edge" material="teapot_edge" {VISUAL}/>"""
    return looks + feet + collar + plates


def _ring(count: int, radius: float) -> list[tuple[float, float]]:
    turn = 2 * np.pi * np.arange(count) / count
    return [(round(float(radius * np.cos(a)), 6), round(float(radius * np.sin(a)), 6)) for a in turn]

"""A small microwave oven that stands on the table as a free body, with a door on a vertical hinge.

Its frame: origin on the table under the middle of the case, x out of its front, z up. Seen from the front the hinge
is on the left (-y), the keys are on the right.
"""

from __future__ import annotations

import numpy as np

from keypoint_core.types import Float64
from keypoint_sim import meshes
from keypoint_sim.objects import microwave_prints as prints
from keypoint_sim.objects.prints import Print, assets, rgba
from keypoint_sim.scene import COLLISION_GROUP

BODY, JOINT = "microwave", "microwave_pose"
DOOR_BODY, DOOR_JOINT = "microwave_door", "microwave_door"

WIDTH, HEIGHT, DEPTH = 0.22, 0.140, 0.150  # of the case with its door shut [m]
FOOT = 0.008
TOP = FOOT + HEIGHT
MASS = 3.0  # [kg]

DOOR_WIDTH = 0.160
THICKNESS = 0.012  # of the door
FRONT = DEPTH / 2 - THICKNESS  # of the case behind the door
HINGE = (FRONT + THICKNESS / 2, -WIDTH / 2 + THICKNESS / 2)  # x, y of its axis, in the middle of the door's thickness
EDGE = DOOR_WIDTH - THICKNESS / 2  # from the axis to the door's free edge
DOOR_MASS = 0.25
WIDEST = np.deg2rad(95)
FRICTION, DAMPING = 0.015, 0.006  # of the hinge [N m], [N m s]; the door stays where it is left

CAVITY = (-0.100, 0.042, 0.018, 0.138)  # y from, to, z from, to [m]
PANEL = (WIDTH - DOOR_WIDTH - 0.002, HEIGHT)
VISUAL = 'contype="0" conaffinity="0" group="1"'
CONTACT = f'group="{COLLISION_GROUP}" rgba="1 0 0 .3"'


def pictures() -> list[Print]:
    """Everything that is printed."""
    mm = 1000.0
    return [
        Print("microwave_door_front", prints.door_front(DOOR_WIDTH * mm, HEIGHT * mm)),
        Print("microwave_door_back", prints.door_back(DOOR_WIDTH * mm, HEIGHT * mm)),
        Print("microwave_keys", prints.keys(PANEL[0] * mm, PANEL[1] * mm)),
        Print("microwave_top", prints.top(WIDTH * mm, DEPTH * mm)),
        Print("microwave_side", prints.side(DEPTH * mm, HEIGHT * mm)),
    ]


def mjcf() -> str:
    """The microwave's MJCF document."""
    inertia = meshes.box_inertia(MASS, DEPTH, WIDTH, HEIGHT)
    return f"""
    <mujoco>
      <asset>
        {assets(pictures())}
        <material name="enamel" rgba="{rgba(prints.ENAMEL)}" specular="0.35" shininess="0.5"/>
        <material name="door_rim" rgba="{rgba(prints.CREAM)}" specular="0.3" shininess="0.5"/>
        <material name="chrome" rgba="0.80 0.81 0.83 1" specular="0.9" shininess="0.8"/>
        <material name="turntable" rgba="0.62 0.74 0.78 1" specular="0.6" shininess="0.7"/>
        <material name="mug" rgba="0.85 0.46 0.20 1" specular="0.4" shininess="0.5"/>
        <material name="coffee" rgba="0.20 0.11 0.06 1" specular="0.5" shininess="0.6"/>
        {_meshes()}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="0 0 {FOOT + 0.45 * HEIGHT}" mass="{MASS}" diaginertia="{inertia}"/>
          {_case()}
          {_inside()}
          {_door()}
        </body>
      </worldbody>
      <contact><exclude body1="{BODY}" body2="{DOOR_BODY}"/></contact>
    </mujoco>"""


def along_door(angle: float) -> Float64:
    """Unit vector [3] from the hinge to the free edge of a door open by `angle` [rad], in the microwave's frame."""
    return np.array([np.sin(angle), np.cos(angle), 0.0])


def _meshes() -> str:
    """Case and cavity in one, the door, and a plate for each picture."""
    outer = meshes.rounded_rectangle(WIDTH, HEIGHT, 0.012)
    rim = meshes.rounded_rectangle(WIDTH - 0.004, HEIGHT - 0.004, 0.010)
    left, right, low, high = CAVITY
    middle = ((left + right) / 2, (low + high) / 2 - FOOT - HEIGHT / 2)
    hollow = meshes.rounded_rectangle(right - left, high - low, 0.006) + middle
    back, front = -DEPTH / 2, FRONT
    case = meshes.extrude(
        [(rim, back), (outer, back + 0.002), (outer, front - 0.001), (hollow, front - 0.001), (hollow, back + 0.012)]
    )
    slab = meshes.rounded_rectangle(DOOR_WIDTH, HEIGHT, 0.010)
    inset = meshes.rounded_rectangle(DOOR_WIDTH - 0.003, HEIGHT - 0.003, 0.0085)
    half = THICKNESS / 2
    door = meshes.extrude([(inset, -half), (slab, -half + 0.0015), (slab, half - 0.0015), (inset, half)])
    front_plate = meshes.plate(inset, half + 0.0004)
    key_plate = meshes.plate(meshes.rounded_rectangle(*PANEL, 0.006), 0.0)
    top_plate = meshes.plate(meshes.rounded_rectangle(WIDTH - 0.022, DEPTH - 0.020, 0.004), 0.0)
    side_plate = meshes.plate(meshes.rounded_rectangle(DEPTH - 0.020, HEIGHT - 0.022, 0.004), 0.0)
    return (
        meshes.mesh_xml("microwave_case", *case)
        + meshes.mesh_xml("microwave_door", *door)
        + meshes.mesh_xml("microwave_door_plate", *front_plate)
        + meshes.mesh_xml("microwave_keys", *key_plate)
        + meshes.mesh_xml("microwave_top", *top_plate)
        + meshes.mesh_xml("microwave_side", *side_plate)
    )


def _case() -> str:
    middle, half_door = FOOT + HEIGHT / 2, THICKNESS / 2
    panel_y = (WIDTH - PANEL[0]) / 2
    feet = "".join(
        f'<geom type="sphere" size="0.010" pos="{x} {y} 0.010" material="rubber" friction="1 0.01 0.0005"/>'
        for x in (-0.060, 0.050)
        for y in (-0.09, 0.09)
    )
    return f"""
      <geom type="mesh" mesh="microwave_case" pos="0 0 {middle}" material="enamel" {VISUAL}/>
      <geom type="box" size="{half_door} {PANEL[0] / 2} {HEIGHT / 2 - 0.002}" pos="{HINGE[0]} {panel_y} {middle}"
        material="chrome" {VISUAL}/>
      <geom type="mesh" mesh="microwave_keys" pos="{DEPTH / 2 + 0.0006} {panel_y} {middle}" material="microwave_keys"
        {VISUAL}/>
      <geom type="mesh" mesh="microwave_top" pos="-0.006 0 {TOP + 0.0006}" xyaxes="0 0 1 0 1 0"
        material="microwave_top" {VISUAL}/>
      <geom type="mesh" mesh="microwave_side" pos="-0.006 {-WIDTH / 2 - 0.0006} {middle}" xyaxes="0 -1 0 1 0 0"
        material="microwave_side" {VISUAL}/>
      <geom type="mesh" mesh="microwave_side" pos="-0.006 {WIDTH / 2 + 0.0006} {middle}" xyaxes="0 1 0 -1 0 0"
        material="microwave_side" {VISUAL}/>
      <geom type="box" size="{(DEPTH - THICKNESS) / 2} {WIDTH / 2} {HEIGHT / 2}" pos="{-half_door} 0 {middle}"
        {CONTACT}/>
      <geom type="box" size="{half_door} {PANEL[0] / 2} {HEIGHT / 2}" pos="{HINGE[0]} {panel_y} {middle}" {CONTACT}/>
      {feet}"""


def _inside() -> str:
    """What stands in the oven; nothing touches it."""
    y, floor = (CAVITY[0] + CAVITY[1]) / 2, CAVITY[2]
    return f"""
      <geom type="cylinder" size="0.056 0.002" pos="0 {y} {floor + 0.003}" material="turntable" {VISUAL}/>
      <geom type="cylinder" size="0.022 0.024" pos="0.012 {y + 0.01} {floor + 0.029}" material="mug" {VISUAL}/>
      <geom type="cylinder" size="0.019 0.001" pos="0.012 {y + 0.01} {floor + 0.0530}" material="coffee" {VISUAL}/>
      <geom type="capsule" size="0.003" fromto="0.034 {y + 0.03} {floor + 0.016} 0.034 {y + 0.03} {floor + 0.042}"
        material="mug" {VISUAL}/>"""


def _door() -> str:
    x, y = HINGE
    middle, height, half = (EDGE - THICKNESS / 2) / 2, HEIGHT / 2, THICKNESS / 2
    grip, out = EDGE - 0.016, half + 0.014
    inertia = meshes.box_inertia(DOOR_MASS, THICKNESS, DOOR_WIDTH, HEIGHT)
    return f"""
      <body name="{DOOR_BODY}" pos="{x} {y} {FOOT + height}">
        <joint name="{DOOR_JOINT}" type="hinge" axis="0 0 -1" range="0 {WIDEST}" limited="true"
          damping="{DAMPING}" frictionloss="{FRICTION}" solreflimit="0.01 1"/>
        <inertial pos="0 {middle} 0" mass="{DOOR_MASS}" diaginertia="{inertia}"/>
        <geom type="mesh" mesh="microwave_door" pos="0 {middle} 0" material="door_rim" {VISUAL}/>
        <geom type="mesh" mesh="microwave_door_plate" pos="0 {middle} 0" material="microwave_door_front" {VISUAL}/>
        <geom type="mesh" mesh="microwave_door_plate" pos="0 {middle} 0" euler="0 0 {np.pi}"
          material="microwave_door_back" {VISUAL}/>
        <geom type="cylinder" size="{half} {height}" material="chrome" {VISUAL}/>
        <geom type="capsule" size="0.0045" fromto="{out} {grip} -0.045 {out} {grip} 0.045" material="chrome"/>
        <geom type="capsule" size="0.003" fromto="0 {grip} -0.036 {out} {grip} -0.036" material="chrome" {VISUAL}/>
        <geom type="capsule" size="0.003" fromto="0 {grip} 0.036 {out} {grip} 0.036" material="chrome" {VISUAL}/>
        <geom type="box" size="{half} {DOOR_WIDTH / 2} {height - 0.002}" pos="0 {middle} 0" {CONTACT}/>
      </body>"""

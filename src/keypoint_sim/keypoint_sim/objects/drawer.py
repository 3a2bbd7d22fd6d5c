"""A small chest of two drawers that stands on the table as a free body; the upper drawer slides, the lower is locked.

Its frame: origin on the table under the middle of the chest, x out of its front, z up.
"""

from __future__ import annotations

from keypoint_sim import meshes
from keypoint_sim.objects import drawer_prints as prints
from keypoint_sim.objects.prints import Print, assets, rgba
from keypoint_sim.scene import COLLISION_GROUP

BODY, JOINT = "chest", "chest_pose"
DRAWER_BODY, DRAWER_JOINT = "chest_drawer", "chest_drawer"

WIDTH, DEPTH, TOP = 0.200, 0.145, 0.150  # of the chest with its drawers shut, height over the table [m]
FOOT = 0.014
BOARD = 0.010  # thickness of the top
WALL = 0.008
FRONT = 0.010  # thickness of a drawer's front
FACE = DEPTH / 2  # x of the shut drawer's face
MASS = 3.0  # [kg]; without the upper drawer

UPPER = (WIDTH - 0.004, 0.063)  # width and height of its front, which covers the case's edges [m]
UPPER_MIDDLE = TOP - 0.0005 - UPPER[1] / 2  # height of its middle
LOWER = (UPPER[0], 0.062)
LOWER_MIDDLE = FOOT + 0.006 + LOWER[1] / 2
BOX = (0.120, WIDTH - 0.020, 0.040)  # of the upper drawer behind its front [m]
RIM = UPPER[1] / 2 - BOARD - 0.004  # height of the box's edge over the front's middle
DRAWER_MASS = 0.35
WIDEST = 0.095  # [m]
FRICTION, DAMPING = 1.2, 4.0  # of the slide [N], [N s/m]; the drawer stays where it is left
KNOB = 0.060  # of its two knobs, from the middle

VISUAL = 'contype="0" conaffinity="0" group="1"'
CONTACT = f'group="{COLLISION_GROUP}" rgba="1 0 0 .3"'


def pictures() -> list[Print]:
    """Everything that is painted."""
    width, depth, height = 1000 * WIDTH, 1000 * DEPTH, 1000 * (TOP - BOARD - FOOT)
    inside = (1000 * (BOX[1] - 2 * WALL), 1000 * (BOX[0] - WALL))
    return [
        Print("chest_upper", prints.front(1000 * UPPER[0], 1000 * UPPER[1], "SPOONS", prints.INDIGO)),
        Print("chest_lower", prints.front(1000 * LOWER[0], 1000 * LOWER[1], "TEA", prints.BRICK)),
        Print("chest_left", prints.side(depth - 10, height, False)),
        Print("chest_right", prints.side(depth - 10, height, True)),
        Print("chest_top", prints.top(width, depth - 1000 * FRONT)),
        Print("chest_lining", prints.lining(*inside)),
    ]


def mjcf() -> str:
    """The chest's MJCF document."""
    return f"""
    <mujoco>
      <asset>
        {assets(pictures())}
        <material name="birch" rgba="{rgba(prints.BIRCH)}" specular="0.1" shininess="0.3"/>
        <material name="walnut" rgba="{rgba(prints.WALNUT)}" specular="0.2" shininess="0.4"/>
        <material name="chest_gap" rgba="0.20 0.15 0.11 1" specular="0"/>
        <material name="indigo" rgba="{rgba(prints.INDIGO)}" specular="0.2" shininess="0.4"/>
        <material name="brick" rgba="{rgba(prints.BRICK)}" specular="0.2" shininess="0.4"/>
        <material name="knob" rgba="0.84 0.68 0.36 1" specular="0.7" shininess="0.6"/>
        {_meshes()}
      </asset>
      <worldbody>
        <body name="{BODY}">
          <freejoint name="{JOINT}"/>
          <inertial pos="0 0 {0.45 * TOP}" mass="{MASS}" diaginertia="{meshes.box_inertia(MASS, DEPTH, WIDTH, TOP)}"/>
          {_case()}
          {_drawer()}
        </body>
      </worldbody>
      <contact><exclude body1="{BODY}" body2="{DRAWER_BODY}"/></contact>
    </mujoco>"""


def _meshes() -> str:
    width, depth, height = WIDTH, DEPTH, TOP - BOARD - FOOT
    plates = {
        "chest_upper": (UPPER[0] - 0.002, UPPER[1] - 0.002),
        "chest_lower": (LOWER[0] - 0.002, LOWER[1] - 0.002),
        "chest_side": (depth - 0.012, height - 0.002),
        "chest_top": (width - 0.002, depth - FRONT - 0.002),
        "chest_lining": (BOX[1] - 2 * WALL, BOX[0] - WALL),
    }
    return "".join(
        meshes.mesh_xml(name, *meshes.plate(meshes.rounded_rectangle(*size, 0.002, segments=2), 0.0))
        for name, size in plates.items()
    )


def _box(size: tuple[float, float, float], pos: tuple[float, float, float], material: str) -> str:
    """A visible board with these edges [m]."""
    half, middle = (" ".join(f"{v:.5f}" for v in values) for values in ([s / 2 for s in size], pos))
    return f'<geom type="box" size="{half}" pos="{middle}" material="{material}" {VISUAL}/>'


def _case() -> str:
    depth = DEPTH - FRONT
    height, middle, back = TOP - BOARD - FOOT, (TOP - BOARD + FOOT) / 2, -FRONT / 2
    rail = LOWER_MIDDLE + LOWER[1] / 2
    boards = (
        _box((depth, WALL, height), (back, -(WIDTH - WALL) / 2, middle), "birch")
        + _box((depth, WALL, height), (back, (WIDTH - WALL) / 2, middle), "birch")
        + _box((depth, WIDTH, BOARD), (back, 0, TOP - BOARD / 2), "walnut")
        + _box((WALL, WIDTH - 2 * WALL, height), (-(DEPTH - WALL) / 2, 0, middle), "chest_gap")
        + _box((depth, WIDTH - 2 * WALL, rail - FOOT), (back, 0, (rail + FOOT) / 2), "birch")
        + _box((FRONT, *LOWER), (FACE - FRONT / 2, 0, LOWER_MIDDLE), "brick")
    )
    feet = "".join(
        f'<geom type="sphere" size="0.012" pos="{x} {y} 0.012" material="walnut" friction="1 0.01 0.0005"/>'
        for x in (-0.060, 0.050)
        for y in (-0.080, 0.080)
    )
    return f"""
      {boards}
      <geom type="mesh" mesh="chest_lower" pos="{FACE + 0.0004} 0 {LOWER_MIDDLE}" material="chest_lower" {VISUAL}/>
      <geom type="mesh" mesh="chest_top" pos="{back} 0 {TOP + 0.0004}" xyaxes="0 0 1 0 1 0"
        material="chest_top" {VISUAL}/>
      <geom type="mesh" mesh="chest_side" pos="{back} {-WIDTH / 2 - 0.0004} {middle}" xyaxes="0 -1 0 1 0 0"
        material="chest_left" {VISUAL}/>
      <geom type="mesh" mesh="chest_side" pos="{back} {WIDTH / 2 + 0.0004} {middle}" xyaxes="0 1 0 -1 0 0"
        material="chest_right" {VISUAL}/>
      {_knobs(FACE, LOWER_MIDDLE)}
      <geom type="box" size="{depth / 2} {WIDTH / 2} {(TOP - FOOT) / 2}" pos="{back} 0 {(TOP + FOOT) / 2}" {CONTACT}/>
      {feet}"""


def _knobs(face: float, height: float) -> str:
    return "".join(
        f'<geom type="capsule" size="0.0035" fromto="{face - 0.002} {y} {height} {face + 0.008} {y} {height}" '
        f'material="knob" {VISUAL}/>'
        f'<geom type="sphere" size="0.009" pos="{face + 0.014} {y} {height}" material="knob"/>'
        for y in (-KNOB, KNOB)
    )


def _drawer() -> str:
    (width, height), (depth, across, deep) = UPPER, BOX
    behind, level = -FRONT - depth / 2, RIM - 0.014  # middle of the box; height of what lies in it
    boards = (
        _box((FRONT, width, height), (-FRONT / 2, 0, 0), "indigo")
        + _box((depth, WALL, deep), (behind, -(across - WALL) / 2, RIM - deep / 2), "birch")
        + _box((depth, WALL, deep), (behind, (across - WALL) / 2, RIM - deep / 2), "birch")
        + _box((WALL, across, deep), (-FRONT - depth + WALL / 2, 0, RIM - deep / 2), "birch")
    )
    inertia = meshes.box_inertia(DRAWER_MASS, depth, width, height)
    return f"""
      <body name="{DRAWER_BODY}" pos="{FACE} 0 {UPPER_MIDDLE}">
        <joint name="{DRAWER_JOINT}" type="slide" axis="1 0 0" range="0 {WIDEST}" limited="true"
          damping="{DAMPING}" frictionloss="{FRICTION}" solreflimit="0.01 1"/>
        <inertial pos="{behind} 0 0" mass="{DRAWER_MASS}" diaginertia="{inertia}"/>
        {boards}
        <geom type="mesh" mesh="chest_upper" pos="0.0004 0 0" material="chest_upper" {VISUAL}/>
        <geom type="mesh" mesh="chest_lining" pos="{behind + WALL / 2} 0 {level}" xyaxes="0 0 1 0 1 0"
          material="chest_lining" {VISUAL}/>
        {_spoons(behind, level)}
        {_knobs(0.0, 0.0)}
        <geom type="box" size="{FRONT / 2} {width / 2} {height / 2}" pos="{-FRONT / 2} 0 0" {CONTACT}/>
        <geom type="box" size="{depth / 2} {across / 2} {deep / 2}" pos="{behind} 0 {RIM - deep / 2}" {CONTACT}/>
      </body>"""


def _spoons(x: float, level: float) -> str:
    """Three of them, side by side on the felt; nothing touches them."""
    return "".join(
        f'<geom type="capsule" size="0.003" fromto="{x - 0.040} {y} {level + 0.004} {x + 0.020} {y} {level + 0.004}" '
        f'material="{material}" {VISUAL}/>'
        f'<geom type="ellipsoid" size="0.017 0.010 0.004" pos="{x + 0.034} {y} {level + 0.005}" material="{material}" '
        f"{VISUAL}/>"
        for y, material in ((0.018, "walnut"), (0.042, "steel"), (0.066, "birch"))
    )

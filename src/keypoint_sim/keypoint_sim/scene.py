"""Puts robot, table and task objects together into one MuJoCo model."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_sim.robots import RobotSpec
from keypoint_sim.textures import SIZE

TABLE_TEXTURE, WALL_TEXTURE = "table", "wall"
KEY_LIGHT, FILL_LIGHT = 0, 1  # indices into the model's lights
KEY_LIGHTS = (0, 2, 3)  # of the key lights; all but the first are off unless a look has them

# Geoms of group 3 are for contact only: neither rendered nor hit by rays.
COLLISION_GROUP = 3

LOWEST_COLUMN = 0.05  # a base lower than this stands on a plate [m]

BENCH = f"""
<mujoco model="bench">
  <compiler angle="radian"/>
  <option timestep="0.002" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <statistic center="0.2 0 0.15" extent="1.1"/>
  <visual>
    <map znear="0.05" zfar="8" shadowclip="1" shadowscale="1"/>
    <quality offsamples="0" shadowsize="1024" numslices="24" numstacks="6" numquads="1"/>
    <headlight ambient="0 0 0" diffuse="0 0 0" specular="0 0 0" active="0"/>
    <global offwidth="1280" offheight="720"/>
  </visual>
  <asset>
    <texture name="{TABLE_TEXTURE}" type="2d" builtin="flat" width="{SIZE}" height="{SIZE}"/>
    <texture name="{WALL_TEXTURE}" type="2d" builtin="flat" width="{SIZE}" height="{SIZE}"/>
    <material name="table" texture="{TABLE_TEXTURE}" texrepeat="3 3" specular="0.15" shininess="0.4"/>
    <material name="wall" texture="{WALL_TEXTURE}" texrepeat="5 12.5" specular="0.02" shininess="0.1"/>
    <material name="rail" rgba="0.78 0.79 0.80 1" specular="0.5" shininess="0.5"/>
    <material name="rubber" rgba="0.16 0.16 0.17 1" specular="0.1"/>
    <material name="column" rgba="0.30 0.31 0.33 1" specular="0.3" shininess="0.4"/>
    <material name="steel" rgba="0.55 0.57 0.60 1" specular="0.6" shininess="0.6"/>
    <material name="bin_blue" rgba="0.16 0.34 0.55 1" specular="0.3" shininess="0.3"/>
    <material name="bin_yellow" rgba="0.84 0.62 0.16 1" specular="0.3" shininess="0.3"/>
    <material name="paper" rgba="0.93 0.92 0.88 1" specular="0.05"/>
  </asset>
  <default>
    <geom contype="2" conaffinity="3" friction="0.8 0.01 0.0005" solref="0.005 1" group="1"/>
    <default class="decor"><geom contype="0" conaffinity="0"/></default>
  </default>
  <worldbody>
    <light name="key" directional="true" pos="0.9 -0.8 2" dir="-0.3 0.4 -1" castshadow="true"/>
    <light name="fill" directional="true" pos="1 1 2" dir="-0.7 -0.4 -0.6" castshadow="false"/>
    <light name="key2" directional="true" pos="0.9 0.8 2" dir="-0.3 -0.4 -1" castshadow="true" active="false"/>
    <light name="key3" directional="true" pos="0.9 0 2" dir="-0.3 0 -1" castshadow="true" active="false"/>
    <geom name="table" type="box" size="1.1 1.3 0.02" pos="0.4 0 -0.02" material="table"/>
    <geom class="decor" type="plane" size="2.2 5.5 0.1" pos="-0.69 0 1.0" zaxis="1 0 0" material="wall"/>
    <geom class="decor" type="box" size="0.012 1.3 0.025" pos="-0.68 0 0.025" material="column"/>
    <geom class="decor" type="box" size="0.07 0.10 0.055" pos="-0.52 -0.62 0.055" material="bin_blue"/>
    <geom class="decor" type="box" size="0.06 0.09 0.004" pos="-0.52 -0.62 0.108" material="rubber"/>
    <geom class="decor" type="box" size="0.07 0.10 0.055" pos="-0.52 -0.40 0.055" material="bin_yellow"/>
    <geom class="decor" type="box" size="0.06 0.09 0.004" pos="-0.52 -0.40 0.108" material="rubber"/>
    <geom class="decor" type="cylinder" size="0.036 0.045" pos="-0.42 0.56 0.045" material="paper"/>
    <geom class="decor" type="cylinder" size="0.031 0.002" pos="-0.42 0.56 0.0895" material="rubber"/>
    <geom class="decor" type="box" size="0.02 0.16 0.022" pos="-0.56 0.48 0.022" material="paper"/>
  </worldbody>
</mujoco>
"""


def compose(documents: Iterable[str]) -> ET.Element:
    """One MJCF document of several: sections of the same name are joined, in order."""
    root = ET.Element("mujoco", model="world")
    for text in documents:
        for section in ET.fromstring(text):
            found = root.find(section.tag)
            if found is None or section.tag == "option":
                root.append(section)
            else:
                found.extend(list(section))
    return root


def pedestal(robot: RobotSpec) -> str:
    """The column that carries the robot's base; a plate for one that stands on the table."""
    x, y, z = robot.base
    half = z / 2
    if z < LOWEST_COLUMN:
        return f"""
    <mujoco><worldbody>
      <geom class="decor" type="box" size="0.15 0.13 {half}" pos="{x - 0.03} {y} {half}" material="steel"/>
    </worldbody></mujoco>"""
    return f"""
    <mujoco><worldbody>
      <geom class="decor" type="box" size="0.045 0.045 {half - 0.008}" pos="{x} {y} {half}" material="column"/>
      <geom class="decor" type="box" size="0.09 0.09 0.006" pos="{x} {y} 0.006" material="steel"/>
      <geom class="decor" type="box" size="0.07 0.07 0.005" pos="{x} {y} {z - 0.005}" material="steel"/>
    </worldbody></mujoco>"""


def build_model(robot: RobotSpec, objects: str, additions: Iterable[str] = ()) -> mujoco.MjModel:
    """Compiles the scene of one robot, one task's objects and what is added to them (MJCF documents)."""
    root = compose([BENCH, robot.mjcf(), pedestal(robot), objects, *additions])
    base = root.find(f".//body[@name='{robot.base_body}']")
    if base is None:
        raise InputError(f"the MJCF of robot '{robot.name}' has no body '{robot.base_body}'")
    base.set("pos", " ".join(map(str, robot.base)))
    return mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))


def set_texture(model: mujoco.MjModel, name: str, image: NDArray[np.uint8]) -> int:
    """Writes an RGB image into the model's texture of that name and returns the texture's id.

    Raises:
        InputError: the image does not have the texture's size.
    """
    texture = model.texture(name)
    shape = (int(texture.height[0]), int(texture.width[0]), int(texture.nchannel[0]))
    if image.shape != shape:
        raise InputError(f"texture '{name}' takes an image {shape}, got {image.shape}")
    start = int(texture.adr[0])
    model.tex_data[start : start + image.size] = image.ravel()
    return int(texture.id)

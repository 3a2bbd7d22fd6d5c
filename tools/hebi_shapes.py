"""What the HEBI arm's elements look like and weigh in MJCF; used by generate_hebi_arm.py.

Shapes are primitives of our own. Inertias are those of solid boxes and tubes of the elements' true mass.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
THICKNESS = {"X8": 0.0451, "X5": 0.03105}  # of an actuator along its axis [m]

# Gripper: a stick that is fixed and one on the seventh actuator's hinge [m].
HINGE_HEIGHT = 0.048
HINGE_OFFSET = 0.018
STICK_LENGTH = 0.2
STICK_RADIUS = 0.003
OPEN, CLOSED = -0.175, -0.646  # [rad], UW's Tycho robot
TCP = np.array([0.0, 0.0, HINGE_HEIGHT + STICK_LENGTH])


@dataclass(frozen=True)
class Solid:
    """An element's mass properties in the frame of the body that carries it: mass, centre [3], inertia [3, 3]."""

    mass: float
    centre: Array
    inertia: Array


def box_inertia(mass: float, x: float, y: float, z: float) -> Array:
    """Inertia [3, 3] of a solid box with these edges [m]."""
    return mass / 12.0 * np.diag([y * y + z * z, x * x + z * z, x * x + y * y])


def element_inertia(kind: str, mass: float) -> Array:
    """Inertia [3, 3] about the centre of mass, in the element's axes."""
    if kind in THICKNESS:
        return box_inertia(mass, 0.11, 0.075, THICKNESS[kind])
    edges = {"tube": (0.36, 0.035, 0.035), "heavy": (0.07, 0.08, 0.06), "light": (0.06, 0.06, 0.06)}[kind]
    return box_inertia(mass, *edges)


def combine(solids: list[Solid]) -> Solid:
    """One solid of many, by the parallel axis theorem."""
    mass = sum(s.mass for s in solids)
    centre = sum((s.mass * s.centre for s in solids), np.zeros(3)) / mass
    inertia = np.zeros((3, 3))
    for s in solids:
        d = s.centre - centre
        inertia += s.inertia + s.mass * (d @ d * np.eye(3) - np.outer(d, d))
    return Solid(mass, centre, inertia)


def numbers(values: object) -> str:
    """Space-separated at full precision."""
    return " ".join(repr(float(v)) if abs(v) > 1e-15 else "0" for v in np.atleast_1d(np.asarray(values, dtype=float)))


def quaternion(rotation: Array) -> Array:
    """Quaternion [w, x, y, z] of a rotation matrix, w >= 0."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    return np.array([w, x, y, z]) * (1.0 if w >= 0 else -1.0)


def add_inertial(body: ET.Element, solid: Solid) -> None:
    """MJCF inertial with the full tensor."""
    i = solid.inertia
    full = (i[0, 0], i[1, 1], i[2, 2], i[0, 1], i[0, 2], i[1, 2])
    ET.SubElement(
        body,
        "inertial",
        pos=numbers(solid.centre),
        mass=repr(float(solid.mass)),
        fullinertia=numbers(np.round(full, 12)),
    )


def add_geom(body: ET.Element, frame: Array, position: tuple[float, ...], **attributes: str) -> None:
    """A geom at `position` of an element whose frame [4, 4] is given in the body."""
    placed = frame[:3, :3] @ np.asarray(position) + frame[:3, 3]
    ET.SubElement(body, "geom", pos=numbers(np.round(placed, 9)), quat=numbers(quaternion(frame[:3, :3])), **attributes)


def add_actuator_shape(body: ET.Element, frame: Array, kind: str) -> None:
    """A dark housing with two rounded ends, a lid and the bright output flange."""
    half, radius, reach = THICKNESS[kind] / 2, 0.0365, 0.036
    for x in (0.0, -reach):
        add_geom(
            body, frame, (x, 0, half), type="cylinder", size=numbers((radius, half - 0.001)), **{"class": "housing"}
        )
    size = numbers((reach / 2, radius, half - 0.001))
    add_geom(body, frame, (-reach / 2, 0, half), type="box", size=size, **{"class": "housing"})
    lid = numbers((0.02, 0.024, 0.0008))
    add_geom(body, frame, (-reach / 2 - 0.012, 0, 2 * half - 0.0008), type="box", size=lid, **{"class": "accent"})
    flange = numbers((0.024, 0.0025))
    add_geom(body, frame, (0, 0, 2 * half - 0.0015), type="cylinder", size=flange, **{"class": "aluminium"})


def add_tube_shape(body: ET.Element, frame: Array) -> None:
    """A tube of 32 mm with a clamp at each end."""
    along = frame.copy()
    along[:3, :3] = frame[:3, :3] @ Rotation.from_euler("y", 90, degrees=True).as_matrix()
    along[:3, 3] += frame[:3, :3] @ np.array([0.1625, 0, 0.02])
    add_geom(body, along, (0, 0, 0), type="cylinder", size=numbers((0.016, 0.145)), **{"class": "tube"})
    for x in (0.0, 0.325):
        add_geom(body, frame, (x, 0, 0.02), type="cylinder", size=numbers((0.026, 0.0199)), **{"class": "clamp"})
    for z in (-0.135, 0.135):
        add_geom(body, along, (0, 0, z), type="cylinder", size=numbers((0.0185, 0.012)), **{"class": "clamp"})


def add_bracket_shape(body: ET.Element, frame: Array, kind: str) -> None:
    """Two plates at a right angle."""
    width, depth, height, t = (0.034, 0.0375, 0.055, 0.004) if kind == "heavy" else (0.026, 0.043, 0.04, 0.003)
    size = numbers((width, depth / 2 + width / 2, t))
    add_geom(body, frame, (0, -depth / 2 + width / 2, t), type="box", size=size, **{"class": "aluminium"})
    size = numbers((width, t, height / 2 + width / 2))
    add_geom(body, frame, (0, -depth + t, height / 2 + width / 2), type="box", size=size, **{"class": "aluminium"})


def add_shape(body: ET.Element, frame: Array, kind: str) -> None:
    """What an element looks like, in the frame [4, 4] that it has in its body."""
    if kind in THICKNESS:
        add_actuator_shape(body, frame, kind)
    elif kind == "tube":
        add_tube_shape(body, frame)
    else:
        add_bracket_shape(body, frame, kind)


def stick_inertial(body: ET.Element, direction: Array, start: Array) -> None:
    """15 g of wood, spread along a stick."""
    along = np.outer(direction, direction)
    inertia = 0.015 * STICK_LENGTH**2 / 12 * (np.eye(3) - along) + 1e-6 * np.eye(3)
    add_inertial(body, Solid(0.015, start + direction * STICK_LENGTH / 2, inertia))


def add_stick(body: ET.Element, start: Array, end: Array) -> None:
    """One chopstick: a slim rod that tapers in two steps, ending in the tip that touches."""
    middle = start + 0.45 * (end - start)
    common = {"class": "stick", "type": "capsule"}
    ET.SubElement(body, "geom", fromto=numbers([*start, *middle]), size=numbers(STICK_RADIUS + 0.0012), **common)
    ET.SubElement(body, "geom", fromto=numbers([*middle, *end]), size=numbers(STICK_RADIUS), **common)


def add_gripper(wrist: ET.Element) -> Solid:
    """Seventh actuator, a fixed and a hinged stick on the last joint's flange; returns the fixed part's mass."""
    frame = np.eye(4)
    add_geom(wrist, frame, (0, 0, 0.003), type="cylinder", size=numbers((0.03, 0.003)), **{"class": "aluminium"})
    add_geom(wrist, frame, (0, 0, 0.024), type="box", size=numbers((0.034, 0.0155, 0.018)), **{"class": "housing"})
    add_geom(wrist, frame, (0, 0, 0.024), type="box", size=numbers((0.024, 0.0162, 0.010)), **{"class": "accent"})
    add_geom(
        wrist,
        frame,
        (-HINGE_OFFSET, 0, 0.046),
        type="box",
        size=numbers((0.007, 0.010, 0.009)),
        **{"class": "aluminium"},
    )
    tip = TCP + np.array([-STICK_RADIUS, 0, -STICK_RADIUS])
    add_stick(wrist, np.array([-HINGE_OFFSET, 0, HINGE_HEIGHT]), tip)
    ET.SubElement(wrist, "site", name="tcp", pos=numbers(TCP), size="0.002", group="4")
    finger = ET.SubElement(
        wrist, "body", name="moving_stick", pos=numbers((HINGE_OFFSET, 0, HINGE_HEIGHT)), gravcomp="1"
    )
    # Closed, the stick leans over so far that both tips touch; the hinge then reads CLOSED.
    lean = np.arctan2(HINGE_OFFSET - STICK_RADIUS, STICK_LENGTH - STICK_RADIUS)
    angle = -lean - CLOSED
    direction = np.array([np.sin(angle), 0, np.cos(angle)])
    ET.SubElement(finger, "joint", name="chopsticks", axis="0 1 0", range="-0.7 -0.1", damping="0.02", armature="0.002")
    stick_inertial(finger, direction, np.zeros(3))
    across = numbers(quaternion(Rotation.from_euler("x", 90, degrees=True).as_matrix()))
    ET.SubElement(finger, "geom", type="cylinder", size="0.009 0.011", quat=across, **{"class": "aluminium"})
    add_stick(finger, np.zeros(3), direction * np.hypot(HINGE_OFFSET - STICK_RADIUS, STICK_LENGTH - STICK_RADIUS))
    return Solid(0.36, np.array([-0.004, 0, 0.03]), box_inertia(0.36, 0.07, 0.04, 0.08))


def add_defaults(root: ET.Element) -> None:
    """Classes of looks and contact: the arm (1) touches the scene (2) but never itself."""
    top = ET.SubElement(root, "default")
    arm = ET.SubElement(top, "default", {"class": "arm"})
    ET.SubElement(arm, "geom", contype="1", conaffinity="0", group="2")
    for name, material in (
        ("housing", "housing"),
        ("accent", "accent"),
        ("aluminium", "aluminium"),
        ("tube", "aluminium"),
        ("clamp", "clamp"),
    ):
        ET.SubElement(ET.SubElement(arm, "default", {"class": name}), "geom", material=material)
    stick = ET.SubElement(arm, "default", {"class": "stick"})
    ET.SubElement(stick, "geom", material="stick", condim="4", friction="0.8 0.01 0.0005", solref="0.004 1")
    asset = ET.SubElement(root, "asset")
    for name, rgba, shine in (
        ("housing", "0.17 0.175 0.19 1", "0.35"),
        ("accent", "0.62 0.11 0.10 1", "0.3"),
        ("aluminium", "0.74 0.75 0.77 1", "0.6"),
        ("clamp", "0.24 0.25 0.27 1", "0.4"),
        ("stick", "0.55 0.36 0.20 1", "0.2"),
    ):
        ET.SubElement(asset, "material", name=name, rgba=rgba, specular=shine, shininess="0.5")

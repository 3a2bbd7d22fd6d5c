"""What the stack knows about a robot arm: its chain, limits, home and gripper, read from one YAML."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from keypoint_core.errors import InputError, UnknownNameError
from keypoint_core.types import Float64

DEFAULT_ROBOT = "hebi_chopsticks"
SHORT_NAMES = {"hebi": DEFAULT_ROBOT}


@dataclass(frozen=True)
class JointDescription:
    """One revolute joint.

    Attributes:
        name: of the joint.
        origin: [4, 4] parent to joint frame at zero [m].
        axis: [3] unit vector in the joint frame.
        lower, upper: position limits [rad].
        velocity, acceleration: limits [rad/s], [rad/s^2].
        effort: limit [N m].
    """

    name: str
    origin: Float64
    axis: Float64
    lower: float
    upper: float
    velocity: float
    acceleration: float
    effort: float


@dataclass(frozen=True)
class GripperDescription:
    """The gripper's joint; positions in the driver's unit (rad for chopsticks, m for parallel fingers)."""

    name: str
    open: float
    closed: float
    velocity: float

    @property
    def range(self) -> tuple[float, float]:
        """Lower and upper limit."""
        return min(self.open, self.closed), max(self.open, self.closed)


@dataclass(frozen=True)
class ArmDescription:
    """A serial arm with a tool.

    Attributes:
        name: of the robot.
        joints: D joints, base to tool.
        tool: [4, 4] last joint to tool centre point (TCP) [m].
        home: [D] posture in which the camera sees the scene [rad].
        gripper: None without one.
        gripper_home: gripper position at home, in the driver's unit.
    """

    name: str
    joints: tuple[JointDescription, ...]
    tool: Float64
    home: Float64
    gripper: GripperDescription | None
    gripper_home: float

    @property
    def joint_names(self) -> list[str]:
        """D names, base to tool."""
        return [joint.name for joint in self.joints]

    @property
    def lower(self) -> Float64:
        """[D] lower position limits [rad]."""
        return np.array([joint.lower for joint in self.joints])

    @property
    def upper(self) -> Float64:
        """[D] upper position limits [rad]."""
        return np.array([joint.upper for joint in self.joints])

    @property
    def velocity(self) -> Float64:
        """[D] velocity limits [rad/s]."""
        return np.array([joint.velocity for joint in self.joints])

    @property
    def acceleration(self) -> Float64:
        """[D] acceleration limits [rad/s^2]."""
        return np.array([joint.acceleration for joint in self.joints])


def robot_name(name: str) -> str:
    """The robot's full name for a short one; any other name as it is."""
    return SHORT_NAMES.get(name, name)


def known_robots() -> list[str]:
    """Names of the robots that ship with the stack."""
    return sorted(
        path.name[: -len(".yaml")]
        for path in resources.files("keypoint_core.robots").iterdir()
        if path.name.endswith(".yaml")
    )


def load_arm(name_or_path: str | Path) -> ArmDescription:
    """Reads a robot by its name, full or short, or from a YAML file of the same form.

    Raises:
        UnknownNameError: no such robot; the message lists the known ones.
        InputError: the file lacks a field or holds a wrong number of values.
    """
    path, name = Path(name_or_path), robot_name(str(name_or_path))
    if path.suffix == ".yaml":
        text = _read(path)
    elif name in known_robots():
        text = (resources.files("keypoint_core.robots") / f"{name}.yaml").read_text()
    else:
        raise UnknownNameError("robot", str(name_or_path), known_robots())
    try:
        return _parse(yaml.safe_load(text))
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"robot '{name_or_path}': missing or malformed field {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise InputError(f"robot '{path}': the file cannot be read: {error}") from error


def _parse(data: dict[str, Any]) -> ArmDescription:
    joints = tuple(_parse_joint(joint) for joint in data["joints"])
    home = np.array(data["home"], dtype=np.float64)
    if home.shape != (len(joints),):
        raise InputError(f"robot '{data['name']}': home needs {len(joints)} positions, got {len(home)}")
    gripper = data.get("gripper")
    return ArmDescription(
        name=data["name"],
        joints=joints,
        tool=_transform(data["tool"]),
        home=home,
        gripper=GripperDescription(**gripper) if gripper else None,
        gripper_home=float(data.get("gripper_home", float("nan"))),
    )


def _parse_joint(joint: dict[str, Any]) -> JointDescription:
    limits = {key: float(joint[key]) for key in ("lower", "upper", "velocity", "acceleration", "effort")}
    axis = np.array(joint["axis"], dtype=np.float64)
    return JointDescription(name=joint["name"], origin=_transform(joint), axis=axis, **limits)


def _transform(data: dict[str, Any]) -> Float64:
    """[4, 4] from xyz [m] and quat (w, x, y, z)."""
    w, x, y, z = np.array(data["quat"], dtype=np.float64) / np.linalg.norm(data["quat"])
    transform = np.eye(4)
    transform[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    transform[:3, 3] = data["xyz"]
    return transform

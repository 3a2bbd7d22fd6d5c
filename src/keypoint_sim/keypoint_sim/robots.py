"""The arms that the world can hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.arms.description import ArmDescription, GripperDescription, load_arm, robot_name
from keypoint_core.errors import InputError, UnknownNameError
from keypoint_core.types import Float64
from keypoint_sim.grippers import Chopsticks, Gripper, ParallelFingers

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class RobotSpec:
    """One arm: where its files are and where it stands.

    Attributes:
        name: of its kinematic chain in keypoint_core/robots.
        base_body: root body of its MJCF.
        tcp_site: site of its MJCF at the tool centre point, z outward.
        base: position of the base in the world [m], axes parallel to the world's.
        make_gripper: geometry of the gripper, from its description.
    """

    name: str
    base_body: str
    tcp_site: str
    base: tuple[float, float, float]
    make_gripper: Callable[[GripperDescription], Gripper]

    def mjcf(self) -> str:
        """The MJCF document."""
        return (ASSETS / f"{self.name}.xml").read_text()

    def description(self) -> ArmDescription:
        """Joints, limits and home."""
        return load_arm(self.name)

    def gripper(self) -> Gripper:
        """Geometry of the gripper.

        Raises:
            InputError: the description has no gripper.
        """
        description = self.description().gripper
        if description is None:
            raise InputError(f"robot '{self.name}' has no gripper in its description; every simulated robot needs one")
        return self.make_gripper(description)


@dataclass(frozen=True)
class ArmAddresses:
    """Where an arm's numbers lie in MuJoCo's arrays.

    Attributes:
        qpos, dof, servos: [D] indices of joint positions, velocities and position servos.
        gripper_qpos, gripper_servo: the gripper's.
        lead: [D] seconds by which a servo trails a moving target without velocity feed-forward.
    """

    qpos: NDArray[np.int64]
    dof: NDArray[np.int64]
    servos: NDArray[np.int64]
    gripper_qpos: int
    gripper_servo: int
    lead: Float64

    @classmethod
    def find(cls, model: mujoco.MjModel, arm: ArmDescription) -> ArmAddresses:
        """Looks the arm's joints up in a model; the servos carry their joints' names."""
        names, gripper = arm.joint_names, arm.gripper.name
        servos = np.array([int(model.actuator(name).id) for name in names])
        return cls(
            qpos=np.array([int(model.joint(name).qposadr[0]) for name in names]),
            dof=np.array([int(model.joint(name).dofadr[0]) for name in names]),
            servos=servos,
            gripper_qpos=int(model.joint(gripper).qposadr[0]),
            gripper_servo=int(model.actuator(gripper).id),
            lead=model.actuator_biasprm[servos, 2] / model.actuator_biasprm[servos, 1],
        )


ROBOTS = {
    "hebi_chopsticks": RobotSpec(
        "hebi_chopsticks", base_body="hebi_base", tcp_site="tcp", base=(0.0, 0.0, 0.24), make_gripper=Chopsticks
    ),
    "franka": RobotSpec(
        "franka",
        base_body="franka_base",
        tcp_site="tcp",
        base=(-0.05, 0.0, 0.012),
        make_gripper=partial(ParallelFingers, tip=(0.007, 0.00875)),
    ),
}


def load_robot(name: str) -> RobotSpec:
    """The robot of that name, or of a short one (see `robot_name`).

    Raises:
        UnknownNameError: no such robot; the message lists the known ones.
    """
    full = robot_name(name)
    if full not in ROBOTS:
        raise UnknownNameError("robot", name, list(ROBOTS))
    return ROBOTS[full]

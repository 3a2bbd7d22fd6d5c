"""What every task provides, and what it says about a running scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import mujoco
import numpy as np

from keypoint_core.errors import InputError
from keypoint_core.types import Float64
from keypoint_sim.grippers import Gripper

TOOL_DOWN = np.diag([1.0, -1.0, -1.0])  # z of the TCP down, its x along the world's


class Outcome(IntEnum):
    """How a trial stands; the numbers are those of TaskStatus.msg."""

    RUNNING = 0
    SUCCESS = 1
    FAILURE = 2


@dataclass(frozen=True)
class TaskStatus:
    """The simulation's verdict. Privileged: for measuring, never for acting.

    Attributes:
        outcome: how the trial stands.
        reason: why it failed, in words; empty otherwise.
        elapsed: since the scene was put up [s].
    """

    outcome: Outcome
    reason: str = ""
    elapsed: float = 0.0


@dataclass(frozen=True)
class Tool:
    """The tool of the arm, measured, or on the way in an expert's own plan.

    Attributes:
        position: of the TCP in the world [m].
        rotation: [3, 3] of the TCP in the world; z out of the tool, the fingers close along x.
        opening: measured gap between the fingers [m].
        gripper: geometry of the fingers.
        start: position [3] that the plan began at, which is measured; None where `position` itself is. A plan goes
            through what it pushes, for nothing yields in a plan; this tells on which side of it the tool really is.
    """

    position: Float64
    rotation: Float64
    opening: float
    gripper: Gripper
    start: Float64 | None = None


@dataclass(frozen=True)
class Waypoint:
    """Where an expert wants the tool next.

    Attributes:
        position: of the TCP in the world [m].
        speed: upper limit on the way there [m/s].
        opening: gap between the fingers [m]; 0 squeezes what is between.
        rotation: [3, 3] of the TCP in the world.
        turn_speed: upper limit of the turn [rad/s].
    """

    position: Float64
    speed: float
    opening: float = 0.0
    rotation: Float64 = field(default_factory=TOOL_DOWN.copy)
    turn_speed: float = 1.5


def tool_down(yaw: float) -> Float64:
    """Rotation [3, 3] of a tool that points straight down, its x turned by yaw [rad] from the world's."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ TOOL_DOWN


@dataclass(frozen=True)
class Placement:
    """An object that stands somewhere on the table, and where that may be.

    Attributes:
        name: of the object, in words.
        joint: name of the free joint of its body; the body's frame lies on the table, z up.
        low, high: ranges of x [m], y [m], yaw [rad] that both arms reach.
        riders: free joints of bodies that lie on the object and move with it.
    """

    name: str
    joint: str
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    riders: tuple[str, ...] = ()

    def sample(self, rng: np.random.Generator) -> Float64:
        """Draws (x, y, yaw) evenly."""
        return rng.uniform(self.low, self.high)

    def check(self, pose: Float64) -> None:
        """Raises InputError that holds the ranges unless the pose (x, y, yaw) is within them."""
        if not (np.isfinite(pose).all() and (pose >= self.low).all() and (pose <= self.high).all()):
            (x, y, yaw), low, high = pose, self.low, self.high
            raise InputError(
                f"{self.name} at x {x:.3f} m, y {y:.3f} m, yaw {np.rad2deg(yaw):.1f} deg is out of reach; "
                f"reachable: x {low[0]:.2f}..{high[0]:.2f} m, y {low[1]:.2f}..{high[1]:.2f} m, "
                f"yaw {np.rad2deg(low[2]):.0f}..{np.rad2deg(high[2]):.0f} deg"
            )


class Task(ABC):
    """One task: its objects, their poses, its verdict and what its expert wants.

    Attributes:
        name: in the registry.
        time_limit: [s] of simulated time.
        placements: the objects that are placed; the first is the one that the task is about (and that is nudged).
        regions: name of a region of the objects' surface -> bodies that make it up; candidates for keypoints.
        failures: the reasons that `judge` may give.
    """

    name: str
    time_limit: float
    placements: tuple[Placement, ...]
    regions: Mapping[str, tuple[str, ...]]
    failures: tuple[str, ...]

    @property
    def bodies(self) -> tuple[str, ...]:
        """Bodies whose surface carries keypoints."""
        return tuple(body for bodies in self.regions.values() for body in bodies)

    @abstractmethod
    def mjcf(self) -> str:
        """MJCF document of the task's objects."""

    @abstractmethod
    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the objects' textures and remembers the model's addresses; called again when the model is rebuilt."""

    @abstractmethod
    def keep(self, data: mujoco.MjData) -> None:
        """Takes the objects' present positions as those to be kept; called by `reset`, and after a nudge."""

    @abstractmethod
    def forget(self) -> None:
        """Forgets what happened before this trial."""

    @abstractmethod
    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Looks at the state after a control tick; returns the outcome and, on failure, one of `failures`."""

    @abstractmethod
    def waypoint(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """The expert's wish with the tool as it is. Reads the scene from `data`, the tool from `tool` only."""

    @abstractmethod
    def target(self, data: mujoco.MjData) -> Float64:
        """Point [3] in the world that the tool has to approach first [m]."""

    def keep_out(self, poses: Float64) -> Float64:
        """Circles [M, 3] (x, y, radius) [m] on the table that other objects must stay out of, for poses [K, 3]."""
        return np.array([[x, y, 0.12] for x, y, _ in poses])

    def sample(self, rng: np.random.Generator) -> Float64:
        """Draws poses [K, 3] (x, y, yaw) of the placed objects; overridden where objects must keep a distance."""
        return np.stack([placement.sample(rng) for placement in self.placements])

    def nominal(self) -> Float64:
        """Poses [K, 3] of the reference view: the middle of the ranges."""
        return np.array([np.add(p.low, p.high) / 2 for p in self.placements])

    def check(self, poses: Float64) -> Float64:
        """Poses [K, 3] as given.

        Raises:
            InputError: their number is wrong, or one is out of reach; the message holds the ranges.
        """
        poses = np.asarray(poses, dtype=np.float64)
        if poses.shape != (len(self.placements), 3):
            names = ", ".join(p.name for p in self.placements)
            raise InputError(f"poses must be [{len(self.placements)}, 3] (x, y, yaw of {names}), got {poses.shape}")
        for placement, pose in zip(self.placements, poses, strict=True):
            placement.check(pose)
        return poses

    def place(self, data: mujoco.MjData, poses: Float64) -> None:
        """Stands the objects at poses [K, 3], at rest, with what lies on them; `data` has just been reset."""
        for placement, (x, y, yaw) in zip(self.placements, poses, strict=True):
            for joint in (placement.joint, *placement.riders):
                move(data.joint(joint).qpos, (x, y), yaw)

    def vary(self, data: mujoco.MjData, rng: np.random.Generator) -> None:  # noqa: B027 (most tasks have nothing to vary)
        """Draws the rest of the initial state (a door's angle, a hand's), after `place`; the reference view has none of it."""

    def reset(self, data: mujoco.MjData) -> None:
        """Starts a trial; called after `place` and `vary`."""
        self.forget()
        self.keep(data)


def move(qpos: Float64, shift: tuple[float, float], yaw: float, about: tuple[float, float] = (0.0, 0.0)) -> None:
    """Turns a free joint's pose [7] by yaw [rad] about a vertical axis, then shifts it [m]; in place."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = qpos[0] - about[0], qpos[1] - about[1]
    qpos[0] = about[0] + c * x - s * y + shift[0]
    qpos[1] = about[1] + s * x + c * y + shift[1]
    turned = np.zeros(4)
    mujoco.mju_mulQuat(turned, np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]), qpos[3:7])
    qpos[3:7] = turned

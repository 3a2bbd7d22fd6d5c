"""What every task provides, and what it says about a running scene."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import mujoco
import numpy as np

from keypoint_core.types import Float64


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
class Waypoint:
    """Where an expert wants the tool next.

    Attributes:
        position: of the TCP in the world [m]; the tool points straight down.
        speed: upper limit on the way there [m/s].
        gripper: in the driver's unit.
    """

    position: Float64
    speed: float
    gripper: float


class Task(Protocol):
    """One task: its objects, their poses, its verdict and what its expert wants."""

    name: str
    time_limit: float  # [s] of simulated time
    bodies: tuple[str, ...]  # bodies whose surface carries keypoints

    def mjcf(self) -> str:
        """MJCF document of the task's objects."""

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the objects' textures and remembers the model's addresses."""

    def place(self, data: mujoco.MjData, pose: Float64) -> None:
        """Puts the object at pose (x [m], y [m], yaw [rad]), at rest."""

    def sample_pose(self, rng: np.random.Generator) -> Float64:
        """Draws a pose (x, y, yaw) within reach."""

    def nominal_pose(self) -> Float64:
        """The pose (x, y, yaw) of the reference view."""

    def reset(self, data: mujoco.MjData) -> None:
        """Forgets what happened; called after `place`."""

    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Looks at the state after a control tick; returns the outcome and, on failure, the reason."""

    def waypoint(self, data: mujoco.MjData, tcp: Float64) -> Waypoint:
        """The expert's wish with the TCP at `tcp` [3] (measured, or on the way in its own plan)."""

"""What tasks that push something shut share: their verdict, and how the tool comes to the face that it pushes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.tasks.base import Outcome, Task, Tool, Waypoint

HOLD = 0.5  # it has to stay closed so long [s]
MAX_SHIFT = 0.02  # of the thing that the door or drawer belongs to [m]
MAX_TURN = np.deg2rad(15)
MAX_TILT = np.deg2rad(15)

# The expert's numbers. Wide gates and a saturated speed make it learnable.
BEFORE = 0.035  # from the face, where it goes down [m]
GATE = 0.020  # horizontal error under which it goes down [m]; less than BEFORE, so never onto the face's upper edge
HOVER = 0.050  # over the pushing height, while far from there [m]
FUNNEL = 2.5  # height over the pushing height that is kept per distance beyond the gate
SAG = 0.012  # so far below that height it goes straight up first [m]
LOW = 0.014  # over the pushing height; lower is down [m]; there a finger's shank, too, is below the face's upper edge
BEHIND = 0.014  # so deep in the face's plane a tool is still taken as before it [m]; behind the face it would be deeper
PRESS = 0.006  # beyond where the shut face stops it [m]; the servo leans on the stop
CLEAR = 0.010  # from the shut face, where the tool begins to rise [m]
TRAVEL_SPEED, DOWN_SPEED, PUSH_SPEED, LEAVE_SPEED = 0.15, 0.10, 0.12, 0.10  # [m/s]


@dataclass(frozen=True)
class Face:
    """An upright face that is to be pushed.

    Attributes:
        spot: where on it to push, in the world [3, m].
        normal: horizontal unit vector out of it [3].
    """

    spot: Float64
    normal: Float64

    def locate(self, tool: Tool, position: Float64) -> tuple[float, float, float]:
        """Where a tool at this position is: before the face, right of the spot (seen from before it), over it [m]."""
        way = position - self.spot
        right = self.normal[0] * way[1] - self.normal[1] * way[0]
        return float(way @ self.normal) - reach(tool, self.normal), float(right), float(way[2])


def reach(tool: Tool, direction: Float64) -> float:
    """Distance [m] from the TCP to the outside of the closed fingers, in a horizontal direction [3]."""
    return float(np.abs(direction @ tool.rotation[:, :2]) @ tool.gripper.shank)


class ClosingTask(Task):
    """Pushes something shut, without moving what it belongs to; remembers since when it is closed.

    Attributes:
        thing: what must not move, in words.
        body, joint: its body; the joint of what is pushed, 0 where that is shut.
        ajar: range of the joint's position at the start [rad or m].
        closed: it counts as closed below this position.
        shut: below this position the expert stops pushing.
        aside: from the spot to the right, between which it may push [m].
        footprint: circles (x, y, radius) [m] in the thing's frame that other objects must stay out of.
    """

    time_limit = 15.0
    thing: str
    body: str
    joint: str
    ajar: tuple[float, float]
    closed: float
    shut: float
    aside: tuple[float, float]
    footprint: tuple[tuple[float, float, float], ...]

    def __init__(self) -> None:
        self._closed_since: float | None = None
        self._start = np.zeros(3)

    @abstractmethod
    def face(self, data: mujoco.MjData, position: float) -> Face:
        """What is pushed, with its joint at a position [rad or m]."""

    @abstractmethod
    def push(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Toward where the tool is when it is shut, from anywhere before it."""

    def bind(self, model: mujoco.MjModel) -> None:
        """Remembers the model's addresses."""
        self._body = int(model.body(self.body).id)
        self._joint = int(model.joint(self.joint).qposadr[0])

    def place(self, data: mujoco.MjData, poses: Float64) -> None:
        """Stands the thing there, open by the middle of its range."""
        super().place(data, poses)
        data.qpos[self._joint] = sum(self.ajar) / 2

    def vary(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Draws how far it is open."""
        data.qpos[self._joint] = rng.uniform(*self.ajar)

    def forget(self) -> None:
        """Forgets since when it is closed."""
        self._closed_since = None

    def keep(self, data: mujoco.MjData) -> None:
        """Takes the thing's present pose as the one to keep."""
        self._start = self._pose(data)

    def keep_out(self, poses: Float64) -> Float64:
        """The thing, and the room that what is open and the tool need."""
        x, y, yaw = poses[0]
        c, s = np.cos(yaw), np.sin(yaw)
        return np.array([[x + c * a - s * b, y + s * a + c * b, radius] for a, b, radius in self.footprint])

    def target(self, data: mujoco.MjData) -> Float64:
        """Where the tool pushes."""
        return self.face(data, data.qpos[self._joint]).spot

    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Success: it stays closed; failure: the thing fell over or slid away."""
        if data.xmat[self._body, 8] < np.cos(MAX_TILT):
            return Outcome.FAILURE, f"{self.thing} knocked over"
        x, y, yaw = self._pose(data) - self._start
        if np.hypot(x, y) > MAX_SHIFT or np.cos(yaw) < np.cos(MAX_TURN):
            return Outcome.FAILURE, f"{self.thing} pushed away"
        if data.qpos[self._joint] >= self.closed:
            self._closed_since = None
        elif self._closed_since is None:
            self._closed_since = data.time
        done = self._closed_since is not None and data.time - self._closed_since >= HOLD
        return (Outcome.SUCCESS if done else Outcome.RUNNING), ""

    def waypoint(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Over everything to a place before the face, down a funnel, on until it is shut, away."""
        face = self.face(data, data.qpos[self._joint])
        if data.qpos[self._joint] <= self.shut:
            return _leave(tool, face)
        # A plan runs into the face, which does not yield in a plan: there it counts where the tool began.
        began = tool.position if tool.start is None else tool.start
        if self._may_push(tool, face, tool.position) or self._may_push(tool, face, began):
            return self.push(data, tool)
        return _approach(tool, face)

    def _may_push(self, tool: Tool, face: Face, position: Float64) -> bool:
        """Whether a tool at this position is down before the face."""
        out, right, height = face.locate(tool, position)
        return out >= -BEHIND and self.aside[0] <= right <= self.aside[1] and height <= LOW

    def _frame(self, data: mujoco.MjData) -> tuple[Float64, Float64]:
        """Position [3] and rotation [3, 3] of the thing in the world."""
        return data.xpos[self._body], data.xmat[self._body].reshape(3, 3)

    def _pose(self, data: mujoco.MjData) -> Float64:
        """Its x [m], y [m], yaw [rad]."""
        position, rotation = self._frame(data)
        return np.array([*position[:2], np.arctan2(rotation[1, 0], rotation[0, 0])])


def _approach(tool: Tool, face: Face) -> Waypoint:
    place = face.spot + (BEFORE + reach(tool, face.normal)) * face.normal
    here = tool.position
    error = float(np.hypot(*(here[:2] - place[:2])))
    if error <= GATE:
        return Waypoint(place, DOWN_SPEED)
    height = place[2] + min(HOVER, FUNNEL * (error - GATE))
    x, y = here[:2] if here[2] < height - SAG else place[:2]
    return Waypoint(np.array([x, y, height]), TRAVEL_SPEED)


def _leave(tool: Tool, face: Face) -> Waypoint:
    """Back from the face, and up; first back, for a tool that leans on it would lift it."""
    out, _, _ = face.locate(tool, tool.position)
    x, y, _ = tool.position + max(0.0, BEFORE - out) * face.normal
    height = face.spot[2] + HOVER * float(np.clip((out - CLEAR) / CLEAR, 0.0, 1.0))
    return Waypoint(np.array([x, y, max(height, tool.position[2])]), LEAVE_SPEED)

"""Turn the hand of a teaching clock by 60 degrees in the asked direction, without moving the clock."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.objects import hand_clock as clock
from keypoint_sim.tasks.base import Outcome, Placement, Task, Tool, Waypoint, tool_down

# Poses: both arms' tools reach all round the hand at every one of them (x [m], y [m], yaw [rad]).
CLOCK = Placement("clock", clock.JOINT, low=(0.35, -0.13, -np.pi / 4), high=(0.55, 0.13, np.pi / 4))
START = np.deg2rad(40)  # the hand starts within so much of the 12, either side

ENOUGH = np.deg2rad(60)
TOO_FAR_BACK = np.deg2rad(30)
MAX_SHIFT = 0.02  # [m]
MAX_TURN = np.deg2rad(15)
MAX_TILT = np.deg2rad(15)

# The expert's numbers. Wide gates and a saturated speed make it learnable.
RADIUS = 0.046  # from the hand's axis, where it pushes [m]
INNER, OUTER = 0.028, 0.062  # and where it may push as well [m]
DEPTH = 0.011  # of the pushing tool's end over the dial [m]; the hand reaches from 4 to 20 mm
LOW = 0.017  # below that it pushes [m]
BEHIND = np.deg2rad(50)  # angle behind the hand at which it goes down
FAR = np.deg2rad(100)  # angle behind the hand up to which it pushes
LEAD = np.deg2rad(30)  # angle ahead of the tool that it pushes toward
GATE = 0.009  # error in the dial's plane under which it goes down [m]
HOVER = 0.048  # over the pushing depth, while far from there [m]
FUNNEL = 2.5  # height over the pushing depth that is kept per distance beyond the gate
SAG = 0.012  # so far below that height it goes straight out of the dial first [m]
# Down, with the wide side of a parallel gripper toward the camera, which then looks through below it: over a trial 95 %
# of the hand stays in view, the other way round 87 %.
CROSSWISE = tool_down(np.pi / 2)
TRAVEL_SPEED, DOWN_SPEED, PUSH_SPEED = 0.13, 0.10, 0.09  # [m/s]
# It pushes until the hand shows this angle, wherever it began: what a student sees says when to stop. From the latest
# start it is just over what is asked.
GOAL = START + ENOUGH + np.deg2rad(10)


class ClockHand(Task):
    """The task, clockwise; holds where the hand was when the trial began."""

    name = "clock_hand"
    time_limit = 15.0
    placements = (CLOCK,)
    regions: Mapping[str, tuple[str, ...]] = {
        "clock": (clock.BODY, clock.FACE_BODY),
        "hand": (clock.HAND_BODY,),
    }
    failures = ("clock knocked over", "clock moved", "hand turned the wrong way")
    sign = 1.0  # of the asked direction, seen from the front; the hand's angle counts clockwise

    def __init__(self) -> None:
        self._start_angle = 0.0
        self._start = np.zeros(3)

    def mjcf(self) -> str:
        """MJCF document of the clock."""
        return clock.mjcf()

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the clock's textures and remembers the model's addresses."""
        clock.paint(model)
        self._body = int(model.body(clock.BODY).id)
        self._face = int(model.body(clock.FACE_BODY).id)
        self._hand = int(model.joint(clock.HAND_JOINT).qposadr[0])

    def vary(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Sets the hand near the 12."""
        data.qpos[self._hand] = rng.uniform(-START, START)

    def reset(self, data: mujoco.MjData) -> None:
        """Starts a trial with the hand where it is."""
        super().reset(data)
        self._start_angle = float(data.qpos[self._hand])

    def forget(self) -> None:
        """Nothing is remembered but where things were, which `reset` takes anew."""

    def keep(self, data: mujoco.MjData) -> None:
        """Takes the clock's present pose as the one to keep."""
        self._start = self._pose(data)

    def target(self, data: mujoco.MjData) -> Float64:
        """Where the tool goes down beside the hand."""
        return self._to_world(data, self._beside(data), DEPTH)

    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Success: turned far enough; failure: the clock moved, or the hand went the other way."""
        if data.xmat[self._body, 8] < np.cos(MAX_TILT):
            return Outcome.FAILURE, "clock knocked over"
        x, y, yaw = self._pose(data) - self._start
        if np.hypot(x, y) > MAX_SHIFT or abs(wrap(yaw)) > MAX_TURN:
            return Outcome.FAILURE, "clock moved"
        turned = self.sign * (data.qpos[self._hand] - self._start_angle)
        if turned < -TOO_FAR_BACK:
            return Outcome.FAILURE, "hand turned the wrong way"
        return (Outcome.SUCCESS if turned >= ENOUGH else Outcome.RUNNING), ""

    def waypoint(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Over the dial to a place behind the hand, down a funnel, then along the arc; out of the dial at the end."""
        height, plane = self._to_face(data, tool.position)
        if self.sign * self._angle(data) >= GOAL:
            return self._go(data, plane, DEPTH + HOVER, DOWN_SPEED)
        if height <= LOW and self._pushes(data, plane):
            ahead = np.arctan2(*plane) + self.sign * LEAD
            return self._go(data, polar(RADIUS, ahead), DEPTH, PUSH_SPEED)
        beside = self._beside(data)
        error = float(np.linalg.norm(plane - beside))
        if error <= GATE:
            return self._go(data, beside, DEPTH, DOWN_SPEED)
        wanted = DEPTH + min(HOVER, FUNNEL * (error - GATE))
        return self._go(data, plane if height < wanted - SAG else beside, wanted, TRAVEL_SPEED)

    def _pushes(self, data: mujoco.MjData, plane: Float64) -> bool:
        """Whether a tool at this place is behind the hand, where going on along the arc turns it."""
        behind = self.sign * wrap(self._angle(data) - np.arctan2(*plane))
        return bool(0 <= behind <= FAR and INNER <= np.linalg.norm(plane) <= OUTER)

    def _beside(self, data: mujoco.MjData) -> Float64:
        return polar(RADIUS, self._angle(data) - self.sign * BEHIND)

    def _angle(self, data: mujoco.MjData) -> float:
        return wrap(data.qpos[self._hand])

    def _pose(self, data: mujoco.MjData) -> Float64:
        """The clock's x [m], y [m], yaw [rad]."""
        rotation = data.xmat[self._body]
        return np.array([*data.xpos[self._body, :2], np.arctan2(rotation[3], rotation[0])])

    def _to_face(self, data: mujoco.MjData, point: Float64) -> tuple[float, Float64]:
        """Height over the dial [m], and place [2] in its plane: to the 3 and to the 12 [m]."""
        out, right, up = data.xmat[self._face].reshape(3, 3).T @ (point - data.xpos[self._face])
        return float(out), np.array([right, up])

    def _to_world(self, data: mujoco.MjData, plane: Float64, height: float) -> Float64:
        rotation = data.xmat[self._face].reshape(3, 3)
        return np.asarray(data.xpos[self._face] + rotation @ np.array([height, *plane]))

    def _go(self, data: mujoco.MjData, plane: Float64, height: float, speed: float) -> Waypoint:
        return Waypoint(self._to_world(data, plane, height), speed, rotation=CROSSWISE)


class ClockHandCounterclockwise(ClockHand):
    """The task, the other way round."""

    name = "clock_hand_counterclockwise"
    sign = -1.0


def polar(radius: float, angle: float) -> Float64:
    """The place [2] in the dial's plane at a distance from its middle [m], clockwise from the 12 [rad]."""
    return radius * np.array([np.sin(angle), np.cos(angle)])


def wrap(angle: float) -> float:
    """The same angle within -pi..pi [rad]."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)

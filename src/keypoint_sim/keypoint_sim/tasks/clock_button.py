"""Press the button on top of a desk clock through its travel and let go, without moving the clock."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.objects import clock
from keypoint_sim.tasks.base import Outcome, Placement, Task, Tool, Waypoint

# Poses: the tool reaches every one of them pointing down (x [m], y [m], yaw [rad]).
CLOCK = Placement("clock", clock.JOINT, low=(0.34, -0.13, -np.pi / 4), high=(0.54, 0.13, np.pi / 4))

PRESSED = 0.90  # part of the travel
RELEASED = 0.30
MAX_TILT = np.deg2rad(15)
MAX_SHIFT = 0.03  # [m]

# The expert's numbers. Wide gates and a saturated speed make it learnable.
GATE = 0.007  # horizontal error under which it goes down [m]
HOVER = 0.045  # over the button, while far from it [m]
FUNNEL = 1.5  # height over the button that is kept per distance beyond the gate
RIM = (
    0.011  # horizontal error up to which a tool that is down already presses where it is; inside the button's edge [m]
)
TOUCH = 0.002  # over the button; lower is down [m]
SAG = 0.01  # so far below that height it goes straight up first [m]
PRESS_DEPTH = 0.012  # below the button's top at rest [m]; more than the travel, so the servo leans on the stop
TRAVEL_SPEED, PRESS_SPEED, RETRACT_SPEED = 0.11, 0.04, 0.06  # [m/s]
# It turns back by what a student can see too, the tool's depth and motion, not by a memory of the press: with one, equal
# observations would have opposite labels, and the student would come to rest halfway.
TURN_BACK = 0.95  # part of the travel
RISING = 0.005  # a pressed button that comes up this fast is being let go [m/s]


class ClockButton(Task):
    """The task; holds the one bit of history that judging needs."""

    name = "clock_button"
    time_limit = 12.0
    placements = (CLOCK,)
    regions: Mapping[str, tuple[str, ...]] = {"clock": (clock.BODY,), "button": (clock.BUTTON_BODY,)}
    failures = ("clock knocked over", "clock pushed away")

    def __init__(self) -> None:
        self.pressed = False
        self._start = np.zeros(3)

    def mjcf(self) -> str:
        """MJCF document of the clock."""
        return clock.mjcf()

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the clock's textures and remembers the model's addresses."""
        clock.paint(model)
        self._body = int(model.body(clock.BODY).id)
        self._pose = int(model.joint(clock.JOINT).qposadr[0])
        self._button = int(model.joint(clock.BUTTON_JOINT).qposadr[0])
        self._button_speed = int(model.joint(clock.BUTTON_JOINT).dofadr[0])

    def forget(self) -> None:
        """Forgets the press."""
        self.pressed = False

    def keep(self, data: mujoco.MjData) -> None:
        """Takes the clock's present position as the one to keep."""
        self._start = data.qpos[self._pose : self._pose + 3].copy()

    def target(self, data: mujoco.MjData) -> Float64:
        """The top of the button at rest."""
        position, rotation = data.xpos[self._body], data.xmat[self._body].reshape(3, 3)
        return np.asarray(position + rotation @ np.array([0, 0, clock.BUTTON_REST]))

    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Success: pressed and released; failure: the clock fell over or slid away."""
        upright = data.xmat[self._body, 8]
        if upright < np.cos(MAX_TILT):
            return Outcome.FAILURE, "clock knocked over"
        shift = data.qpos[self._pose : self._pose + 2] - self._start[:2]
        if np.hypot(*shift) > MAX_SHIFT:
            return Outcome.FAILURE, "clock pushed away"
        depression = clock.depression(data.qpos[self._button])
        self.pressed = self.pressed or depression >= PRESSED
        done = self.pressed and depression <= RELEASED
        return (Outcome.SUCCESS if done else Outcome.RUNNING), ""

    def waypoint(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Down a funnel to the button, press within the gate, turn back at the bottom.

        On the button it presses straight down: there, a student that misjudges the button by some millimetres need not
        know better.
        """
        tcp, top = tool.position, self.target(data)
        if self._turned_back(data):
            return Waypoint(np.array([tcp[0], tcp[1], top[2] + HOVER]), RETRACT_SPEED)
        error = float(np.hypot(*(tcp[:2] - top[:2])))
        if tcp[2] <= top[2] + TOUCH and error <= RIM:
            return Waypoint(np.array([tcp[0], tcp[1], top[2] - PRESS_DEPTH]), PRESS_SPEED)
        if error <= GATE:
            return Waypoint(top - np.array([0, 0, PRESS_DEPTH]), PRESS_SPEED)
        height = top[2] + min(HOVER, FUNNEL * (error - GATE))
        x, y = tcp[:2] if tcp[2] < height - SAG else top[:2]
        return Waypoint(np.array([x, y, height]), TRAVEL_SPEED)

    def _turned_back(self, data: mujoco.MjData) -> bool:
        """Whether the button is at the bottom, or on its way up from there."""
        depression = clock.depression(data.qpos[self._button])
        rising = depression > RELEASED and data.qvel[self._button_speed] > RISING
        return bool(depression >= TURN_BACK or rising)

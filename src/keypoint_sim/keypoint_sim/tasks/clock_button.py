"""Press the button on top of a desk clock through its travel and let go, without moving the clock."""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.objects import clock
from keypoint_sim.tasks.base import Outcome, Waypoint

# Poses: the tool reaches every one of them pointing down (x [m], y [m], yaw [rad]).
POSE_LOW = np.array([0.34, -0.13, -np.pi / 4])
POSE_HIGH = np.array([0.54, 0.13, np.pi / 4])

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
CHOPSTICKS_CLOSED = -0.646  # [rad]
# It turns back by what a student can see too, the tool's depth and motion, not by a memory of the press: with one, equal
# observations would have opposite labels, and the student would come to rest halfway.
TURN_BACK = 0.95  # part of the travel
RISING = 0.005  # a pressed button that comes up this fast is being let go [m/s]


class ClockButton:
    """The task; holds the one bit of history that judging needs."""

    name = "clock_button"
    time_limit = 12.0
    bodies = (clock.BODY, clock.BUTTON_BODY)

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

    def sample_pose(self, rng: np.random.Generator) -> Float64:
        """Draws a pose (x, y, yaw) evenly over the reachable ranges."""
        return rng.uniform(POSE_LOW, POSE_HIGH)

    def nominal_pose(self) -> Float64:
        """The middle of the ranges, facing the camera."""
        return (POSE_LOW + POSE_HIGH) / 2

    def place(self, data: mujoco.MjData, pose: Float64) -> None:
        """Stands the clock at pose (x, y, yaw), at rest."""
        x, y, yaw = pose
        data.qpos[self._pose : self._pose + 7] = [x, y, 0.0, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
        data.qpos[self._button] = 0.0

    def reset(self, data: mujoco.MjData) -> None:
        """Forgets the press and takes the present position as the one to keep."""
        self.pressed = False
        self._start = data.qpos[self._pose : self._pose + 3].copy()

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

    def waypoint(self, data: mujoco.MjData, tcp: Float64) -> Waypoint:
        """Down a funnel to the button, press within the gate, turn back at the bottom.

        On the button it presses straight down: there, a student that misjudges the button by some millimetres need not
        know better.
        """
        position, rotation = data.xpos[self._body], data.xmat[self._body].reshape(3, 3)
        top = position + rotation @ np.array([0, 0, clock.BUTTON_REST])
        if self._turned_back(data):
            return Waypoint(np.array([tcp[0], tcp[1], top[2] + HOVER]), RETRACT_SPEED, CHOPSTICKS_CLOSED)
        error = float(np.hypot(*(tcp[:2] - top[:2])))
        if tcp[2] <= top[2] + TOUCH and error <= RIM:
            return Waypoint(np.array([tcp[0], tcp[1], top[2] - PRESS_DEPTH]), PRESS_SPEED, CHOPSTICKS_CLOSED)
        if error <= GATE:
            return Waypoint(top - np.array([0, 0, PRESS_DEPTH]), PRESS_SPEED, CHOPSTICKS_CLOSED)
        height = top[2] + min(HOVER, FUNNEL * (error - GATE))
        x, y = tcp[:2] if tcp[2] < height - SAG else top[:2]
        return Waypoint(np.array([x, y, height]), TRAVEL_SPEED, CHOPSTICKS_CLOSED)

    def _turned_back(self, data: mujoco.MjData) -> bool:
        """Whether the button is at the bottom, or on its way up from there."""
        depression = clock.depression(data.qpos[self._button])
        rising = depression > RELEASED and data.qvel[self._button_speed] > RISING
        return bool(depression >= TURN_BACK or rising)

"""Lift the lid of a glass teapot by its knob and hold it in the air, without moving the pot."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.objects import teapot
from keypoint_sim.tasks.base import Outcome, Placement, Task, Tool, Waypoint, tool_down

# Poses: both arms reach the knob in every one of them, and lift it, pointing down (x [m], y [m], yaw [rad]).
POT = Placement(
    "teapot",
    teapot.JOINT,
    low=(0.34, -0.13, -np.pi / 4),
    high=(0.54, 0.13, np.pi / 4),
    riders=(teapot.LID_JOINT,),
)

LIFTED = 0.05  # of the lid over where it lies when shut [m]
HOLD = 1.0  # [s]
MAX_SHIFT = 0.02  # of the pot [m]
MAX_TILT = np.deg2rad(15)  # of the pot
DROPPED = -0.02  # a lid that is this far below the rim has fallen off [m]

# The expert's numbers. Wide gates and saturated speeds make it learnable.
WIDTH = 2 * teapot.KNOB_RADIUS
OPEN = 0.044  # gap before the grasp [m]; leaves 13 mm on either side of the knob
OPEN_ENOUGH = 0.036  # gap with which it may go down over the knob [m]
DEPTH = 0.008  # of the TCP below the knob's middle [m]
GATE = 0.007  # horizontal error under which it goes down [m]
HOVER = 0.050  # over the grasp, while far from it [m]
FUNNEL = 1.5  # height over the grasp that is kept per distance beyond the gate
SAG = 0.01  # so far below that height it goes straight up first [m]
DOWN = 0.007  # over the grasp; lower is down [m]
SIDE_GATE = 0.008  # error along the fingers under which they close [m]
MARGIN = 0.002  # gap left between the knob and the stick that stands still, until the other one comes [m]
CLOSE_GATE = 0.005  # error across the gap under which the fingers begin to close [m]
CLOSE_STEP = 0.005  # the gap wanted is this much smaller than the gap measured, so that they close gently [m]
THIN, THICK = -0.004, 0.002  # a gap that differs from the knob's width by this holds it, if it is near [m]
NEAR = 0.012  # distance of a knob that is held from its place between the fingers [m]
LIFT = 0.075  # [m]
TRAVEL_SPEED, DOWN_SPEED, LIFT_SPEED = 0.12, 0.08, 0.10  # [m/s]


class GlassLidLift(Task):
    """The task; judging needs the pot's first position and since when the lid has been up."""

    name = "glass_lid_lift"
    time_limit = 15.0
    placements = (POT,)
    regions: Mapping[str, tuple[str, ...]] = {
        "pot": (teapot.BODY,),
        "lid": (teapot.LID_BODY,),
        "knob": (teapot.KNOB_BODY,),
    }
    failures = ("pot knocked over", "pot moved", "lid dropped")

    def __init__(self) -> None:
        self._start = np.zeros(2)
        self._up_since: float | None = None

    def mjcf(self) -> str:
        """MJCF document of pot and lid."""
        return teapot.mjcf()

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the teapot's textures and remembers the model's addresses."""
        teapot.paint(model)
        self._pot = int(model.body(teapot.BODY).id)
        self._lid = int(model.body(teapot.LID_BODY).id)

    def forget(self) -> None:
        """Forgets since when the lid has been up."""
        self._up_since = None

    def keep(self, data: mujoco.MjData) -> None:
        """Takes the pot's present position as the one to keep."""
        self._start = data.xpos[self._pot, :2].copy()

    def target(self, data: mujoco.MjData) -> Float64:
        """The middle of the knob."""
        return np.asarray(data.xpos[self._lid] + teapot.KNOB_HEIGHT * data.xmat[self._lid].reshape(3, 3)[:, 2])

    def seat(self, data: mujoco.MjData) -> Float64:
        """Where the lid's frame [3] lies when it is shut, in the world [m]."""
        return np.asarray(data.xpos[self._pot] + teapot.RIM * data.xmat[self._pot].reshape(3, 3)[:, 2])

    def judge(self, data: mujoco.MjData) -> tuple[Outcome, str]:
        """Success: the lid has been up for long enough; failure: pot or lid fell, or the pot slid away."""
        if data.xmat[self._pot, 8] < np.cos(MAX_TILT):
            return Outcome.FAILURE, "pot knocked over"
        if np.hypot(*(data.xpos[self._pot, :2] - self._start)) > MAX_SHIFT:
            return Outcome.FAILURE, "pot moved"
        height = data.xpos[self._lid, 2] - self.seat(data)[2]
        if height < DROPPED:
            return Outcome.FAILURE, "lid dropped"
        if height < LIFTED:
            self._up_since = None
            return Outcome.RUNNING, ""
        if self._up_since is None:
            self._up_since = data.time
        return (Outcome.SUCCESS if data.time - self._up_since >= HOLD else Outcome.RUNNING), ""

    def waypoint(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Down a funnel over the knob with open fingers, close when it lies between them, lift what they hold."""
        knob = self.target(data)
        gap = tool.opening - WIDTH
        if THIN <= gap <= THICK and self._surrounds(knob, tool):
            return self._lift(data, tool)
        apart = tool.rotation.T @ (knob - tool.position)
        between = abs(apart[0] - tool.gripper.center(WIDTH, gap / 2)) <= gap / 2 + THICK
        if between and abs(apart[1]) <= SIDE_GATE and apart[2] + DEPTH <= DOWN:
            return self._close(knob, float(apart[0]), tool)
        return self._approach(knob, tool)

    def _surrounds(self, knob: Float64, tool: Tool) -> bool:
        """Whether a knob that is held is where it belongs. In a plan it does not move along, so where the tool is counts."""
        position = tool.position if tool.start is None else tool.start
        held = tool.rotation.T @ (knob - position) - (tool.gripper.center(WIDTH), 0.0, -DEPTH)
        return bool(np.linalg.norm(held) <= NEAR)

    def _approach(self, knob: Float64, tool: Tool) -> Waypoint:
        """Above the knob first, then down a funnel; high up until the fingers are open."""
        grasp = _tcp(knob, tool, (OPEN - WIDTH) / 2)
        error = float(np.hypot(*(tool.position[:2] - grasp[:2])))
        shut = tool.opening < OPEN_ENOUGH
        height = grasp[2] + (HOVER if shut else np.clip(FUNNEL * (error - GATE), 0.0, HOVER))
        x, y = tool.position[:2] if tool.position[2] < height - SAG else grasp[:2]
        return Waypoint(np.array([x, y, height]), TRAVEL_SPEED, OPEN)

    def _close(self, knob: Float64, across: float, tool: Tool) -> Waypoint:
        """The stick that stands still goes to the knob first; then the fingers close as the tool centres itself."""
        gap = tool.opening - WIDTH
        clearance = float(np.clip(gap / 2, 0.0, MARGIN))
        goal = _tcp(knob, tool, clearance)
        error = abs(across - tool.gripper.center(WIDTH, clearance))
        if error > CLOSE_GATE + max(0.0, OPEN - tool.opening) / 2:  # begun is half done: the gate widens
            return Waypoint(goal, DOWN_SPEED, OPEN)
        return Waypoint(goal, DOWN_SPEED, tool.opening - CLOSE_STEP if gap > THICK else 0.0)

    def _lift(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Straight up over the pot's middle, squeezing."""
        knob = self.seat(data) + np.array([0, 0, teapot.KNOB_HEIGHT + LIFT])
        return Waypoint(_tcp(knob, tool, 0.0), LIFT_SPEED, 0.0)


def _tcp(knob: Float64, tool: Tool, clearance: float) -> Float64:
    """TCP [3] from which a knob in that place is gripped, or would be `clearance` [m] from the finger that stands."""
    return knob - tool_down(0.0) @ np.array([tool.gripper.center(WIDTH, clearance), 0.0, -DEPTH])

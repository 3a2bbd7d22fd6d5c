"""How a nigiri is taken and laid down: the moves of the sushi task's expert.

Wide gates, funnels and saturated speeds make them learnable: each move follows from where things are, not from the past.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.grippers import Gripper
from keypoint_sim.objects import nigiri
from keypoint_sim.tasks.base import Tool, Waypoint, tool_down

MOST_YAW = np.deg2rad(50)  # what the wrists can follow; a nigiri that lies further round is gripped askew
GRIP_HEIGHT = 0.012  # of the tool's tip over the nigiri's bottom [m]
OPEN = nigiri.WIDTH + 0.022  # gap before the grasp [m]
# Gap after it: wider, so that the gap says whether the tool is on its way to a nigiri or has laid it down.
LEAVE_OPEN = OPEN + 0.012
OPEN_ENOUGH = nigiri.WIDTH + 0.010  # gap to go down around a nigiri, or up again from it [m]
TOLERANCE = 0.004  # a gap wider than the nigiri by less holds it, if it is in between [m]
THIN = 0.018  # a narrower gap holds nothing; on the nigiri's top and at its ends it is narrower than its width [m]
# How far along the nigiri, and how far above the height where it is gripped, the tool may be [m]: to close the fingers, and
# wider to take what is between them for held, for a nigiri that is not is let go. Deeper down sticks hold it as well.
CLOSES, HOLDS = (0.015, 0.008), (0.022, 0.012)
DEEPER = GRIP_HEIGHT + 0.004  # down to the table, and what it gives way
GATE = 0.006  # horizontal error under which the tool goes all the way down [m]
LAY_GATE = 0.012  # the same for a nigiri over the plate, which leaves it more room [m]
FUNNEL = 1.5  # height that is kept per error beyond the gate
ARM_OF_TURN = 0.05  # an angle is an error of this much per radian [m]
HOVER, CARRY = 0.055, 0.045  # heights over the place where it grips, and where it lets go [m]
SAG = 0.01  # so far below the funnel it goes up first, without turning [m]
CLEAR = 0.01  # height over the table from which on a nigiri that goes up moves sideways as fast as it rises [m]
TRAVEL_SPEED, DOWN_SPEED, LIFT_SPEED = 0.15, 0.08, 0.12  # [m/s]


@dataclass(frozen=True)
class Funnel:
    """How high a thing is kept over a place that it shall come down on.

    Attributes:
        gate: error under which it goes all the way down [m].
        least, most: height over the place [m].
        slant: way across per height while it rises to the funnel; 0 straight up.
    """

    gate: float
    least: float
    most: float
    slant: float = 0.0


def grip(yaw: float, gripper: Gripper) -> Float64:
    """Rotation [3, 3] of a tool that grips across a thing whose length has this yaw [rad]."""
    lean = np.sign(gripper.across) * gripper.lean
    c, s = np.cos(lean), np.sin(lean)
    return np.asarray(tool_down(yaw + gripper.across) @ np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]]))


def grip_for(rotation: Float64, gripper: Gripper) -> Float64:
    """Rotation [3, 3] of a tool that grips a nigiri of this rotation [3, 3], as far as wrists follow it."""
    yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
    half_turn = (yaw + np.pi / 2) % np.pi - np.pi / 2  # both ends are alike
    return grip(float(np.clip(half_turn, -MOST_YAW, MOST_YAW)), gripper)


def grip_point(position: Float64, rotation: Float64) -> Float64:
    """Where [3] a nigiri at this pose is gripped [m]."""
    return np.asarray(position + GRIP_HEIGHT * rotation[:, 2])


def between(tool: Tool, frame: tuple[Float64, Float64], point: Float64, limits: tuple[float, float]) -> bool:
    """Whether a nigiri that is to be gripped at a point is between the fingers.

    Args:
        tool: of which the gap counts.
        frame: position [3] [m] and rotation [3, 3] of the TCP.
        point: [3] of the nigiri [m].
        limits: how far along the nigiri and above its grip point the tool may be [m].
    """
    x, y, z = frame[1].T @ (point - frame[0])
    room = max(0.0, tool.opening - nigiri.WIDTH) / 2 + TOLERANCE
    along, above = limits
    return bool(abs(x - tool.gripper.center(tool.opening)) <= room and abs(y) <= along and -DEEPER <= z <= above)


def approach(tool: Tool, point: Float64, goal: Float64) -> Waypoint:
    """Down a funnel around the nigiri's grip point [3], turned to the goal [3, 3]; high up until the gap is open."""
    place = point - goal[:, 0] * tool.gripper.center(nigiri.WIDTH, (OPEN - nigiri.WIDTH) / 2)
    least = 0.0 if tool.opening >= OPEN_ENOUGH else HOVER
    return _down_funnel(tool, tool.position, place, goal, Funnel(GATE, least, HOVER), OPEN)


def close(tool: Tool, point: Float64, goal: Float64) -> Waypoint:
    """Shut the fingers at the height of the grip point [3]."""
    return Waypoint(np.array([*tool.position[:2], point[2]]), DOWN_SPEED, 0.0, goal)


def carry(tool: Tool, position: Float64, place: Float64) -> Waypoint:
    """Up, across and down a funnel until a held nigiri at `position` [3] is at `place` [3].

    It turns to yaw 0, in which the arms reach all over the plate's range. Once clear of the table it moves across while it
    rises: where the tool is then tells that it carries something, also while nothing of that is seen.
    """
    funnel = Funnel(LAY_GATE, 0.0, CARRY, slant=1.0 if position[2] > CLEAR else 0.0)
    return _down_funnel(tool, position, place, grip(0.0, tool.gripper), funnel, 0.0)


def leave(tool: Tool, point: Float64) -> Waypoint:
    """Open the gap around a nigiri's grip point [3], then go straight up."""
    x, y, z = tool.position
    height = point[2] + HOVER if tool.opening >= OPEN_ENOUGH else z
    return Waypoint(np.array([x, y, height]), LIFT_SPEED, LEAVE_OPEN, tool.rotation)


def _down_funnel(tool: Tool, point: Float64, place: Float64, goal: Float64, funnel: Funnel, opening: float) -> Waypoint:
    """Brings a point [3] that moves with the tool to a place [3], the higher the further it is from there.

    Args:
        tool: that moves.
        point, place: where it is and where it shall be [m].
        goal: rotation [3, 3] that the tool shall have.
        funnel: see there.
        opening: gap between the fingers [m].
    """
    angle = np.arccos(np.clip((np.trace(tool.rotation.T @ goal) - 1) / 2, -1, 1))
    across = (place - point)[:2]
    distance = float(np.hypot(*across))
    error = float(distance + ARM_OF_TURN * angle)
    height = place[2] + np.clip(FUNNEL * (error - funnel.gate), funnel.least, funnel.most)
    if point[2] < height - SAG:
        rise = height - point[2]
        part = min(1.0, funnel.slant * rise / max(distance, 1e-6))
        return Waypoint(tool.position + (*(part * across), rise), LIFT_SPEED, opening, tool.rotation)
    way = np.array([*place[:2], height]) - point
    return Waypoint(tool.position + way, TRAVEL_SPEED if error > funnel.gate else DOWN_SPEED, opening, goal)

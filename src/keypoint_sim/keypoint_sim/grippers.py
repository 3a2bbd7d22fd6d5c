"""What an expert knows about a gripper: how wide it is open, and where in it a thing ends up.

A TCP lies at the very end of the tool: z points out of it, and the fingers close along x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from keypoint_core.arms.description import GripperDescription


class Gripper(Protocol):
    """Two fingers.

    Attributes:
        widest: gap that it opens to [m].
        tip: half extents of the closed tip along x and y of the TCP [m].
        shank: half extents of the closed fingers over their last 4 cm [m]: what touches a tall face.
        across: yaw of a tool that points down, grips across the world's y axis and leaves the wrist most room [rad].
        lean: of a tool that grips on the table, away from the arm along what it grips, so that the wrist has room [rad].
    """

    widest: float
    tip: tuple[float, float]
    shank: tuple[float, float]
    across: float
    lean: float

    def position(self, opening: float) -> float:
        """The driver's position for a gap [m]; 0 is closed, so that it squeezes whatever is between."""

    def opening(self, position: float) -> float:
        """The gap [m] at a driver's position."""

    def center(self, width: float, clearance: float = 0.0) -> float:
        """Where along x of the TCP a thing of this width [m] must lie to be gripped, `clearance` [m] from any finger."""


@dataclass(frozen=True)
class Chopsticks:
    """One stick stands still, the other turns; the gap begins at the TCP and opens toward +x.

    Attributes:
        joint: open and closed positions [rad].
        pivot: x of the moving stick's axis [m].
        stick: its tip's centre seen from the axis at position 0, x and z [m].
        radius: of the sticks [m].
    """

    joint: GripperDescription
    pivot: float = 0.018
    stick: tuple[float, float] = (0.10661598326125368, 0.16633409786702208)
    radius: float = 0.003
    tip: tuple[float, float] = (0.006, 0.003)
    shank: tuple[float, float] = (0.009, 0.003)
    across: float = np.pi / 2
    lean: float = 0.35

    @property
    def widest(self) -> float:
        """Gap that it opens to [m]."""
        return self.opening(self.joint.open)

    def position(self, opening: float) -> float:
        """The moving stick's angle [rad] for a gap [m]."""
        if opening <= 0:
            return self.joint.closed
        length, angle = np.hypot(*self.stick), np.arctan2(self.stick[1], self.stick[0])
        across = (opening + self.radius - self.pivot) / length
        low, high = self.joint.range
        return float(np.clip(angle - np.arccos(np.clip(across, -1, 1)), low, high))

    def opening(self, position: float) -> float:
        """The gap [m] at an angle [rad] of the moving stick."""
        x, z = self.stick
        return max(0.0, float(self.pivot + x * np.cos(position) + z * np.sin(position) - self.radius))

    def center(self, width: float, clearance: float = 0.0) -> float:
        """The thing lies `clearance` from the stick that stands still."""
        return width / 2 + clearance


@dataclass(frozen=True)
class ParallelFingers:
    """Two fingers that close on the TCP alike; the driver's position is half the gap [m].

    Attributes:
        joint: open and closed positions of one finger [m].
        tip, shank: half extents of the closed tip, and of the fingers over their last 4 cm [m].
    """

    joint: GripperDescription
    tip: tuple[float, float]
    shank: tuple[float, float] = (0.0145, 0.00875)
    across: float = -np.pi / 2
    lean: float = 0.0

    @property
    def widest(self) -> float:
        """Gap that it opens to [m]."""
        return 2 * self.joint.open

    def position(self, opening: float) -> float:
        """One finger's position [m] for a gap [m]."""
        low, high = self.joint.range
        return float(np.clip(opening / 2, low, high))

    def opening(self, position: float) -> float:
        """The gap [m] at one finger's position [m]."""
        return max(0.0, 2 * position)

    def center(self, width: float, clearance: float = 0.0) -> float:
        """The middle, whatever the width."""
        return 0.0

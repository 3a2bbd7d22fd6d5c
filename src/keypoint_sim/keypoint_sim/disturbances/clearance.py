"""Where a thing may stand without blocking: the task's objects, the tool's way to them, the camera's view of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64
from keypoint_sim.disturbances.base import Surroundings

Mask = NDArray[np.bool_]
GAP = 0.012  # between things [m]
ROOM = 0.02  # between a thing and the task's objects, beside their own circles [m]
BASE_RADIUS = 0.17  # about the robot's base [m]
LOW = 0.045  # what is lower stands under the tool's way; the Franka's hand begins that far above its tip [m]
LANE = 0.12  # half width of the tool's way; the Franka's hand is 20 cm wide [m]
SIGHT = 0.03  # sideways between a thing and the lines of sight; a nudged object moves that much or more [m]
EDGE = 25.0  # a thing's middle lies at least that far inside the picture [px]


class Clearance:
    """Tests places [C, 2] for a thing of a radius and a height [m] against a scene."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._circles = around.task.keep_out(around.poses)
        self._lanes = self._tool_lanes()

    def free(self, places: Float64, radius: float, height: float) -> Mask:
        """Whether each place is free of everything; [C]."""
        around = self._around
        good = self._in_view(places, height) & self.outside_circles(places, radius, self._circles)
        good &= np.linalg.norm(places - around.robot.base[:2], axis=1) > BASE_RADIUS + radius
        corners = around.outline[:, :2]
        good &= np.linalg.norm(places[:, None] - corners[None], axis=2).min(axis=1) > radius + ROOM
        if height > LOW:
            good &= (distances_to_segments(places, *self._lanes) > LANE + radius).all(axis=1)
        good[good] &= ~self._hides(places[good], radius + SIGHT, height)
        return good

    @staticmethod
    def outside_circles(places: Float64, radius: float, circles: Float64) -> Mask:
        """Whether each place [C, 2] is outside of circles [M, 3] (x, y, radius); [C]."""
        gaps = np.linalg.norm(places[:, None] - circles[None, :, :2], axis=2) - circles[:, 2]
        return np.asarray((gaps > radius).all(axis=1))

    def _tool_lanes(self) -> tuple[Float64, Float64]:
        """The ways of tool and forearm over the table, starts and ends [L, 2]: to each object, and between them."""
        around = self._around
        goals = [around.target[:2], *around.poses[:, :2]]
        lanes = [(start[:2], goal) for start in (around.tool, around.robot.base) for goal in goals]
        lanes += [(goals[0], goal) for goal in goals[1:]]
        return np.array([start for start, _ in lanes]), np.array([end for _, end in lanes])

    def _in_view(self, places: Float64, height: float) -> Mask:
        camera, k = self._around.camera, self._around.intrinsics
        middle = np.column_stack([places, np.full(len(places), height / 2)])
        x, y, z = ((middle - camera[:3, 3]) @ camera[:3, :3]).T
        u, v = k.fx * x / z + k.cx, k.fy * y / z + k.cy
        return (u > EDGE) & (u < k.width - EDGE) & (v > EDGE) & (v < k.height - EDGE) & (z > 0)

    def _hides(self, places: Float64, radius: float, height: float) -> Mask:
        """Whether an upright cylinder at each place meets a line from the camera to the task's objects; [C]."""
        eye, points = self._around.camera[:3, 3], self._around.outline
        low = points[points[:, 2] < height]
        part = (eye[2] - height) / (eye[2] - low[:, 2])  # of the line, from which on it is low enough
        first = eye[:2] + np.clip(part, 0.0, 1.0)[:, None] * (low[:, :2] - eye[:2])
        return np.asarray((distances_to_segments(places, first, low[:, :2]) < radius).any(axis=1))


def distances_to_segments(places: Float64, starts: Float64, ends: Float64) -> Float64:
    """Distances [C, M] of places [C, 2] from segments between points [M, 2] [m]."""
    ways = ends - starts
    away = places[:, None] - starts
    part = np.clip((away * ways).sum(axis=2) / np.maximum((ways**2).sum(axis=1), 1e-12), 0.0, 1.0)
    return np.linalg.norm(away - part[..., None] * ways, axis=2)

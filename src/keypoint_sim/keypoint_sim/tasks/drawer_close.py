"""Push the open drawer of a small chest shut, without moving the chest."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from keypoint_sim.objects import drawer as chest
from keypoint_sim.objects.prints import paint
from keypoint_sim.tasks.base import Placement, Tool, Waypoint
from keypoint_sim.tasks.closing import PRESS, PUSH_SPEED, ClosingTask, Face

# Poses: both arms reach over the chest to before its open drawer (x [m], y [m], yaw [rad]).
CHEST = Placement("chest of drawers", chest.JOINT, low=(0.26, -0.13, -np.pi / 4), high=(0.46, 0.13, np.pi / 4))
# Of the tool's end when it pushes [m]: well on the drawer's front, and a hand above it passes over the chest's top.
HEIGHT = chest.TOP - 0.038


class DrawerClose(ClosingTask):
    """The task."""

    name = "drawer_close"
    placements = (CHEST,)
    regions: Mapping[str, tuple[str, ...]] = {"cabinet": (chest.BODY,), "drawer": (chest.DRAWER_BODY,)}
    failures = ("cabinet knocked over", "cabinet pushed away")
    thing, body, joint = "cabinet", chest.BODY, chest.DRAWER_JOINT
    ajar, closed, shut = (0.05, 0.08), 0.004, 0.002
    aside = (-0.035, 0.035)  # the knobs are farther out
    footprint = ((0.0, 0.0, 0.13), (0.13, 0.0, 0.13))

    def mjcf(self) -> str:
        """MJCF document of the chest."""
        return chest.mjcf()

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the chest's pictures and remembers the model's addresses."""
        super().bind(model)
        paint(model, chest.pictures())

    def face(self, data: mujoco.MjData, position: float) -> Face:
        """The front of the drawer, pulled out by a length [m]."""
        origin, rotation = self._frame(data)
        return Face(origin + rotation @ np.array([chest.FACE + position, 0.0, HEIGHT]), rotation[:, 0])

    def push(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Straight on, wherever before the drawer it is."""
        shut = self.face(data, 0.0)
        out, _, height = shut.locate(tool, tool.position)
        goal = tool.position - (out + PRESS) * shut.normal - height * np.array([0.0, 0.0, 1.0])
        return Waypoint(goal, PUSH_SPEED)

"""Push the open door of a small microwave oven shut, without moving the oven."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.objects import microwave
from keypoint_sim.objects.prints import paint
from keypoint_sim.tasks.base import Placement, Tool, Waypoint
from keypoint_sim.tasks.closing import PRESS, PUSH_SPEED, ClosingTask, Face, reach

# Poses: both arms reach the whole sweep of the door over the oven (x [m], y [m], yaw [rad]). The yaws lie about 35 and
# not about 0 degrees: there the camera sees the outside of the door wherever it stands open.
MICROWAVE = Placement(
    "microwave", microwave.JOINT, low=(0.26, -0.16, np.deg2rad(-10)), high=(0.46, 0.10, np.deg2rad(80))
)

ALONG = 0.085  # from the hinge along the door, where the tool pushes [m]
# Of the tool's end when it pushes [m]: well on the door, and a hand above it passes over the oven's top.
HEIGHT = microwave.TOP - 0.034
LEAD = 0.40  # angle ahead of the tool that it pushes toward [rad]


class MicrowaveClose(ClosingTask):
    """The task."""

    name = "microwave_close"
    placements = (MICROWAVE,)
    regions: Mapping[str, tuple[str, ...]] = {"microwave": (microwave.BODY,), "door": (microwave.DOOR_BODY,)}
    failures = ("microwave knocked over", "microwave pushed away")
    thing, body, joint = "microwave", microwave.BODY, microwave.DOOR_JOINT
    ajar = (np.deg2rad(40), np.deg2rad(75))
    closed, shut = np.deg2rad(3), np.deg2rad(1.5)
    aside = (-0.040, 0.030)  # the handle is farther out
    footprint = ((0.0, 0.0, 0.14), (0.14, -0.06, 0.15))

    def mjcf(self) -> str:
        """MJCF document of the microwave."""
        return microwave.mjcf()

    def bind(self, model: mujoco.MjModel) -> None:
        """Draws the microwave's pictures and remembers the model's addresses."""
        super().bind(model)
        paint(model, microwave.pictures())

    def face(self, data: mujoco.MjData, position: float) -> Face:
        """The outside of the door, open by an angle [rad]."""
        (_, rotation), along = self._frame(data), microwave.along_door(position)
        normal = np.array([along[1], -along[0], 0.0])
        spot = ALONG * along + microwave.THICKNESS / 2 * normal
        return Face(self._hinge(data) + rotation @ spot, rotation @ normal)

    def push(self, data: mujoco.MjData, tool: Tool) -> Waypoint:
        """Along the arc about the hinge."""
        (_, rotation), hinge = self._frame(data), self._hinge(data)
        before = microwave.THICKNESS / 2 + reach(tool, rotation[:, 0])
        radius, stop = np.hypot(ALONG, before), np.arctan2(before - PRESS, ALONG)
        x, y, _ = rotation.T @ (tool.position - hinge)
        angle = max(float(np.arctan2(x, y)) - LEAD, float(stop))
        return Waypoint(hinge + rotation @ (radius * microwave.along_door(angle)), PUSH_SPEED)

    def _hinge(self, data: mujoco.MjData) -> Float64:
        """The point [3] of the hinge's axis at the pushing height, in the world."""
        origin, rotation = self._frame(data)
        return np.asarray(origin + rotation @ np.array([*microwave.HINGE, HEIGHT]))

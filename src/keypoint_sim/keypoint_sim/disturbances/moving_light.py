"""The strongest light swings to and fro, as a lamp on a cable or the sun behind a tree."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from keypoint_sim.disturbances.base import Scenario, Surroundings
from keypoint_sim.disturbances.look import Look
from keypoint_sim.rng import Stream

REACH = (20.0, 50.0)  # to either side [deg]
PERIOD = (1.5, 6.0)  # [s]


@dataclass(frozen=True)
class Swinging:
    """Turns the first light about the vertical.

    Attributes:
        reach: to either side [rad].
        period: [s].
        phase: at the start [rad].
    """

    reach: float
    period: float
    phase: float

    def at(self, look: Look, seconds: float) -> Look:
        """The look with the light where it is by then."""
        swing = np.sin(self.phase + 2 * np.pi * seconds / self.period) - np.sin(self.phase)
        c, s = float(np.cos(self.reach * swing)), float(np.sin(self.reach * swing))
        first = look.lights[0]
        x, y, z = first.direction
        # It stays in the camera's half of the room, like every light.
        light = replace(first, direction=(-abs(c * x - s * y), s * x + c * y, z))
        return replace(look, lights=(light, *look.lights[1:]))


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws how it swings."""
    rng = around.rng(Stream.LIGHT, 1)
    reach, period, phase = rng.uniform(*np.deg2rad(REACH)), rng.uniform(*PERIOD), rng.uniform(0, 2 * np.pi)
    change = Swinging(float(reach), float(period), float(phase))
    return replace(scenario, light_changes=(*scenario.light_changes, change))

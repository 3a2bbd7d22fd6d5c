"""All light goes down and up again, as of a lamp that flashes or of somebody who stands in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from keypoint_sim.disturbances.base import Scenario, Surroundings
from keypoint_sim.disturbances.look import Look, scaled
from keypoint_sim.rng import Stream

DEPTH = (0.2, 0.5)  # part of the light that is taken away
RATE = (0.4, 3.0)  # [Hz]
DIMMEST = 0.25  # all lights together; below that a picture would be too dark to use


@dataclass(frozen=True)
class Flashing:
    """Dims all lights alike.

    Attributes:
        depth: part that is taken away.
        rate: [Hz].
        phase: at the start [rad].
    """

    depth: float
    rate: float
    phase: float

    def at(self, look: Look, seconds: float) -> Look:
        """The look as bright as it is by then."""
        dark = 0.5 + 0.5 * np.tanh(4 * np.sin(self.phase + 2 * np.pi * self.rate * seconds))
        total = sum(light.intensity for light in look.lights)
        factor = float(max(1 - self.depth * dark, min(1.0, DIMMEST / max(total, 1e-6))))
        lights = tuple(replace(light, intensity=light.intensity * factor) for light in look.lights)
        return replace(look, lights=lights, ambient=scaled(look.ambient, factor))


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws how it flashes."""
    rng = around.rng(Stream.LIGHT, 2)
    change = Flashing(float(rng.uniform(*DEPTH)), float(rng.uniform(*RATE)), float(rng.uniform(0, 2 * np.pi)))
    return replace(scenario, light_changes=(*scenario.light_changes, change))

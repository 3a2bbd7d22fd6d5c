"""Bodies that a condition adds to the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import mujoco

from keypoint_sim.disturbances.solid import paint_solid, things_mjcf
from keypoint_sim.disturbances.things import Thing

PREFIX = "distractor"


class Addition(ABC):
    """Some bodies; frozen and hashable, for a compiled model is kept by its additions."""

    @abstractmethod
    def mjcf(self) -> str:
        """MJCF document of bodies only, so that at the end of a scene it leaves the ids of everything else alone."""

    @abstractmethod
    def paint(self, model: mujoco.MjModel) -> None:
        """Draws its textures into the model."""


@dataclass(frozen=True)
class Things(Addition):
    """Distractors: free bodies, each with a free joint of the same name.

    Attributes:
        things: in order; body i is called "distractor<i>".
    """

    things: tuple[Thing, ...]

    @property
    def bodies(self) -> tuple[str, ...]:
        """Names of the bodies, and of their joints."""
        return tuple(f"{PREFIX}{i}" for i in range(len(self.things)))

    def mjcf(self) -> str:
        """Bodies of all things, and the floor that they stand on."""
        return things_mjcf(list(zip(self.bodies, (thing.make() for thing in self.things), strict=True)))

    def paint(self, model: mujoco.MjModel) -> None:
        """Draws their textures into the model."""
        for body, thing in zip(self.bodies, self.things, strict=True):
            paint_solid(model, body, thing.make())

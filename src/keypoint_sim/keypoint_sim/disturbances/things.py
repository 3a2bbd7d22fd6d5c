"""The project's own distractors by name, and the ones that files bring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from keypoint_core.registry import Registry
from keypoint_sim.disturbances.files import load_solid
from keypoint_sim.disturbances.solid import Solid
from keypoint_sim.rng import Stream, generator

MODULES = {
    "kitchen": ("bottle", "bowl", "can", "cup", "fruit", "jar", "mug", "plate", "pot"),
    "toys": ("ball", "blocks", "book", "box", "car", "die", "notepad", "screwdriver", "star", "tape", "tower"),
}
THINGS = Registry(
    "distractor",
    {name: f"keypoint_sim.disturbances.{module}:{name}" for module, names in MODULES.items() for name in names},
)


@dataclass(frozen=True)
class Thing:
    """One thing to put on the table, made when it is needed.

    Attributes:
        kind: name in `THINGS`; empty for one from a file.
        seed: of its size, shape and colours.
        path: of its file.
    """

    kind: str
    seed: int
    path: str = ""

    def make(self) -> Solid:
        """Its shape and look."""
        return _make(self)


@lru_cache(maxsize=64)
def _make(thing: Thing) -> Solid:
    rng = generator(thing.seed, Stream.DISTRACTORS)
    if thing.path:
        return load_solid(thing.path, rng)
    return THINGS.create(thing.kind, rng)


def random_thing(rng: np.random.Generator, kinds: tuple[str, ...]) -> Thing:
    """One of these kinds."""
    return Thing(kinds[int(rng.integers(len(kinds)))], int(rng.integers(2**31)))

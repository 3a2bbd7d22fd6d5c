"""Objects that have nothing to do with the task stand about (the paper's RO); they may be near, but do not block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.disturbances.base import Scenario, Standing, Surroundings
from keypoint_sim.disturbances.clearance import GAP, Clearance
from keypoint_sim.disturbances.solid import Solid
from keypoint_sim.disturbances.things import THINGS, Thing, random_thing
from keypoint_sim.rng import Stream

LOW, HIGH = (-0.30, -0.50), (0.62, 0.50)  # of the table that is tried, x and y [m]
PLACES = 300  # that are tried for each thing
ATTEMPTS = 6  # things that are tried for each one that shall stand
NEAR = 8  # every other thing stands at the nearest one of so many free places


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws how many, which, and where they stand."""
    rng, settings = around.rng(Stream.DISTRACTORS), around.settings
    count = int(rng.integers(settings.distractor_count[0], settings.distractor_count[1] + 1))
    clearance = Clearance(around)
    standing: list[Standing] = []
    taken = np.zeros((0, 3))
    for _ in range(count * ATTEMPTS):
        if len(standing) == count:
            break
        thing = _draw_thing(rng, around)
        solid = thing.make()
        near = around.target[:2] if rng.random() < 0.5 else None
        place = _find_place(rng, clearance, solid, taken, near)
        if place is not None:
            standing.append(Standing(thing, float(place[0]), float(place[1]), float(rng.uniform(-np.pi, np.pi))))
            taken = np.vstack([taken, [*place, solid.radius + GAP]])
    return replace(scenario, distractors=tuple(standing))


def _draw_thing(rng: np.random.Generator, around: Surroundings) -> Thing:
    own = random_thing(rng, tuple(THINGS))
    if around.objects and rng.random() < around.settings.file_object_share:
        return Thing("", own.seed, around.objects[int(rng.integers(len(around.objects)))])
    return own


def _find_place(
    rng: np.random.Generator, clearance: Clearance, solid: Solid, taken: Float64, near: Float64 | None
) -> Float64 | None:
    """A free one [2] of many random places, of several free ones that nearest to a point; None where no room is."""
    places = rng.uniform(LOW, HIGH, (PLACES, 2))
    places = places[clearance.outside_circles(places, solid.radius, taken)]
    places = places[clearance.free(places, solid.radius, solid.height)]
    if not len(places):
        return None
    return places[0] if near is None else places[np.linalg.norm(places[:NEAR] - near, axis=1).argmin()]

"""Somebody knocks against the camera's stand while the tool is on its way to the object.

Without this a system that trusts its calibration for ever can pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.types import Float64
from keypoint_sim.disturbances.additions import Addition
from keypoint_sim.disturbances.base import Running, Scenario, Stage, Surroundings
from keypoint_sim.rng import Stream

SECONDS = 0.15  # that the knock lasts


@dataclass(frozen=True)
class Bump:
    """One knock, after which the camera stays where it came to rest.

    Attributes:
        shift: of the camera in the world [m].
        turn: rotation vector in its own optical frame [rad].
        when: it begins when this part is left of the tool's way to its target.
    """

    shift: tuple[float, float, float]
    turn: tuple[float, float, float]
    when: float

    @property
    def additions(self) -> tuple[Addition, ...]:
        """None."""
        return ()

    def begin(self, stage: Stage) -> Running:
        """Measures the way."""
        return _Bumping(self, stage)


class _Bumping:
    """Waits for the tool, then moves the camera, then is done."""

    def __init__(self, bump: Bump, stage: Stage) -> None:
        self._bump, self._stage = bump, stage
        self._tcp = int(stage.model.site(stage.robot.tcp_site).id)
        self._way = self._distance()
        self._start: Float64 = stage.camera.copy()
        self._began: float | None = None
        self._done = False

    def step(self, seconds: float) -> None:
        """Moves on, once the tool is near enough."""
        if self._done:
            return
        if self._began is None and self._distance() <= self._bump.when * self._way:
            self._began = seconds
        if self._began is not None:
            self._move(min((seconds - self._began) / SECONDS, 1.0))

    def _move(self, time: float) -> None:
        """Puts the camera where it is at this part of the knock; at rest at the end."""
        part, camera = time * time * (3 - 2 * time), self._stage.camera
        turn = Rotation.from_rotvec(part * np.array(self._bump.turn)).as_matrix()
        camera[:3, :3] = self._start[:3, :3] @ turn
        camera[:3, 3] = self._start[:3, 3] + part * np.array(self._bump.shift)
        self._done = time >= 1.0

    def _distance(self) -> float:
        data = self._stage.data
        return float(np.linalg.norm(data.site_xpos[self._tcp] - self._stage.task.target(data)))


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws a knock: shift and turn in any direction, each of a length drawn evenly."""
    rng, settings = around.rng(Stream.BUMP), around.settings
    when = float(rng.uniform(*settings.bump_when))
    directions = rng.normal(size=(2, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    shift = directions[0] * rng.uniform(*settings.bump_distance)
    turn = directions[1] * np.deg2rad(rng.uniform(*settings.bump_angle))
    bump = Bump(
        (float(shift[0]), float(shift[1]), float(shift[2])), (float(turn[0]), float(turn[1]), float(turn[2])), when
    )
    return replace(scenario, events=(*scenario.events, bump))

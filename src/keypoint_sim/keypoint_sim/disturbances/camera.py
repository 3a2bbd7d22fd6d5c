"""The camera stands a little elsewhere than it should; nobody who acts is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.types import Float64
from keypoint_sim.disturbances.base import Scenario, Surroundings
from keypoint_sim.rng import Stream


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Moves it by at most `camera_distance` and turns it by at most `camera_angle`, about any axis."""
    rng, settings = around.rng(Stream.CAMERA), around.settings
    pose = around.camera.copy()
    pose[:3, 3] += _in_ball(rng) * settings.camera_distance
    turn = Rotation.from_rotvec(_in_ball(rng) * np.deg2rad(settings.camera_angle)).as_matrix()
    pose[:3, :3] = pose[:3, :3] @ turn
    return replace(scenario, camera=pose)


def _in_ball(rng: np.random.Generator) -> Float64:
    """A point [3] within the unit ball, evenly."""
    direction = rng.normal(size=3)
    return direction / np.linalg.norm(direction) * rng.random() ** (1 / 3)

"""A hand passes through the view, between camera and object, for a second or two."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.types import Float64
from keypoint_sim.disturbances.additions import Addition
from keypoint_sim.disturbances.base import Running, Scenario, Stage, Surroundings
from keypoint_sim.disturbances.hand import BODY, LENGTH, PARKED, TONES, Hand
from keypoint_sim.disturbances.look import Vector
from keypoint_sim.rng import Stream
from keypoint_sim.textures import random_texture

DEPTH = (0.42, 0.60)  # of the hand on the way from the camera to the object, as a part of it
SLANT = (-60.0, 35.0)  # of the forearm in the picture, from level; positive comes from above [deg]
TILT = 25.0  # of the palm to the picture, at most [deg]
WAY_IN = 0.3  # part of the time that it comes in, and again that it goes out
DRIFT = 0.03  # that it moves while it stays, at most [m]


@dataclass(frozen=True)
class Pass:
    """One pass of the hand.

    Attributes:
        hand: its look.
        start, duration: of the pass since the reset [s].
        cover: where the palm's middle stays [m].
        away: from there to where it comes from and goes to [m].
        drift: what it moves by while it stays [m].
        turn: quaternion (w, x, y, z) of the hand in the world.
    """

    hand: Hand
    start: float
    duration: float
    cover: Vector
    away: Vector
    drift: Vector
    turn: tuple[float, float, float, float]

    @property
    def additions(self) -> tuple[Addition, ...]:
        """The hand."""
        return (self.hand,)

    def begin(self, stage: Stage) -> Running:
        """Parks the hand."""
        running = _Passing(self, stage)
        running.step(0.0)
        return running

    def position(self, seconds: float) -> Float64:
        """Where the palm's middle is at a time since the reset [m]."""
        part = (seconds - self.start) / self.duration
        if not 0.0 < part < 1.0:
            return np.array(PARKED)
        near = np.clip(min(part, 1.0 - part) / WAY_IN, 0.0, 1.0)
        near = near * near * (3 - 2 * near)
        return np.array(self.cover) + (1 - near) * np.array(self.away) + (part - 0.5) * np.array(self.drift)


class _Passing:
    """Moves the hand."""

    def __init__(self, way: Pass, stage: Stage) -> None:
        self._way, self._stage = way, stage
        self._index = int(stage.model.body(BODY).mocapid[0])

    def step(self, seconds: float) -> None:
        """Puts the hand where it is by now."""
        model, data = self._stage.model, self._stage.data
        data.mocap_pos[self._index] = self._way.position(seconds)
        data.mocap_quat[self._index] = self._way.turn
        mujoco.mj_kinematics(model, data)


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws whose hand, when, and from where it reaches in."""
    rng, settings = around.rng(Stream.OCCLUDER), around.settings
    hand = Hand(int(rng.integers(len(TONES))), random_texture(rng))
    start, duration = rng.uniform(*settings.occluder_start), rng.uniform(*settings.occluder_duration)
    camera = around.camera if scenario.camera is None else scenario.camera
    goal = (around.outline.min(axis=0) + around.outline.max(axis=0)) / 2 if len(around.poses) == 1 else around.target
    cover = camera[:3, 3] + rng.uniform(*DEPTH) * (goal - camera[:3, 3])
    frame = _hand_frame(rng, camera)
    drift = rng.uniform(-DRIFT, DRIFT, 3)
    x, y, z, w = (float(part) for part in Rotation.from_matrix(frame).as_quat())
    way = Pass(
        hand,
        float(start),
        float(duration),
        _vector(cover),
        _vector(-LENGTH * frame[:, 0]),
        _vector(drift),
        (w, x, y, z),
    )
    return replace(scenario, events=(*scenario.events, way))


def _hand_frame(rng: np.random.Generator, camera: Float64) -> Float64:
    """Rotation [3, 3] of a hand that reaches in from the left or the right, its back or its palm to the camera."""
    from_left, slant = rng.random() < 0.5, np.deg2rad(rng.uniform(*SLANT))
    right, down, forward = camera[:3, :3].T
    along = (right if from_left else -right) * np.cos(slant) + down * np.sin(slant)
    back = -forward if rng.random() < 0.7 else forward
    frame = np.column_stack([along, np.cross(back, along), back])
    return frame @ Rotation.from_euler("xy", rng.uniform(-TILT, TILT, 2), degrees=True).as_matrix()


def _vector(values: Float64) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])

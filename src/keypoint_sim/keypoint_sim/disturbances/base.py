"""What a condition changes about a scene, what its samplers may look at, and what goes on while a trial runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import mujoco
import numpy as np
from scipy.spatial import ConvexHull

from keypoint_core.types import Float64, Intrinsics
from keypoint_sim.disturbances.additions import Addition, Things
from keypoint_sim.disturbances.look import NOMINAL, Look
from keypoint_sim.disturbances.settings import DisturbanceSettings
from keypoint_sim.disturbances.things import Thing
from keypoint_sim.rng import Stream, generator
from keypoint_sim.robots import RobotSpec
from keypoint_sim.tasks.base import Task, move


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The undisturbed scene of a seed, as far as samplers look at it.

    Attributes:
        seed: of everything random.
        settings: from outside.
        photos, objects: files of its two folders.
        task, robot: of the world.
        data: the scene, put up and at rest.
        poses: [K, 3] x [m], y [m], yaw [rad] of the objects that the task places.
        camera: optical frame in the world [4, 4], undisturbed.
        intrinsics: of the camera.
    """

    seed: int
    settings: DisturbanceSettings
    photos: tuple[str, ...]
    objects: tuple[str, ...]
    task: Task
    robot: RobotSpec
    data: mujoco.MjData
    poses: Float64
    camera: Float64
    intrinsics: Intrinsics

    @property
    def target(self) -> Float64:
        """Point [3] that the tool has to approach first [m]."""
        return self.task.target(self.data)

    @property
    def tool(self) -> Float64:
        """The TCP [3] at home [m]."""
        return np.array(self.data.site(self.robot.tcp_site).xpos)

    @cached_property
    def outline(self) -> Float64:
        """Corners [M, 3] of the convex hulls of the task's objects, in the world [m]."""
        hulls = [object_corners(self.data, p.joint, p.riders) for p in self.task.placements]
        return np.vstack(hulls)

    def rng(self, stream: Stream, *more: int) -> np.random.Generator:
        """The generator of one stream of the seed."""
        return generator(self.seed, stream, *more)


def object_corners(data: mujoco.MjData, joint: str, riders: tuple[str, ...] = ()) -> Float64:
    """Corners [M, 3] of the convex hull of a placed object and what lies on it, in the world [m]."""
    model = data.model
    roots = [int(model.joint(name).bodyid[0]) for name in (joint, *riders)]
    geoms = np.flatnonzero(np.isin(model.body_rootid[model.geom_bodyid], roots))
    middle, half = model.geom_aabb[geoms, None, :3], model.geom_aabb[geoms, None, 3:]
    local = middle + half * np.array(list(product((-1, 1), repeat=3)))
    rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
    points = (np.einsum("gij,gcj->gci", rotations, local) + data.geom_xpos[geoms, None]).reshape(-1, 3)
    return points[ConvexHull(points).vertices]


@dataclass(frozen=True)
class Stage:
    """What an event acts on; only `data` and `camera` may be changed, in place.

    Attributes:
        model, data: of the scene, put up and at rest.
        task, robot: of the world.
        camera: [4, 4] optical frame in the world, where the camera really is.
    """

    model: mujoco.MjModel
    data: mujoco.MjData
    task: Task
    robot: RobotSpec
    camera: Float64


class LightChange(Protocol):
    """Light that changes while the trial runs."""

    def at(self, look: Look, seconds: float) -> Look:
        """The look at a time since the reset [s], in plain values."""


class Running(Protocol):
    """An event of a trial that has begun."""

    def step(self, seconds: float) -> None:
        """Acts after a control tick, `seconds` since the reset; who moves something calls mj_kinematics."""


class Event(Protocol):
    """Something that happens during a trial; frozen."""

    @property
    def additions(self) -> tuple[Addition, ...]:
        """Bodies that it needs."""

    def begin(self, stage: Stage) -> Running:
        """Called at the reset."""


@dataclass(frozen=True)
class Standing:
    """A distractor and where it stands: x [m], y [m], yaw [rad]."""

    thing: Thing
    x: float
    y: float
    yaw: float


@dataclass(frozen=True, eq=False)
class Scenario:
    """All that a condition changes about the scene of a seed.

    Attributes:
        look: textures and light at the start.
        light_changes: what becomes of them; applied in order.
        distractors: what stands about.
        camera: disturbed optical frame in the world at the start [4, 4]; None where it should be.
        events: what happens during the trial.
    """

    look: Look = NOMINAL
    light_changes: tuple[LightChange, ...] = ()
    distractors: tuple[Standing, ...] = ()
    camera: Float64 | None = None
    events: tuple[Event, ...] = ()

    @property
    def things(self) -> Things:
        """The distractors' bodies."""
        return Things(tuple(standing.thing for standing in self.distractors))

    @property
    def additions(self) -> tuple[Addition, ...]:
        """Bodies beside those of robot, table and task."""
        things = (self.things,) if self.distractors else ()
        return things + tuple(addition for event in self.events for addition in event.additions)

    def place(self, data: mujoco.MjData) -> None:
        """Stands the distractors where they belong."""
        for name, standing in zip(self.things.bodies, self.distractors, strict=True):
            move(data.joint(name).qpos, (standing.x, standing.y), standing.yaw)

    def look_at(self, seconds: float) -> Look:
        """Textures and light at a time since the reset [s]."""
        look = self.look
        for change in self.light_changes:
            look = change.at(look, seconds)
        return look


class Sampler(Protocol):
    """One disturbance: draws what it changes."""

    def __call__(self, scenario: Scenario, around: Surroundings) -> Scenario:
        """The scenario with this disturbance added."""

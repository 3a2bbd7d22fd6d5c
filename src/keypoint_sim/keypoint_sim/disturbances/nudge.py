"""Somebody pushes the task object while the tool is on its way to it.

Without this a policy that looked only once can pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.disturbances.additions import Addition
from keypoint_sim.disturbances.base import Running, Scenario, Stage, Surroundings
from keypoint_sim.rng import Stream
from keypoint_sim.tasks.base import move

SECONDS = 0.4  # that the push lasts
CHOICES = 100  # of pushes that are tried


@dataclass(frozen=True)
class Nudge:
    """One push of the object that the task is about, with all that lies on it.

    Attributes:
        shift: on the table [m].
        turn: about the vertical through the object's origin [rad].
        when: it begins when this part is left of the tool's way to its target.
    """

    shift: tuple[float, float]
    turn: float
    when: float

    @property
    def additions(self) -> tuple[Addition, ...]:
        """None."""
        return ()

    def begin(self, stage: Stage) -> Running:
        """Measures the way."""
        return _Nudging(self, stage)


class _Nudging:
    """Waits for the tool, then moves the object as a hand would, then is done; touching the object ends it."""

    def __init__(self, nudge: Nudge, stage: Stage) -> None:
        self._nudge, self._stage = nudge, stage
        placement, model = stage.task.placements[0], stage.model
        joints = [model.joint(name) for name in (placement.joint, *placement.riders)]
        self._qpos = [int(joint.qposadr[0]) for joint in joints]
        self._dof = [int(joint.dofadr[0]) for joint in joints]
        self._bodies = np.array([int(joint.bodyid[0]) for joint in joints])
        self._robot = int(model.body(stage.robot.base_body).id)
        self._tcp = int(model.site(stage.robot.tcp_site).id)
        self._way = self._distance()
        self._began: float | None = None
        self._part = 0.0
        self._done = False

    def step(self, seconds: float) -> None:
        """Pushes on, once the tool is near enough."""
        if self._done:
            return
        if self._touched():
            self._done = True
            return
        if self._began is None and self._distance() <= self._nudge.when * self._way:
            self._began = seconds
        if self._began is not None:
            self._push((seconds - self._began) / SECONDS)

    def _push(self, time: float) -> None:
        """Moves everything to where it is at this part of the push; at rest at the end."""
        model, data = self._stage.model, self._stage.data
        time = min(time, 1.0)
        part = time * time * (3 - 2 * time)
        change, self._part = part - self._part, part
        shift = (change * self._nudge.shift[0], change * self._nudge.shift[1])
        first = self._qpos[0]
        about = (float(data.qpos[first]), float(data.qpos[first + 1]))
        for qpos, dof in zip(self._qpos, self._dof, strict=True):
            move(data.qpos[qpos : qpos + 7], shift, change * self._nudge.turn, about)
            data.qvel[dof : dof + 6] = 0.0
        mujoco.mj_kinematics(model, data)
        self._stage.task.keep(data)
        self._done = time >= 1.0

    def _distance(self) -> float:
        data = self._stage.data
        return float(np.linalg.norm(data.site_xpos[self._tcp] - self._stage.task.target(data)))

    def _touched(self) -> bool:
        """Whether the robot touches the object or what lies on it."""
        model, data = self._stage.model, self._stage.data
        if not data.ncon:
            return False
        roots = model.body_rootid[model.geom_bodyid[data.contact.geom]]
        return bool(((roots == self._robot).any(axis=1) & np.isin(roots, self._bodies).any(axis=1)).any())


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws a push that keeps the object within reach, and off the other objects and the distractors."""
    rng, settings = around.rng(Stream.NUDGE), around.settings
    when = float(rng.uniform(*settings.nudge_when))
    placement, pose = around.task.placements[0], around.poses[0]
    distances, directions = rng.uniform(*settings.nudge_distance, CHOICES), rng.uniform(-np.pi, np.pi, CHOICES)
    turns = rng.uniform(-1, 1, CHOICES) * np.deg2rad(settings.nudge_angle)
    changes = np.column_stack([distances * np.cos(directions), distances * np.sin(directions), turns])
    ends = pose + changes
    within = ((ends >= placement.low) & (ends <= placement.high)).all(axis=1)
    if not within.any():
        return scenario
    room = np.array([_room(scenario, around, end) for end in ends[within]])
    best = int(np.argmax(np.minimum(room, 0.0)))  # the first one that has room enough, or else the one with the most
    x, y, turn = changes[within][best]
    nudge = Nudge((float(x), float(y)), float(turn), when)
    return replace(scenario, events=(*scenario.events, nudge))


def _room(scenario: Scenario, around: Surroundings, end: Float64) -> float:
    """How far [m] the object's own circles stay from the other objects' and from distractors; negative: too near.

    Circles that overlap already may do so, but come no closer.
    """
    poses = around.poses.copy()
    poses[0] = end
    before, after = around.task.keep_out(around.poses), around.task.keep_out(poses)
    own = (before != after).any(axis=1)
    others = after[~own]
    for standing in scenario.distractors:
        others = np.vstack([others, [standing.x, standing.y, standing.thing.make().radius]])
    if not own.any() or not len(others):
        return 0.0
    gaps, former = (_gaps(circles[own], others) for circles in (after, before))
    return float((gaps - np.minimum(former, 0.0)).min())


def _gaps(circles: Float64, others: Float64) -> Float64:
    """Between each two of circles [A, 3] and [B, 3] (x, y, radius) [m]; [A, B]."""
    between = np.linalg.norm(circles[:, None, :2] - others[None, :, :2], axis=2)
    return np.asarray(between - circles[:, None, 2] - others[None, :, 2])

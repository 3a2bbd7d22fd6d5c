"""A round of DAgger on what deployment gives the student: rendered frames, the correspondence, the tracker.

No noise model holds all that these do. The student drives, the expert labels every frame, and the tracks are recorded as
the student saw them.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import InputError
from keypoint_core.geometry.view import TrainingView
from keypoint_core.pipeline import Pipeline
from keypoint_core.protocols import Correspondence, Policy, Tracker
from keypoint_core.tracking import TRACKERS
from keypoint_core.types import ActionChunk, Float32, Observation
from keypoint_sim.episode import run_episode
from keypoint_sim.tasks.base import Outcome, TaskStatus
from keypoint_sim.world import World
from keypoint_training.crew import load_student
from keypoint_training.episodes import Episodes, join
from keypoint_training.export import camera_in_base
from keypoint_training.rollout import FrameRecord, as_episodes, make_arm_controller
from keypoint_training.settings import RolloutSettings

LOG = logging.getLogger("keypoint_training")
# by turns: the hardest of the paper's (other textures, things and light), and that with a push, after which tracks are worse
CONDITIONS = ("light", "light+nudge")
UNKNOWN = np.full(2, np.nan)  # the tool's pixel, which only the track noise asks for


@dataclass(frozen=True)
class Deployment:
    """What a student will be deployed with.

    Attributes:
        task, robot: names.
        pixels: [N, 2] keypoints in the reference view.
        correspondence, tracker: names of back ends.
        rollout: of the control path.
    """

    task: str
    robot: str
    pixels: Float32
    correspondence: str
    tracker: str
    rollout: RolloutSettings


class RenderedStage:
    """Runs episodes as deployment does.

    Args:
        world: of the task.
        deployment: of the student.
    """

    def __init__(self, world: World, deployment: Deployment) -> None:
        view = Reference.of(world.reference().frame, deployment.pixels)
        self._world = world
        self._correspondence: Correspondence = CORRESPONDENCES.create(deployment.correspondence, view)
        self._tracker: Tracker = TRACKERS.create(deployment.tracker)
        self._view = TrainingView(camera_in_base(world), world.camera.intrinsics)
        self._controller = make_arm_controller(world, deployment.rollout)

    def run(self, policy: Policy, scene: int, condition: str) -> tuple[TaskStatus, Episodes | None]:
        """One episode that a policy drives; nothing is recorded where the keypoints were not located.

        The episode's pixels and visible are what the policy was given, not the truth.
        """
        watched = LabelledPolicy(policy, self._world)
        pipeline = Pipeline(self._correspondence, self._tracker, watched, self._view)
        status = run_episode(self._world, pipeline, self._controller, scene, condition).status
        return status, as_episodes(status, watched.records) if watched.records else None


class LabelledPolicy:
    """A policy that notes what it is given at every frame, and what the expert would do there.

    Args:
        policy: that acts.
        world: that it acts in, at the frame's exposure whenever it is asked.
    """

    def __init__(self, policy: Policy, world: World) -> None:
        self._policy, self._expert = policy, world.expert()
        self.records: list[FrameRecord] = []

    def reset(self) -> None:
        """A new episode."""
        self._policy.reset()
        self.records = []

    def act(self, observation: Observation) -> ActionChunk:
        """The policy's chunk."""
        given, state = observation.keypoints, observation.state
        self.records.append(
            FrameRecord(given.pixels, given.visible, UNKNOWN, state.position, state.gripper, self._expert.act())
        )
        return self._policy.act(observation)


def gather(
    deployment: Deployment,
    weights: Path,
    scenes: Sequence[int],
    workers: int,
    progress: Callable[[str, int, int], None],
) -> Episodes:
    """Episodes that a student drives in these scenes; those in which nothing was located are left out.

    Args:
        deployment: of the student.
        weights: of the student.
        scenes: seeds.
        workers: processes; 0 runs everything in this one. The result does not depend on it.
        progress: told how many are done.

    Raises:
        InputError: that were all of them.
    """
    recorded = []
    for done, (scene, (status, episodes)) in enumerate(
        zip(scenes, _perform(deployment, weights, scenes, workers), strict=True), 1
    ):
        if status.outcome != Outcome.SUCCESS:
            LOG.debug("rendered: scene %d: %s", scene, status.reason)
        if episodes is not None:
            recorded.append(episodes)
        progress("rendered: student drives", done, len(scenes))
    if not recorded:
        raise InputError(
            f"the keypoints were located in none of {len(scenes)} rendered scenes; see the log for the reasons"
        )
    return join(recorded)


Result = tuple[TaskStatus, Episodes | None]


def _perform(deployment: Deployment, weights: Path, scenes: Sequence[int], workers: int) -> Iterator[Result]:
    """One result per scene, in their order."""
    jobs = [(scene, CONDITIONS[i % len(CONDITIONS)]) for i, scene in enumerate(scenes)]
    if workers:
        with multiprocessing.get_context("spawn").Pool(workers, _begin, (deployment, weights)) as pool:
            yield from pool.imap(_run, jobs)
        return
    world, policy = World(deployment.task, deployment.robot), load_student(weights)
    stage = RenderedStage(world, deployment)
    for scene, condition in jobs:
        yield stage.run(policy, scene, condition)
    world.close()


_performer: tuple[RenderedStage, Policy] | None = None


def _begin(deployment: Deployment, weights: Path) -> None:
    """Sets a worker up; Ctrl-C is for the parent alone, which ends the workers."""
    global _performer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _performer = RenderedStage(World(deployment.task, deployment.robot), deployment), load_student(weights)


def _run(job: tuple[int, str]) -> Result:
    if _performer is None:
        raise RuntimeError("this worker was never set up")
    stage, policy = _performer
    return stage.run(policy, *job)

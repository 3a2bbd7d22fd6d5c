"""Runs episodes in worker processes, each with a world of its own; results do not depend on how many there are."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from keypoint_core.policies.image_mlp import ImageMlpPolicy
from keypoint_core.policies.keypoint_mlp import KeypointMlpPolicy
from keypoint_core.types import Float32
from keypoint_sim.tasks.base import TaskStatus
from keypoint_sim.world import World
from keypoint_training.drivers import DisturbedExpert, Student
from keypoint_training.episodes import Episodes
from keypoint_training.rng import Stream, generator
from keypoint_training.rollout import Conditions, Driver, Stage, as_episodes
from keypoint_training.settings import Disturbance, TrainSettings
from keypoint_training.tracks import NoisyTracks, TrackNoise, Traits


@dataclass(frozen=True)
class Job:
    """One episode.

    Attributes:
        key: names its random numbers: training seed, then what tells it from all others.
        conditions: scene and control path.
        noise, severity: of the tracks; severity None draws one.
        weights: of the student that drives; None for the expert.
        expert_share: chance per frame that the expert drives instead of the student.
        disturbance: of the expert.
        label: whether the expert labels every frame.
    """

    key: tuple[int, ...]
    conditions: Conditions
    noise: TrackNoise
    severity: float | None = None
    weights: Path | None = None
    expert_share: float = 0.0
    disturbance: Disturbance = Disturbance()
    label: bool = True


@dataclass(frozen=True)
class Result:
    """The verdict on one episode and, where it was labelled, what was recorded."""

    status: TaskStatus
    episodes: Episodes | None


class Performer:
    """Runs jobs one after the other in this process."""

    def __init__(self, settings: TrainSettings, pixels: Float32, traits: Traits | None = None) -> None:
        torch.set_num_threads(1)
        self._world = World(settings.task, settings.robot)
        self._stage = Stage(self._world, pixels, settings.rollout)
        self._traits = traits or Traits(self._stage.points.bodies)
        self._policy: tuple[Path, KeypointMlpPolicy] | None = None

    def __call__(self, job: Job) -> Result:
        """Runs one job."""
        seed, *rest = job.key
        rng = generator(seed, Stream.EPISODE, *rest)
        noise = generator(seed, Stream.TRACKS, *rest)
        points = len(self._stage.points)
        tracks = NoisyTracks(job.noise, points, noise, fixed_severity=job.severity, traits=self._traits)
        status, records = self._stage.run(self._driver(job, rng), tracks, job.conditions, rng, job.label)
        return Result(status, as_episodes(status, records) if job.label else None)

    def close(self) -> None:
        """Frees the world."""
        self._world.close()

    def _driver(self, job: Job, rng: np.random.Generator) -> Driver:
        if job.weights is None:
            return DisturbedExpert(job.disturbance, rng)
        if self._policy is None or self._policy[0] != job.weights:
            self._policy = (job.weights, load_student(job.weights))
        return Student(self._policy[1], job.expert_share, rng)


class Crew:
    """Runs jobs in parallel and hands results back in the order of the jobs; a context manager.

    Args:
        settings: of the run.
        pixels: [N, 2] keypoints in the reference view.
        workers: processes; 0 runs everything in this one.
        traits: of the keypoints; None: each on the body that it is on, and alike.
    """

    def __init__(self, settings: TrainSettings, pixels: Float32, workers: int, traits: Traits | None = None) -> None:
        self._asked, self._workers = (settings, pixels, traits), workers
        self._performer: Performer | None = None
        self._pool: multiprocessing.pool.Pool | None = None

    def __enter__(self) -> Crew:
        if self._workers:
            context = multiprocessing.get_context("spawn")
            self._pool = context.Pool(self._workers, _begin, self._asked)
        else:
            self._performer = Performer(*self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()
        if self._performer is not None:
            self._performer.close()

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Results one by one."""
        if self._pool is not None:
            return self._pool.imap(_perform, jobs, chunksize=2)
        if self._performer is not None:
            return map(self._performer, jobs)
        raise RuntimeError("a crew works inside its `with` block only")


def save_student(path: Path, policy: KeypointMlpPolicy | ImageMlpPolicy) -> None:
    """Weights as safetensors at `path`, which appear last and whole, and their settings beside them."""
    part = path.with_suffix(".part")
    settings = policy.save(part)
    path.with_suffix(".json").write_text(json.dumps(settings, indent=2) + "\n")
    part.replace(path)


def load_student(path: Path) -> KeypointMlpPolicy:
    """Reads what `save_student` wrote."""
    return KeypointMlpPolicy.load(path, json.loads(path.with_suffix(".json").read_text()))


_performer: Performer | None = None


def _begin(settings: TrainSettings, pixels: Float32, traits: Traits | None) -> None:
    """Sets a worker up; Ctrl-C is for the parent alone, which ends the workers."""
    global _performer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _performer = Performer(settings, pixels, traits)


def _perform(job: Job) -> Result:
    if _performer is None:
        raise RuntimeError("this worker was never set up")
    return _performer(job)

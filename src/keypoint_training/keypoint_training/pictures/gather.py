"""Rendered episodes: who drives sees the picture, the expert labels every frame."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keypoint_core.policies.image_mlp import ImageMlpPolicy, Picture, shrink
from keypoint_core.types import ActionChunk, Observation
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World
from keypoint_training.drivers import DisturbedExpert, Student
from keypoint_training.pictures.settings import PictureSettings
from keypoint_training.rng import Stream, generator, scene_seed
from keypoint_training.rollout import Conditions, Driver, Stage
from keypoint_training.tracks import NO_NOISE, NoisyTracks

SOMEWHERE = np.array([[320.0, 400.0]])  # a point for the rollout to follow, which nobody looks at


@dataclass(frozen=True)
class PictureEpisodes:
    """E episodes, one behind the other: F frames in all.

    Attributes:
        lengths: [E] int64, frames of each.
        succeeded: [E] bool.
        color: [F, h, w, 3] uint8, RGB.
        depth: [F, h, w] uint16 [mm], 0 where unknown.
        joints: [F, D] float32 [rad], measured.
        opening: [F] float32, the gripper as measured, driver's unit.
        targets: [F, T, D] float32 [rad], what the expert would do from there.
        gripper: [F, T] float32, the same for the gripper, driver's unit.
    """

    lengths: NDArray[np.int64]
    succeeded: NDArray[np.bool_]
    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    joints: NDArray[np.float32]
    opening: NDArray[np.float32]
    targets: NDArray[np.float32]
    gripper: NDArray[np.float32]

    @property
    def frames(self) -> int:
        """F."""
        return len(self.color)


def join(parts: Iterable[PictureEpisodes]) -> PictureEpisodes:
    """All episodes of the parts, in order."""
    listed = list(parts)
    names = [field.name for field in fields(PictureEpisodes)]
    return PictureEpisodes(**{name: np.concatenate([getattr(part, name) for part in listed]) for name in names})


def save(path: Path, episodes: PictureEpisodes) -> None:
    """Writes .npz; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **{field.name: getattr(episodes, field.name) for field in fields(PictureEpisodes)})
    part.replace(path)


def load(path: Path) -> PictureEpisodes:
    """Reads what `save` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return PictureEpisodes(**{field.name: data[field.name] for field in fields(PictureEpisodes)})


@dataclass(frozen=True)
class Job:
    """One episode.

    Attributes:
        settings: of the run.
        round: 0 are the demonstrations.
        episode: its number in the round.
        weights: of the student that drives; None for the expert.
    """

    settings: PictureSettings
    round: int
    episode: int
    weights: Path | None


class Watcher:
    """Shows whoever drives the picture, and keeps it."""

    def __init__(self, world: World, driver: Driver, width: int, height: int) -> None:
        self._world, self._driver, self._size = world, driver, (width, height)
        self.pictures: list[Picture] = []

    def act(self, observation: Observation, label: ActionChunk | None) -> ActionChunk:
        """What the driver does."""
        frame = self._world.capture()
        self.pictures.append(shrink(frame, *self._size))
        return self._driver.act(replace(observation, frame=frame), label)


_stage: tuple[tuple[str, str], Stage] | None = None


def stage_of(task: str, robot: str) -> Stage:
    """The stage of a task; only the newest one is kept."""
    global _stage
    if _stage is None or _stage[0] != (task, robot):
        if _stage is not None:
            _stage[1].world.close()
        _stage = ((task, robot), Stage(World(task, robot), SOMEWHERE, PictureSettings().train.rollout))
    return _stage[1]


def perform(job: Job) -> PictureEpisodes:
    """Runs one episode."""
    s, key = job.settings, (job.round, job.episode)
    train, stage = s.train, stage_of(s.task, s.robot)
    rng = generator(s.seed, Stream.EPISODE, *key)
    driver: Driver = DisturbedExpert(train.disturbance, rng)
    if job.weights is not None:
        driver = Student(load_student(job.weights), s.expert_share**job.round, rng)
    watcher = Watcher(stage.world, driver, s.width, s.height)
    tracks = NoisyTracks(NO_NOISE, 1, generator(s.seed, Stream.TRACKS, *key), fixed_severity=0.0)
    conditions = Conditions(scene_seed(s.seed, train.first_episode(job.round) + job.episode))
    status, records = stage.run(watcher, tracks, conditions, rng, label=True)
    return PictureEpisodes(
        lengths=np.array([len(records)], dtype=np.int64),
        succeeded=np.array([status.outcome == Outcome.SUCCESS]),
        color=np.array([picture.color for picture in watcher.pictures]),
        depth=np.array([picture.depth for picture in watcher.pictures]),
        joints=np.array([record.joints for record in records], dtype=np.float32),
        opening=np.array([record.opening for record in records], dtype=np.float32),
        targets=np.array([record.label.positions for record in records], dtype=np.float32),
        gripper=np.array([record.label.gripper for record in records], dtype=np.float32),
    )


def gather(jobs: Sequence[Job], workers: int, progress: Callable[[int], None]) -> PictureEpisodes:
    """Runs all jobs; the result does not depend on the number of processes, 0 for none but this one."""
    parts = []
    if workers:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for part in pool.imap(perform, jobs):
                parts.append(part)
                progress(len(parts))
    else:
        for job in jobs:
            parts.append(perform(job))
            progress(len(parts))
    return join(parts)


def load_student(path: Path) -> ImageMlpPolicy:
    """Reads what `crew.save_student` wrote."""
    return ImageMlpPolicy.load(path, json.loads(path.with_suffix(".json").read_text()))

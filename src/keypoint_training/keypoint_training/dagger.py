"""Dataset aggregation (Ross, Gordon and Bagnell, AISTATS 2011): the student drives, the expert labels every state.

A run lives in a folder and is a function of its settings. Each round leaves its data (`round_<r>.npz`) and its student
(`round_<r>.safetensors`); a run that is taken up again goes on behind the last file it finds, to the same bits.
"""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keypoint_core.policies.keypoint_mlp import KeypointMlpPolicy
from keypoint_core.types import Intrinsics
from keypoint_sim.experts import DT
from keypoint_sim.tasks.base import Outcome
from keypoint_training import episodes as storage
from keypoint_training.crew import Crew, Job, Result, save_student
from keypoint_training.episodes import Episodes
from keypoint_training.fitting import fit, make_samples, policy_settings
from keypoint_training.rng import Stream, generator, scene_seed
from keypoint_training.rollout import Conditions
from keypoint_training.settings import TrainSettings
from keypoint_training.tracks import Traits

LOG = logging.getLogger("keypoint_training")
FINAL = "final.safetensors"

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class RoundFigures:
    """What a round showed; one line of metrics.csv.

    Attributes:
        round: 0 are the demonstrations.
        episodes, frames: gathered in this round.
        success_rate: of those who drove.
        loss: of the student that was fitted to all data up to this round.
        seconds: the round took.
    """

    round: int
    episodes: int
    frames: int
    success_rate: float
    loss: float
    seconds: float


def data_file(index: int) -> str:
    """Name of a round's data in its run folder."""
    return f"round_{index}.npz"


class Dagger:
    """One run.

    Args:
        folder: of the run.
        settings: of the run.
        camera: that the policy will see through.
        crew: runs the episodes.
        progress: told how far each stage is.
        traits: of the keypoints, as for NoisyTracks.
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainSettings,
        camera: Intrinsics,
        crew: Crew,
        progress: Progress,
        traits: Traits | None = None,
    ) -> None:
        self._folder, self._settings, self._camera = folder, settings, camera
        self._crew, self._progress, self._traits = crew, progress, traits

    def run(self) -> Path:
        """Goes through all rounds that are not there yet; returns the final student's weights."""
        for index in range(self._settings.rounds + 1):
            if not self._student(index).is_file():
                self._round(index)
        return self._student(self._settings.rounds)

    def gather(self) -> Episodes:
        """Goes through all rounds but fits nothing to the last one; returns all data."""
        last = self._settings.rounds
        for index in range(last):
            if not self._student(index).is_file():
                self._round(index)
        if not self._data(last).is_file():
            self._gather(last)
        return storage.join(storage.load(self._data(index)) for index in range(last + 1))

    def _round(self, index: int) -> None:
        """Gathers what is missing, fits, and notes the figures."""
        started = time.perf_counter()
        there = self._data(index).is_file()
        gathered = storage.load(self._data(index)) if there else self._gather(index)
        loss = self._fit(index, self._student(index))
        rate, seconds = float(gathered.succeeded.mean()), round(time.perf_counter() - started, 1)
        self._note(RoundFigures(index, len(gathered), gathered.frames, rate, loss, seconds))

    def _gather(self, index: int) -> Episodes:
        """Runs the episodes of a round and saves them."""
        jobs = list(self._jobs(index))
        stage = f"round {index}: {'student drives' if index else 'demonstrations'}"
        results = self._watched(stage, self._crew.run(jobs), len(jobs))
        gathered = storage.join(result.episodes for result in results if result.episodes is not None)
        storage.save(self._data(index), gathered)
        return gathered

    def _jobs(self, index: int) -> Iterator[Job]:
        """One job per episode; its numbers depend on the training seed, the round and the episode alone."""
        s = self._settings
        weights = self._student(index - 1) if index else None
        for i in range(s.round_size(index)):
            conditions = self._conditions(index, i)
            share = s.expert_share**index if index else 0.0
            yield Job((s.seed, index, i), conditions, s.noise, None, weights, share, s.disturbance)

    def _conditions(self, index: int, episode: int) -> Conditions:
        """Scene, latency and dropped frames of one episode."""
        s = self._settings
        rng = generator(s.seed, Stream.CONDITIONS, index, episode)
        scene = scene_seed(s.seed, s.first_episode(index) + episode)
        if rng.random() < s.rollout.lockstep:
            return Conditions(scene)
        latency, dropped = rng.uniform(0, s.rollout.latency), rng.uniform(0, s.rollout.dropped)
        return Conditions(scene, float(latency), s.rollout.latency_jitter, float(dropped))

    def _fit(self, index: int, student: Path) -> float:
        """Fits a student to all data so far, saves it and returns its loss."""
        s, final = self._settings, index == self._settings.rounds
        data = storage.join(storage.load(self._data(i)) for i in range(index + 1))
        samples = make_samples(data, s, generator(s.seed, Stream.REPLAY, index), self._traits)
        shape = policy_settings(s, storage.load(self._data(0)), self._camera, DT)
        steps, stage = (s.final_steps, "final student") if final else (s.round_steps, f"round {index}: fit")
        network, loss = fit(samples, shape, s, index, steps, lambda done, _: self._progress(stage, done, steps))
        save_student(student, KeypointMlpPolicy(network))
        return loss

    def _watched(self, stage: str, results: Iterable[Result], total: int) -> Iterator[Result]:
        for done, result in enumerate(results, 1):
            self._progress(stage, done, total)
            if result.status.outcome != Outcome.SUCCESS:
                LOG.debug("%s: episode %d: %s", stage, done - 1, result.status.reason)
            yield result

    def _note(self, figures: RoundFigures) -> None:
        LOG.info(
            "round %d: %d episodes, %d frames, success %.3f, loss %.5f, %.0f s",
            figures.round,
            figures.episodes,
            figures.frames,
            figures.success_rate,
            figures.loss,
            figures.seconds,
        )
        path = self._folder / "metrics.csv"
        fresh = not path.is_file()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(vars(figures)))
            if fresh:
                writer.writeheader()
            writer.writerow(vars(figures))

    def _data(self, index: int) -> Path:
        return self._folder / data_file(index)

    def _student(self, index: int) -> Path:
        name = FINAL if index == self._settings.rounds else f"round_{index}.safetensors"
        return self._folder / name

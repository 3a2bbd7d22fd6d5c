"""One run of DAgger with a student that looks at pictures, in a folder; a run that is taken up again goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from keypoint_core.policies.image_mlp import POINT_CLOUD, ImageMlp, ImageMlpPolicy, ImageMlpSettings
from keypoint_core.types import Intrinsics
from keypoint_sim.experts import DT
from keypoint_training.crew import save_student
from keypoint_training.episodes import Episodes
from keypoint_training.fitting import action_loss, policy_settings
from keypoint_training.pictures.gather import Job, PictureEpisodes, gather, join, load, save
from keypoint_training.pictures.settings import PictureSettings
from keypoint_training.rng import Stream, generator, torch_seed

LOG = logging.getLogger("keypoint_training")
FINAL = "final.safetensors"

Progress = Callable[[str, int, int], None]  # stage, done, total


class PictureRun:
    """One run.

    Args:
        folder: of the run.
        demonstrations: file of round 0, which students of all modalities share; made where it is missing.
        settings: of the run.
        camera: that the policy will look through.
        workers: processes; 0 runs everything in this one.
        progress: told how far each stage is.
    """

    def __init__(
        self,
        folder: Path,
        demonstrations: Path,
        settings: PictureSettings,
        camera: Intrinsics,
        workers: int,
        progress: Progress,
    ) -> None:
        self._folder, self._demonstrations, self._settings = folder, demonstrations, settings
        self._camera, self._workers, self._progress = camera, workers, progress

    def train(self) -> Path:
        """Goes through all rounds that are not there yet; returns the final student's weights."""
        for index in range(self._settings.rounds + 1):
            if not self._student(index).is_file():
                self._gather(index)
                self._fit(index)
        return self._student(self._settings.rounds)

    def _gather(self, index: int) -> None:
        path = self._data(index)
        if path.is_file():
            return
        s = self._settings
        weights = self._student(index - 1) if index else None
        jobs = [Job(s, index, i, weights) for i in range(s.train.round_size(index))]
        stage = f"round {index}: {'student drives' if index else 'demonstrations'}"
        episodes = gather(jobs, self._workers, lambda done: self._progress(stage, done, len(jobs)))
        save(path, episodes)
        LOG.info("%s: %d frames, success %.3f", stage, episodes.frames, episodes.succeeded.mean())

    def _fit(self, index: int) -> None:
        s, final = self._settings, index == self._settings.rounds
        data = join(load(self._data(i)) for i in range(index + 1))
        steps, stage = (s.final_steps, "final student") if final else (s.round_steps, f"round {index}: fit")
        network, loss = fit(data, s, self._camera, index, steps, lambda done: self._progress(stage, done, steps))
        save_student(self._student(index), ImageMlpPolicy(network))
        LOG.info("%s: loss %.5f", stage, loss)

    def _data(self, index: int) -> Path:
        return self._folder / f"round_{index}.npz" if index else self._demonstrations

    def _student(self, index: int) -> Path:
        return self._folder / (FINAL if index == self._settings.rounds else f"round_{index}.safetensors")


def network_settings(data: PictureEpisodes, settings: PictureSettings, camera: Intrinsics) -> ImageMlpSettings:
    """Shape and scales of the network, the latter from the data."""
    tracks = Episodes(
        lengths=data.lengths,
        succeeded=data.succeeded,
        pixels=np.zeros((data.frames, settings.features, 2), dtype=np.float32),
        visible=np.zeros((data.frames, settings.features), dtype=np.bool_),
        tool=np.zeros((data.frames, 2), dtype=np.float32),
        joints=data.joints,
        opening=data.opening,
        targets=data.targets,
        gripper=data.gripper,
    )
    head = policy_settings(settings.train, tracks, camera, DT)
    s = settings
    return ImageMlpSettings(s.modality, s.width, s.height, s.near, s.far, s.cloud, head)


def fit(
    data: PictureEpisodes,
    settings: PictureSettings,
    camera: Intrinsics,
    index: int,
    steps: int,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[ImageMlp, float]:
    """Trains a fresh network; returns it and the mean loss over the last tenth of the steps."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(settings.seed, Stream.WEIGHTS, index))
        network = ImageMlp(network_settings(data, settings, camera), camera)
    rng, options = generator(settings.seed, Stream.BATCHES, index), settings.fit
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    tail: list[float] = []
    for step in range(steps):
        loss = _loss(network, data, rng.integers(data.frames, size=options.batch), options.loss_knee, rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= steps - max(1, steps // 10):
            tail.append(float(loss.detach()))
        if step % 50 == 0:
            progress(step)
    progress(steps)
    return network, float(np.mean(tail))


def _loss(
    network: ImageMlp, data: PictureEpisodes, rows: NDArray[np.int64], knee: float, rng: np.random.Generator
) -> torch.Tensor:
    joints, opening, targets, gripper = (
        torch.from_numpy(part[rows]) for part in (data.joints, data.opening, data.targets, data.gripper)
    )
    color, depth = torch.from_numpy(data.color[rows]), torch.from_numpy(data.depth[rows].astype(np.int32))
    chance = None
    if network.settings.modality == POINT_CLOUD:
        chance = torch.from_numpy(rng.random((len(rows), depth[0].numel()), dtype=np.float32))
    answer = network(color, depth, joints[:, None], opening[:, None], chance)
    return action_loss(answer, network.head.normalise_targets(targets, gripper, joints), knee)

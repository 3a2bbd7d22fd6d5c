"""Data of some of the points, and of some of the episodes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from keypoint_training.episodes import Episodes
from keypoint_training.fitting import Batch, Samples

Tracks = TypeVar("Tracks", Samples, Batch)


def take_points(tracks: Tracks, kept: NDArray[np.int64]) -> Tracks:
    """The same frames with the points `kept` alone, in that order."""
    index = torch.from_numpy(kept)
    return replace(tracks, pixels=tracks.pixels[:, :, index], flags=tracks.flags[:, :, index])


def take_recorded_points(episodes: Episodes, kept: NDArray[np.int64]) -> Episodes:
    """The same episodes with the points `kept` alone, in that order."""
    return replace(episodes, pixels=episodes.pixels[:, kept], visible=episodes.visible[:, kept])


def split(episodes: Episodes, part: float, rng: np.random.Generator) -> tuple[Episodes, Episodes]:
    """Parts the episodes at random: the larger part, and `part` of them (one at least) to measure on."""
    order = rng.permutation(len(episodes))
    held = np.zeros(len(episodes), dtype=bool)
    held[order[: max(1, round(part * len(episodes)))]] = True
    return _take(episodes, ~held), _take(episodes, held)


def _take(episodes: Episodes, chosen: NDArray[np.bool_]) -> Episodes:
    """The episodes [E] that are chosen."""
    frames = np.repeat(chosen, episodes.lengths)
    per_episode = ("lengths", "succeeded")
    names = [field.name for field in fields(Episodes)]
    return Episodes(**{name: getattr(episodes, name)[chosen if name in per_episode else frames] for name in names})

"""Random numbers of training: one independent stream per purpose, apart from those of the simulation."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

FIRST_SCENE = 1_000_000  # training scenes have seeds from here on; lower ones are for evaluation
SCENES_PER_SEED = 100_000


class Stream(IntEnum):
    """What a stream is for. Numbers are never reused: they are part of what a training seed means."""

    EPISODE = 100
    TRACKS = 101
    WEIGHTS = 102
    BATCHES = 103
    REPLAY = 104
    CONDITIONS = 105
    DESCRIPTORS = 106
    CANDIDATES = 107
    SELECTION = 108


def generator(seed: int, stream: Stream, *more: int) -> np.random.Generator:
    """The generator of one stream of a training seed (and, say, one round and episode)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(stream), *more])))


def torch_seed(seed: int, stream: Stream, *more: int) -> int:
    """A seed for torch, drawn from one stream."""
    return int(np.random.SeedSequence([seed, int(stream), *more]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def scene_seed(seed: int, index: int) -> int:
    """The scene of the index-th training episode of a training seed; evaluations use seeds below FIRST_SCENE."""
    return FIRST_SCENE + SCENES_PER_SEED * seed + index

"""Random numbers: one independent stream per purpose, so that adding a draw to one leaves the others as they were."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from keypoint_core.errors import InputError


class Stream(IntEnum):
    """What a stream of random numbers is for. Numbers are never reused: they are part of what a seed means."""

    POSE = 0
    TABLE_TEXTURE = 1
    WALL_TEXTURE = 2
    LIGHT = 3
    SENSOR = 4
    REFERENCE = 5
    OBJECT_TEXTURE = 6
    NOISE_BANK = 7
    DISTRACTORS = 8
    CAMERA = 9
    OCCLUDER = 10
    NUDGE = 11
    EXPOSURES = 12
    CLUTTER = 13
    STATE = 14
    CALIBRATION = 15
    BUMP = 16


def generator(seed: int, stream: Stream, *more: int) -> np.random.Generator:
    """The generator of one stream of a seed (and, for the sensor, one tick).

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"a seed must be >= 0, got {seed}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(stream), *more])))

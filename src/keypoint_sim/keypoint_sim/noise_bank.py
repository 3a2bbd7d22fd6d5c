"""Random numbers of a whole image, drawn once; each frame cuts its own part out of them.

That is a hundred times cheaper than drawing a million numbers for every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from keypoint_core.types import Float32, Float64
from keypoint_sim.rng import Stream, generator

MARGIN = 128  # a bank is larger than the image by this much, each way
PHASES = 7
TICK = 0.01  # nominal duration of a control tick, by which slow changes go on [s]
Crop = tuple[slice, slice]


@dataclass(frozen=True)
class Moment:
    """What the sensor's failures depend on beside the picture; a function of (seed, tick).

    Attributes:
        seconds: since the scene was put up [s].
        phases: [PHASES] of slow changes, each with a use of its own; the same over a scene [rad].
        frame, scene: parts of the banks, for this frame and for the whole scene.
    """

    seconds: float
    phases: Float64
    frame: Crop
    scene: Crop

    @classmethod
    def of(cls, seed: int, tick: int, size: tuple[int, int]) -> Moment:
        """The moment of a tick of a scene, for images of this size (width, height)."""
        scene = generator(seed, Stream.SENSOR)
        phases = scene.uniform(0, 2 * np.pi, PHASES)
        return cls(tick * TICK, phases, _crop(generator(seed, Stream.SENSOR, tick), size), _crop(scene, size))


def normal_bank(number: int, size: tuple[int, int], channels: int = 1) -> Float32:
    """Standard normal numbers [H + MARGIN, W + MARGIN] (or [..., channels]); another number is another bank."""
    shape = (size[1] + MARGIN, size[0] + MARGIN)
    return _rng(number).standard_normal(shape if channels == 1 else (*shape, channels), dtype=np.float32)


def uniform_bank(number: int, size: tuple[int, int]) -> Float32:
    """Numbers of 0..1, evenly spread [H + MARGIN, W + MARGIN]."""
    return _rng(number).random((size[1] + MARGIN, size[0] + MARGIN), dtype=np.float32)


def smooth_bank(number: int, size: tuple[int, int], scale: float) -> Float32:
    """Standard normal numbers [H + MARGIN, W + MARGIN] that hardly change within `scale` pixels."""
    blurred = cv2.GaussianBlur(normal_bank(number, size), (0, 0), scale)
    return (blurred - blurred.mean()) / blurred.std()


def _rng(number: int) -> np.random.Generator:
    return generator(0, Stream.NOISE_BANK, number)


def _crop(rng: np.random.Generator, size: tuple[int, int]) -> Crop:
    top, left = (int(start) for start in rng.integers(0, MARGIN, 2))
    return slice(top, top + size[1]), slice(left, left + size[0])

"""When the camera exposes and when its pictures arrive.

Exposures come at a fixed interval, or each a random while later, or some never. Pictures arrive at once, or some frames
later.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Generic, TypeVar

from keypoint_core.types import SECOND, Float64
from keypoint_sim.rng import Stream, generator

BLOCK = 256  # so many frames' random numbers are drawn at once
T = TypeVar("T")


class Exposures:
    """On which control ticks exposures fall.

    Frame k is exposed on the first tick at or after k / rate plus its delay. Delays are drawn evenly from 0..jitter and
    do not add up: the camera's clock is right, its triggers are late. Frame 0 is always exposed, on tick 0.

    Args:
        period: of a control tick [ns].
        rate: frames per second; at most one frame falls on a tick.
        jitter: longest delay [s]; below an interval less a tick, so that frames keep their order.
        drop: probability that a frame is lost.
    """

    def __init__(self, period: int, rate: int, jitter: float, drop: float) -> None:
        self._period, self._rate = period, rate
        self._jitter, self._drop = round(jitter * SECOND), drop

    def due(self, tick: int, seed: int) -> bool:
        """Whether a frame is exposed on this tick, in the scene of this seed."""
        frame = self._whole_frames(tick * self._period)
        if not self._jitter and not self._drop:
            return frame > self._whole_frames((tick - 1) * self._period)
        return self._tick(frame, seed) == tick

    def _whole_frames(self, time: int) -> int:
        """The last frame whose nominal time is at or before this one [ns]."""
        return time * self._rate // SECOND

    def _tick(self, frame: int, seed: int) -> int | None:
        """On which a frame is exposed; None for a lost one."""
        if frame == 0:
            return 0
        late, luck = _draw(seed, frame // BLOCK)[frame % BLOCK]
        if luck < self._drop:
            return None
        return -((-frame * SECOND - int(late * self._jitter) * self._rate) // (self._rate * self._period))


@lru_cache(maxsize=64)
def _draw(seed: int, block: int) -> Float64:
    """[BLOCK, 2] of 0..1: each frame's delay and luck."""
    return generator(seed, Stream.EXPOSURES, block).random((BLOCK, 2))


class DelayLine(Generic[T]):
    """Gives back what it was given, in order, each when `frames` more have followed."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._waiting: deque[T] = deque()

    def put(self, item: T) -> T | None:
        """Takes an item; returns the one whose turn it is, None while there is none."""
        self._waiting.append(item)
        return self._waiting.popleft() if len(self._waiting) > self._frames else None

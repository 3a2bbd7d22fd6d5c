"""Who drives an episode: the expert with pushes, the student, or both in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keypoint_core.errors import InputError
from keypoint_core.protocols import Policy
from keypoint_core.types import SECOND, ActionChunk, Float64, Observation
from keypoint_training.settings import Disturbance


class DisturbedExpert:
    """The expert, pushed off its way now and then."""

    def __init__(self, disturbance: Disturbance, rng: np.random.Generator) -> None:
        self._disturbance, self._rng = disturbance, rng
        self._sigma = 0.0 if rng.random() < disturbance.undisturbed else disturbance.sigma
        self._until = round(rng.uniform(*disturbance.rest) * SECOND)
        self._pushed = False
        self._offset: Float64 | float = 0.0

    def act(self, observation: Observation, label: ActionChunk | None) -> ActionChunk:
        """The label with the present offset."""
        chunk = _required(label)
        if chunk.stamp >= self._until:
            self._pushed = not self._pushed
            span = self._disturbance.push if self._pushed else self._disturbance.rest
            self._until = chunk.stamp + round(self._rng.uniform(*span) * SECOND)
            self._offset = self._rng.normal(0.0, self._sigma, chunk.positions.shape[1]) if self._pushed else 0.0
        return replace(chunk, positions=chunk.positions + self._offset)


class Student:
    """The policy; with some chance per frame the expert takes over for that frame."""

    def __init__(self, policy: Policy, expert_share: float, rng: np.random.Generator) -> None:
        policy.reset()
        self._policy, self._share, self._rng = policy, expert_share, rng

    def act(self, observation: Observation, label: ActionChunk | None) -> ActionChunk:
        """The policy sees every frame, also those on which it does not drive."""
        chunk = self._policy.act(observation)
        return _required(label) if self._rng.random() < self._share else chunk


def _required(label: ActionChunk | None) -> ActionChunk:
    if label is None:
        raise InputError("the expert drives only in episodes that are labelled")
    return label

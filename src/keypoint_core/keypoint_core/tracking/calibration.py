"""From a network's score to a probability: a logistic map with two numbers (Platt, 1999).

A learnt tracker's confidence is to be the probability that a keypoint is visible and within 4 px of the truth. Its
score is not: it was trained for other thresholds, images and motion. Scores of episodes with truth give the map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Float64

_EDGE = 1e-6  # scores are kept this far from 0 and 1
_STEPS = 100


def confidence(score: Float32 | Float64, slope: float, offset: float) -> Float64:
    """[N] 0..1: the logistic function of slope * logit(score) + offset."""
    clipped = np.clip(np.asarray(score, dtype=np.float64), _EDGE, 1 - _EDGE)
    logit = np.log(clipped / (1 - clipped))
    result: Float64 = 1.0 / (1.0 + np.exp(-(slope * logit + offset)))
    return result


def fit(score: Float32 | Float64, correct: NDArray[np.bool_]) -> tuple[float, float]:
    """The slope and offset under which `confidence` predicts best what was correct.

    Args:
        score: [N] of a network: confidences of a tracker whose settings have slope 1 and offset 0.
        correct: [N] whether the point was visible and near the truth. As Platt does, each class counts as if one
            point of the other were among it, so that separable scores give finite numbers.

    Raises:
        InputError: fewer than two points are correct or wrong, or higher scores are not better.
    """
    hits, misses = int(np.sum(correct)), int(np.sum(~correct))
    if min(hits, misses) < 2:
        raise InputError(f"calibration needs points of both kinds, got {hits} correct and {misses} wrong ones")
    clipped = np.clip(np.asarray(score, dtype=np.float64), _EDGE, 1 - _EDGE)
    inputs = np.stack([np.log(clipped / (1 - clipped)), np.ones(len(clipped))], axis=1)
    target = np.where(correct, (hits + 1) / (hits + 2), 1 / (misses + 2))
    weights = np.array([0.0, np.log((hits + 1) / (misses + 1))])
    for _ in range(_STEPS):  # Newton's method; the loss is convex
        found = 1.0 / (1.0 + np.exp(-inputs @ weights))
        curvature = inputs.T @ (inputs * (found * (1 - found))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, inputs.T @ (target - found))
        weights = weights + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] <= 0:
        raise InputError(f"higher scores are not better on these {len(clipped)} points (slope {weights[0]:.3f})")
    return float(weights[0]), float(weights[1])

"""How likely is a keypoint where a pose puts it? A logistic model of what the live image shows there and around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.patches import ALIKE, Evidence
from keypoint_core.types import Float64

NAMES = (
    "bias",
    "correlation",
    "correlation squared",
    "plain",
    "shift",
    "agree",
    "nearer",
    "farther",
    "thin",
    "near",
    "near count",
    "wide",
    "matches near",
    "matches",
    "rival",
    "rival near",
    "unsure",
    "hidden",
    "covered",
    "chroma",
    "tint",
)
WEIGHTS = np.array(
    [
        -2.86,
        2.6,
        0.19,
        0.09,
        -0.31,
        0.87,
        1.8,
        -1.38,
        0.22,
        0.11,
        -0.9,
        4.31,
        0.43,
        0.25,
        -1.4,
        -0.99,
        -1.23,
        -1.58,
        -1.3,
        1.12,
        -0.16,
    ]
)

NEAR, WIDE = 0.03, 0.1  # standard deviations of the weight that surroundings lose with distance [m]
HIDDEN = 0.5  # share of a surface with something in front of it from which on it is hidden
OTHER_PLACE = 6.0  # places this far from each other contradict each other [px]


@dataclass(frozen=True)
class Support:
    """What the surroundings of N surfaces say for H poses.

    Attributes:
        near, wide: [H, N] share of the reference's corners that look alike under the pose, near the surface and in a
            wider circle, weighted by their nearness.
        count: [H, N] number of those near, weighted alike.
        matches_near: [H, N] number of matches that agree with the pose, weighted alike.
        matches: [H] number of all matches that agree.
    """

    near: Float64
    count: Float64
    wide: Float64
    matches_near: Float64
    matches: Float64


def features(evidence: Evidence, support: Support, sure: NDArray[np.bool_]) -> Float64:
    """What the probability is computed from, [H, N, F] in the order of NAMES.

    Args:
        evidence: at N surfaces under H poses.
        support: of their surroundings.
        sure: [N] whether the surface's depth is.
    """
    correlation = np.nan_to_num(evidence.correlation, nan=0.0)
    shape = correlation.shape
    total = np.maximum(support.matches_near.max(axis=0), 1e-6)
    strength = np.clip(correlation, 0, 1) * (0.3 + support.near)
    rival, rival_near = _rivals(evidence, strength, support.matches_near / total)
    return np.stack(
        [
            np.ones(shape),
            correlation,
            np.clip(correlation, 0, 1) ** 2,
            (~np.isfinite(evidence.correlation)).astype(np.float64),
            np.minimum(np.nan_to_num(evidence.shift, nan=5.0), 5.0),
            evidence.agree,
            evidence.nearer,
            evidence.farther,
            np.clip(0.5 - evidence.area, 0.0, 0.5),
            support.near,
            np.log1p(support.count),
            support.wide,
            np.log1p(support.matches_near),
            np.broadcast_to(np.log1p(support.matches)[:, None], shape),
            rival,
            rival_near,
            np.broadcast_to(~sure, shape).astype(np.float64),
            ((evidence.nearer > HIDDEN) & (correlation < ALIKE)).astype(np.float64),
            evidence.covered,
            evidence.chroma,
            np.minimum(evidence.tint / 10.0, 4.0),
        ],
        axis=2,
    )


def log_odds(values: Float64, weights: Float64 = WEIGHTS) -> Float64:
    """[H, N] of features [H, N, F]."""
    odds: Float64 = np.einsum("hnf,f->hn", values, weights)
    return odds


def probability(odds: Float64) -> Float64:
    """Of log odds."""
    result: Float64 = 1.0 / (1.0 + np.exp(-np.clip(odds, -40, 40)))
    return result


def _rivals(evidence: Evidence, strength: Float64, near: Float64) -> tuple[Float64, Float64]:
    """[H, N] the strongest evidence for another place, and the share of near matches that another place has."""
    h = len(strength)
    place = np.nan_to_num(evidence.pixels, nan=-1e4)
    rival, rival_near = np.zeros_like(strength), np.zeros_like(strength)
    for k in range(h):
        elsewhere: NDArray[np.bool_] = np.linalg.norm(place - place[k], axis=2) > OTHER_PLACE
        rival[k] = np.where(elsewhere, strength, 0.0).max(axis=0)
        rival_near[k] = np.where(elsewhere, near, 0.0).max(axis=0)
    return np.clip(rival, 0.0, None), rival_near


def nearness(points: Float64, others: Float64, sigma: float = NEAR) -> Float64:
    """[N, A] weight 0..1 of others [A, 3] in the surroundings of points [N, 3]."""
    squared = ((points[:, None] - others) ** 2).sum(axis=2)
    weight: Float64 = np.exp(-0.5 * squared / sigma**2)
    return weight

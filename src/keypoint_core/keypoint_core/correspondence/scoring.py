"""How likely is a keypoint where a pose puts it? What the trained score (`score.py`) rests on.

First what the place shows by itself; then what surrounds it, and what speaks for other places of the same keypoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.patches import ALIKE, Evidence
from keypoint_core.correspondence.rivals import most_elsewhere, share_elsewhere, undecided
from keypoint_core.types import Float64

NEAR, WIDE = 0.03, 0.1  # standard deviations of the weight that surroundings lose with distance [m]
HIDDEN = 0.5  # share of a surface with something in front of it from which on it is hidden
COVER = 3.0  # log odds that a place loses when something is in front of it; set, not fitted: few scenes have that
_SURE_LOOK = 5.0  # log odds of a place's own look are kept within
_LEANS, _RAISED = 0.5, 0.04  # what leans more [rad], or was raised more [m], counts as so much
_SOME, _MANY = 10.0, 20.0  # corners of a thing, beyond a keypoint's surroundings, that begin to count; and scale of it

LOOK = (
    "bias",
    "correlation",
    "correlation squared",
    "plain",
    "shift",
    "agree",
    "nearer",
    "farther",
    "thin",
    "unsure",
    "hidden",
    "covered",
    "chroma",
    "tint",
    "farther, surely",
    "farther x chroma",
    "farther x tint",
    "agree x correlation",
    "chroma x correlation",
    "agree x chroma",
    "agree x tint",
    "tint squared",
    "chroma squared",
)
FEATURES = (
    *LOOK,
    "near",
    "wide",
    "likeness near",
    "exact near",
    "agree near",
    "farther near",
    "chroma near",
    "tint near",
    "matches near",
    "matches",
    "ambiguous",
    "look odds",
    "look x wide",
    "look",
    "look, near",
    "look, alike",
    "whole",
    "whole, best",
    "look, exact",
    "look, matches",
    "look, elsewhere",
    "look, near, elsewhere",
    "look, alike, elsewhere",
    "whole, elsewhere",
    "whole, best, elsewhere",
    "look, exact, elsewhere",
    "look, matches, elsewhere",
    "whole, lead",
    "whole, ahead",
    "whole, best, lead",
    "matches, elsewhere",
    "leaning",
    "raised",
)


@dataclass(frozen=True)
class Support:
    """What the surroundings of N surfaces say for H poses: corners of the reference, and matches.

    Means are weighted by nearness; corners that the pose turns away, or that something hides, do not count in them.

    Attributes:
        near, wide: [H, N] share of the corners that look alike under the pose, near the surface and in a wider circle.
        likeness: [H, N] mean correlation of those near, negative ones and those not seen as 0.
        exact_near: [H, N] mean correlation of those near, just where the pose puts them.
        agree_near, farther_near: [H, N] mean shares of their patches whose depth is as predicted, or more.
        chroma_near, tint_near: [H, N] mean of their colours' correlation, and of their distance in units of 10.
        whole: [H, N] mean correlation of all corners of the surface's thing, just where the pose puts them.
        whole_best: [H, N] the same, each where it fits best within a pixel.
        rest: [N] number of these corners that are not near, seen or not, weighted by their distance.
        matches_near, matches_wide: [H, N] number of matches that agree with the pose, weighted by nearness.
        matches: [H] number of all matches that agree.
        leaning: [H] angle [rad] by which the pose tilts the table.
        raised: [H, N] how much higher over the table it puts the surface [m]. Both 0 where there is no table.
    """

    near: Float64
    wide: Float64
    likeness: Float64
    exact_near: Float64
    agree_near: Float64
    farther_near: Float64
    chroma_near: Float64
    tint_near: Float64
    whole: Float64
    whole_best: Float64
    rest: Float64
    matches_near: Float64
    matches_wide: Float64
    matches: Float64
    leaning: Float64
    raised: Float64


def look(evidence: Evidence, sure: NDArray[np.bool_]) -> Float64:
    """[H, N, L] what a place shows by itself, in the order of LOOK.

    Args:
        evidence: at N surfaces under H poses.
        sure: [N] whether the surface's depth is.
    """
    correlation = np.nan_to_num(evidence.correlation, nan=0.0)
    tint = tint_of(evidence)
    values = {
        "bias": np.ones(correlation.shape),
        "correlation": correlation,
        "correlation squared": np.clip(correlation, 0, 1) ** 2,
        "plain": (~np.isfinite(evidence.correlation)).astype(np.float64),
        "shift": np.minimum(np.nan_to_num(evidence.shift, nan=5.0), 5.0),
        "agree": evidence.agree,
        "nearer": evidence.nearer,
        "farther": evidence.farther,
        "thin": np.clip(0.5 - evidence.area, 0.0, 0.5),
        "unsure": np.broadcast_to(~sure, correlation.shape).astype(np.float64),
        "hidden": ((evidence.nearer > HIDDEN) & (correlation < ALIKE)).astype(np.float64),
        "covered": evidence.covered,
        "chroma": evidence.chroma,
        "tint": tint,
        "farther, surely": evidence.farther * sure,
        "farther x chroma": evidence.farther * evidence.chroma,
        "farther x tint": evidence.farther * tint,
        "agree x correlation": evidence.agree * correlation,
        "chroma x correlation": evidence.chroma * correlation,
        "agree x chroma": evidence.agree * evidence.chroma,
        "agree x tint": evidence.agree * tint,
        "tint squared": tint**2,
        "chroma squared": np.clip(evidence.chroma, 0, 1) ** 2,
    }
    return np.stack([values[name] for name in LOOK], axis=2)


def features(
    evidence: Evidence,
    support: Support,
    sure: NDArray[np.bool_],
    ambiguous: Float64,
    owners: NDArray[np.int64],
    shown: NDArray[np.bool_],
    weights: Float64,
) -> Float64:
    """[H, N, F] what the log odds of a place are computed from, in the order of FEATURES.

    Args:
        evidence: at N surfaces under H poses.
        support: of their surroundings.
        sure: [N] whether the surface's depth is.
        ambiguous: [N] how much it and its surroundings look like another place of the reference, see `strength`.
        owners: [N] the keypoint that each surface belongs to.
        shown: [H, N] whether the place is on the image.
        weights: [L] of the logistic model of the look.
    """
    own, places = look(evidence, sure), evidence.places
    odds = np.where(shown, np.einsum("hnl,l->hn", own, weights), -_SURE_LOOK)
    odds = np.clip(odds, -_SURE_LOOK, _SURE_LOOK)
    q = probability(odds)
    speaking = {
        "look": q,
        "look, near": q * (0.3 + support.near),
        "look, alike": q * support.likeness,
        "whole": support.whole,
        "whole, best": support.whole_best,
        "look, exact": q * support.exact_near,
        "look, matches": q * support.matches_near / max(float(support.matches_near.max()), 1e-6),
    }
    best = most_elsewhere(np.stack([np.where(shown, v, 0.0) for v in speaking.values()]), places, owners)
    elsewhere = dict(zip(speaking, best, strict=True))
    counts = 1.0 - np.exp(-np.maximum(support.rest - _SOME, 0.0) / _MANY)
    lead = (support.whole - elsewhere["whole"]) * counts
    open_still = undecided(
        places, np.clip(np.nan_to_num(evidence.correlation), 0, 1), support.whole, support.rest, owners
    )
    values = {
        **dict(zip(LOOK, np.moveaxis(own, 2, 0), strict=True)),
        "near": support.near,
        "wide": support.wide,
        "likeness near": support.likeness,
        "exact near": support.exact_near,
        "agree near": support.agree_near,
        "farther near": support.farther_near,
        "chroma near": support.chroma_near,
        "tint near": support.tint_near,
        "matches near": np.log1p(support.matches_near),
        "matches": np.broadcast_to(np.log1p(support.matches)[:, None], q.shape),
        "ambiguous": np.broadcast_to(ambiguous, q.shape),
        "look odds": odds,
        "look x wide": q * support.wide,
        **speaking,
        **{f"{name}, elsewhere": value for name, value in elsewhere.items()},
        "whole, lead": lead,
        "whole, ahead": np.maximum(lead, 0.0),
        "whole, best, lead": (support.whole_best - elsewhere["whole, best"]) * counts,
        "matches, elsewhere": share_elsewhere(support.matches_wide, places, owners) * open_still,
        "leaning": np.broadcast_to(np.minimum(support.leaning, _LEANS)[:, None], q.shape),
        "raised": np.minimum(np.abs(support.raised), _RAISED),
    }
    return np.stack([values[name] for name in FEATURES], axis=2)


def tint_of(evidence: Evidence) -> Float64:
    """[H, N] 0..4, distance of the mean colours in units of 10."""
    tint: Float64 = np.minimum(evidence.tint / 10.0, 4.0)
    return tint


def strength(evidence: Evidence, near: Float64) -> Float64:
    """[H, N] how much speaks for a place: its own likeness and that of its surroundings, `near` [H, N] of `Support`."""
    likeness: Float64 = np.clip(np.nan_to_num(evidence.correlation, nan=0.0), 0.0, 1.0) * (0.3 + near)
    return likeness


def probability(odds: Float64) -> Float64:
    """Of log odds."""
    result: Float64 = 1.0 / (1.0 + np.exp(-np.clip(odds, -40, 40)))
    return result


def nearness(points: Float64, others: Float64, sigma: float = NEAR) -> Float64:
    """[N, A] weight 0..1 of others [A, 3] in the surroundings of points [N, 3]."""
    squared = ((points[:, None] - others) ** 2).sum(axis=2)
    weight: Float64 = np.exp(-0.5 * squared / sigma**2)
    return weight

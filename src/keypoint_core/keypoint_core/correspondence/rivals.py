"""What speaks for other places of the same keypoint."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64

OTHER_PLACE = 6.0  # places this far from each other contradict each other [px]
# These three are set, not fitted: on scenes of all tasks from seeds 10000 to 12040.
_FEW = 20.0  # corners beyond the surroundings of a keypoint up to which a thing tells nothing of its own
_SURE = 2.0  # corners' worth of correlation that leaves a third of what speaks for other places
_SHARPER = 4.0  # weight of a keypoint's own correlation where it speaks against that
_NEARLY = 0.5  # log odds that two places are equal within; set, not fitted
_WITH = 3.0  # a keypoint this near to where a pose has it agrees with the pose [px]
_MORE = 1.0  # neighbours, weighted by nearness and probability, that make a majority; set, not fitted
_A_SAY = 0.5  # matches near a surface, weighted by nearness, from which on they tell its pose


def most_elsewhere(values: Float64, places: Float64, owners: NDArray[np.int64]) -> Float64:
    """[K, H, N] the highest of some values [K, H, N], at least 0, at the places of the same keypoint that contradict.

    Args:
        values: K of them for each place.
        places: [H, N, 2] pixels of N surfaces under H poses.
        owners: [N] the keypoint of each surface.
    """
    most = np.zeros_like(values)
    for mine, elsewhere in _apart(places, owners):
        flat = values[:, :, mine].reshape(len(values), 1, -1)
        most[:, :, mine] = np.where(elsewhere, flat, 0.0).max(axis=2).reshape(len(values), -1, len(mine))
    return most


def share_elsewhere(near: Float64, places: Float64, owners: NDArray[np.int64]) -> Float64:
    """[H, N] the most matches elsewhere, as a share of the most anywhere, of the number that agree [H, N]."""
    share: Float64 = most_elsewhere(near[None], places, owners)[0]
    for owner in np.unique(owners):
        mine = owners == owner
        share[:, mine] /= max(float(near[:, mine].max()), 1e-6)
    return share


def undecided(
    places: Float64, correlation: Float64, whole: Float64, rest: Float64, owners: NDArray[np.int64]
) -> Float64:
    """[H, N] 0..1, how little the look of its whole thing decides that this place of a keypoint is right, and no other.

    Turned by one leaf, a lid looks the same around each keypoint, and only the pot under it tells the turns apart. But
    what moved by itself, as a clock's hand, looks better elsewhere than where the rest would have it. A thing that hardly
    reaches beyond the keypoint's surroundings tells nothing that they do not.

    Args:
        places: [H, N, 2] pixels.
        correlation: [H, N] 0..1, how alike the surface itself is there.
        whole, rest: of `scoring.Support`.
        owners: [N] the keypoint of each surface.
    """
    lead = np.zeros_like(whole)
    for mine, elsewhere in _apart(places, owners):
        own, thing = correlation[:, mine].ravel(), whole[:, mine].ravel()
        ahead = thing[:, None] - thing + _SHARPER * np.minimum(own[:, None] - own, 0.0)
        least = np.where(elsewhere, ahead, np.inf).min(axis=1)
        lead[:, mine] = np.where(np.isfinite(least), least, 0.0).reshape(-1, len(mine))
    share: Float64 = np.exp(-np.maximum(rest - _FEW, 0.0) * np.maximum(lead, 0.0) / _SURE)
    return share


def _apart(places: Float64, owners: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """For each keypoint its M surfaces, and which of its H * M places [H * M, H * M] contradict each other."""
    for owner in np.unique(owners):
        mine = np.flatnonzero(owners == owner)
        place = np.nan_to_num(places[:, mine].reshape(-1, 2), nan=-1e4)
        yield mine, np.linalg.norm(place[:, None] - place, axis=2) > OTHER_PLACE


def equalled(
    places: Float64,
    odds: Float64,
    owners: NDArray[np.int64],
    pose: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """[K] whether another place of each of K keypoints, which contradicts the chosen one, is nearly as likely.

    Args:
        places: [H, N, 2] pixels.
        odds: [H, N] log odds of each place.
        owners: [N] the keypoint of each surface.
        pose: [K] and
        chosen: [K] surface that were chosen, -1 for none.
    """
    tied = np.zeros(len(chosen), dtype=np.bool_)
    for k in np.flatnonzero(chosen >= 0):
        mine = owners == k
        apart = np.linalg.norm(places[:, mine] - places[pose[k], chosen[k]], axis=2) > OTHER_PLACE  # false for NaN
        tied[k] = (odds[:, mine][apart] > odds[pose[k], chosen[k]] - _NEARLY).any()
    return tied


def outvoted(
    places: Float64,
    odds: Float64,
    owners: NDArray[np.int64],
    pose: NDArray[np.int64],
    chosen: NDArray[np.int64],
    votes: Float64,
) -> NDArray[np.bool_]:
    """[K] whether more neighbours agree with another pose, under which the keypoint would likely be at another place.

    What is on one thing moves with it: of a lid that looks the same turned, one keypoint alone is not turned. A clock's
    hand that turned is safe: where the dial would have it, it does not look likely.

    Args:
        places: [H, N, 2] pixels.
        odds: [H, N] log odds of each place.
        owners: [N] the keypoint of each surface.
        pose: [K] and
        chosen: [K] surface that were chosen, -1 for none.
        votes: [K, K] weight of each keypoint's neighbours, by nearness and probability; of itself 0.
    """
    known = np.flatnonzero(chosen >= 0)
    pixels = places[pose[known], chosen[known]]
    agrees = np.linalg.norm(places[:, chosen[known]] - pixels, axis=2) <= _WITH  # [H, K'], false for NaN
    support = np.einsum("hm,km->hk", agrees, votes[np.ix_(known, known)])
    out = np.zeros(len(chosen), dtype=np.bool_)
    for i, k in enumerate(known):
        mine = owners == k
        apart = np.linalg.norm(places[:, mine] - pixels[i], axis=2) > OTHER_PLACE  # false for NaN
        likely = (apart & (odds[:, mine] > 0)).any(axis=1)
        out[k] = (support[likely, i] > support[pose[k], i] + _MORE).any()
    return out


def leading_away(
    places: Float64,
    near: Float64,
    odds: Float64,
    owners: NDArray[np.int64],
    chosen: NDArray[np.int64],
    pixels: Float64,
) -> NDArray[np.int64]:
    """[K] how many surfaces of each of K keypoints besides the chosen one lead away from its pixel.

    A corner where one thing ends before another belongs to one of them, and only the reference's depth could tell which.
    Where they moved apart, the live image shows where each surface is, but not whose the keypoint was. A surface goes
    with the pose of the highest odds, or with the one that most matches near it agree with, if there are some.

    Args:
        places: [H, N, 2] pixels.
        near: [H, N] number of matches near the surface that agree.
        odds: [H, N] log odds of each place.
        owners: [N] the keypoint of each surface.
        chosen: [K] surface of each keypoint, -1 for none.
        pixels: [K, 2] its pixel.
    """
    index = np.arange(len(owners))
    likeliest, agreed = (places[which.argmax(axis=0), index] for which in (odds, near))
    away = ~(np.linalg.norm(likeliest - pixels[owners], axis=1) <= OTHER_PLACE)  # true for NaN
    told = near.max(axis=0) >= _A_SAY
    away |= told & ~(np.linalg.norm(agreed - pixels[owners], axis=1) <= OTHER_PLACE)
    away[chosen[chosen >= 0]] = False
    return np.bincount(owners, weights=away, minlength=len(pixels)).astype(np.int64)

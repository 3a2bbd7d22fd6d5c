"""Corners of the reference that bear witness for a pose: under the right one they look as they do in the reference."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.patches import ALIKE, Evidence
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.round_things import things_of
from keypoint_core.correspondence.sift_matcher import surroundings
from keypoint_core.correspondence.surfaces import Surfaces, surfaces_at
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float64

LEAST_ALIKE = 5  # corners that must look alike under a pose that is tried because the reference resembles itself
_TAKEN = 0.25  # weight of a corner that a chosen pose explains, in the choice of the next


def anchor_surfaces(reference: Reference, radius: int, most: int) -> Surfaces:
    """Corners whose depth is sure, around the keypoints and all over the things that these lie on.

    Each thing has its share of them: else a small dark one had none beside a large one with much print.

    Args:
        reference: with depth.
        radius: corners this near to a keypoint count where nothing stands out from the reference's plane [px].
        most: corners at most.
    """
    gray = cv2.cvtColor(reference.color, cv2.COLOR_RGB2GRAY)
    things, around = things_of(reference), surroundings(reference, radius)
    u, v = np.round(reference.pixels).astype(np.int64).T
    carrying, chosen, left = np.unique(things[v, u]), [np.empty((0, 2))], most
    for k, thing in enumerate(carrying):
        mask = np.where(things == thing, np.uint8(255) if thing else around, np.uint8(0))
        part = max(1, left // (len(carrying) - k))
        corners = cv2.goodFeaturesToTrack(gray, part, 0.01, 4, mask=mask, blockSize=5)
        if corners is not None:
            pixels = corners[:, 0].astype(np.float64)
            chosen.append(pixels[np.isfinite(depth_at(np.asarray(reference.depth), pixels))])
            left -= len(chosen[-1])
    return surfaces_at(reference, np.concatenate(chosen))


def same_thing(reference: Reference, pixels: Float64, corners: Float64) -> NDArray[np.bool_]:
    """[N, A] whether pixels [N, 2] and corners [A, 2] of a reference with depth lie on the same thing."""
    things = things_of(reference)
    at, other = (np.round(part).astype(np.int64) for part in (pixels, corners))
    mine, theirs = things[at[:, 1], at[:, 0]][:, None], things[other[:, 1], other[:, 0]]
    same: NDArray[np.bool_] = (mine == theirs) & (mine > 0)
    return same


def looks(witness: Evidence) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which anchors [H, A] a pose turns to the camera with nothing in front of them, and which of these look alike."""
    seen = np.isfinite(witness.correlation) & (witness.nearer < 0.5)
    return seen, seen & (witness.correlation >= ALIKE) & (witness.nearer + witness.farther < 0.5)


def share(alike: NDArray[Any], seen: NDArray[np.bool_], weights: Float64) -> Float64:
    """[H, N] how alike the anchors [H, A] that are seen look on average, weighted by their nearness [N, A]."""
    # einsum instead of products of matrices, whose order of summation depends on the number of threads.
    part, whole = (np.einsum("ha,na->hn", values, weights) for values in (alike, seen))
    average: Float64 = part / np.maximum(whole, 0.5)
    return average


def diverse(alike: NDArray[np.bool_], most: int) -> list[int]:
    """Which poses explain the most anchors [K, A], each anchor counting less whenever a pose that explains it is taken.

    Else the many look-alikes of a large thing would leave no place for the one of a small thing.
    """
    weight, chosen = np.ones(alike.shape[1]), list[int]()
    left = np.flatnonzero(alike.sum(axis=1) >= LEAST_ALIKE)
    while len(left) and len(chosen) < most:
        best = int(left[np.argmax((alike[left] * weight).sum(axis=1))])
        chosen.append(best)
        weight[alike[best]] *= _TAKEN
        left = left[left != best]
    return chosen

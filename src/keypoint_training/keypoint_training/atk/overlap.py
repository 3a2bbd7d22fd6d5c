"""How much two sets of kept points agree, and what would agree by chance.

Candidates are drawn anew for every seed, so two seeds never keep the same pixels. Points agree that are close to one another
in the reference view and on the same body. Any two sets that lie densely enough do: so the agreement of random sets
stands beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from keypoint_core.types import Float32

# [px]; candidates on a textured object are 6 px apart, and the nearest one of another seed is 3 px away, 16 at most.
RADIUS = 10.0
DRAWS = 200  # of random sets


@dataclass(frozen=True)
class Points:
    """Candidates of one run, and which of them it kept.

    Attributes:
        pixels: [M, 2] in the reference view.
        bodies: [M] what each sticks to.
        kept: indices of those that are kept.
    """

    pixels: Float32
    bodies: NDArray[np.str_]
    kept: NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """Two kept sets side by side. Shares are parts of all kept points of both, in 0..1: 2 matched / (kept_first + kept_second).

    Attributes:
        kept_first, kept_second: how many points each keeps.
        matched: pairs of them, one to one, within the radius and on the same body.
        share: that they make up.
        same_body: share of pairs on the same body, however far apart.
        possible: share if each set were free to take any candidate of the other run; bounds `share`.
        chance: expected share of random sets of the same sizes.
        chance_on_bodies: the same of random sets with as many points on each body.
    """

    kept_first: int
    kept_second: int
    matched: int
    share: float
    same_body: float
    possible: float
    chance: float
    chance_on_bodies: float


def overlap(a: Points, b: Points, radius: float = RADIUS, draws: int = DRAWS) -> Overlap:
    """Compares what two runs kept.

    Args:
        a, b: candidates and kept points of each.
        radius: up to which points count as the same [px].
        draws: random sets to take the expectations over; the same ones every time.
    """
    rng, both = np.random.default_rng(0), len(a.kept) + len(b.kept)
    count = matched(a, a.kept, b, b.kept, radius)
    everywhere, alike = np.zeros(draws), np.zeros(draws)
    for i in range(draws):
        everywhere[i] = matched(a, _anywhere(a, rng), b, _anywhere(b, rng), radius)
        alike[i] = matched(a, on_bodies(a, rng), b, on_bodies(b, rng), radius)
    all_a, all_b = np.arange(len(a.pixels)), np.arange(len(b.pixels))
    within_reach = matched(a, a.kept, b, all_b, radius) + matched(a, all_a, b, b.kept, radius)
    return Overlap(
        kept_first=len(a.kept),
        kept_second=len(b.kept),
        matched=count,
        share=2 * count / both,
        same_body=2 * matched(a, a.kept, b, b.kept, np.inf) / both,
        possible=within_reach / both,
        chance=2 * float(everywhere.mean()) / both,
        chance_on_bodies=2 * float(alike.mean()) / both,
    )


def matched(a: Points, of_a: NDArray[np.int64], b: Points, of_b: NDArray[np.int64], radius: float) -> int:
    """Largest number of pairs of these points, one to one, that are within the radius [px] and on the same body."""
    apart = np.linalg.norm(a.pixels[of_a][:, None] - b.pixels[of_b][None], axis=2)
    same = (apart <= radius) & (a.bodies[of_a][:, None] == b.bodies[of_b][None])
    return int(same[linear_sum_assignment(same, maximize=True)].sum())


def on_bodies(points: Points, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random candidates, as many on each body as are kept, ascending."""
    counts = Counter(points.bodies[points.kept].tolist())
    drawn = [rng.choice(np.flatnonzero(points.bodies == body), n, replace=False) for body, n in counts.items()]
    return np.sort(np.concatenate(drawn))


def _anywhere(points: Points, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(len(points.pixels), len(points.kept), replace=False)

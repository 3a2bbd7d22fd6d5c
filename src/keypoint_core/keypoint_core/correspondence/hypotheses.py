"""Rigid poses that groups of matches agree on: one for each body that moved by itself, and chance ones among them.

Sequential consensus: the pose that most matches agree on is taken, its matches are set aside, and so on. Samples are
drawn among matches that lie near each other on the reference, so that a small body beside a large one is sampled too.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.matches import Matches
from keypoint_core.correspondence.pose_fit import Observations, fit_pose, ideal_pixels, mirrored
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float64, Frame

_SEED = 20_412  # of the samples, so that every process draws the same
_UNDISTORTED = np.zeros(4)
_MOSTLY = 0.7  # share of matches with depth
_UNCERTAIN = 0.3  # weight of a match whose depth contradicts the pose: glass lies so, and chance does


@dataclass(frozen=True)
class HypothesisSettings:
    """How matches agree on poses.

    Attributes:
        most: poses at most.
        least: matches that must agree on one.
        samples: triples of matches from which poses are computed.
        near: the three lie within this distance on the reference [m].
        apart: and at least this far from each other [m].
        threshold: reprojection error of a match that agrees, while sampling [px].
        fine_threshold: the same in the refinement [px].
        pixel_sigma: error of a match's pixel [px].
        depth_sigma: error of the live depth [m].
        depth_tolerance: depth errors from which on a match does not quite agree [m].
    """

    most: int = 10
    least: int = 4
    samples: int = 800
    near: float = 0.08
    apart: float = 0.006
    threshold: float = 4.0
    fine_threshold: float = 2.5
    pixel_sigma: float = 1.0
    depth_sigma: float = 0.005
    depth_tolerance: float = 0.02


@dataclass(frozen=True)
class Hypothesis:
    """A pose and what speaks for it.

    Attributes:
        matrix: [4, 4] live_from_reference, from the reference's optical frame to the live one.
        inliers: [M] bool, of the matches.
        rms: reprojection error of the inliers [px].
    """

    matrix: Float64
    inliers: NDArray[np.bool_]
    rms: float


def observe(matches: Matches, frame: Frame, sigma: float) -> Observations:
    """Matches as a pose is fitted to them, with an error of their pixels [px]."""
    depth = np.full(len(matches), np.nan) if frame.depth is None else depth_at(frame.depth, matches.pixels)
    pixels = ideal_pixels(matches.pixels, frame.intrinsics)
    return Observations(matches.points, pixels, np.full(len(matches), sigma), depth, frame.intrinsics)


def find_hypotheses(matches: Matches, frame: Frame, settings: HypothesisSettings) -> list[Hypothesis]:
    """Poses that at least `least` matches agree on, the best founded first.

    Args:
        matches: M of them.
        frame: the live one, for its intrinsics and depth.
        settings: see there.
    """
    if len(matches) < settings.least:
        return []
    seen = observe(matches, frame, settings.pixel_sigma)
    poses = _sampled_poses(seen, settings)
    if not len(poses):
        return []
    agrees = _agreement(seen, poses, settings.threshold, settings)
    left = np.ones(len(matches), dtype=np.bool_)
    found: list[Hypothesis] = []
    for _ in range(3 * settings.most):
        support = (agrees * left).sum(axis=1)
        best = int(np.argmax(support))
        if support[best] < settings.least - 1e-9 or len(found) == settings.most:
            break
        hypothesis = _refined(seen, poses[best], left, settings)
        if hypothesis is None:
            agrees[best] = 0.0
            continue
        found.append(hypothesis)
        left &= ~hypothesis.inliers
        agrees[best] = 0.0
    return found


def agreement(seen: Observations, poses: Float64, settings: HypothesisSettings) -> Float64:
    """[K, M] how much each match agrees with each pose [K, 4, 4] that has been refined."""
    return _agreement(seen, poses, settings.fine_threshold, settings)


def _refined(
    seen: Observations, pose: Float64, left: NDArray[np.bool_], settings: HypothesisSettings
) -> Hypothesis | None:
    """The hypothesis near a sampled pose; None when too few of the matches that are left agree in the end."""
    chosen = (_agreement(seen, pose[None], settings.threshold, settings)[0] > 0) & left
    for step, threshold in enumerate((settings.threshold, settings.fine_threshold, settings.fine_threshold)):
        if chosen.sum() < settings.least:
            return None
        part = seen.take(chosen)
        # Where depth is known it tells the two poses of a flat object apart.
        flat = step == 0 and np.isfinite(part.depth).mean() < _MOSTLY
        starts = (pose, mirrored(part.points, pose)) if flat else (pose,)
        pose = min((fit_pose(part, start, settings.depth_sigma) for start in starts), key=lambda fit: fit[1])[0]
        agrees = _agreement(seen, pose[None], threshold, settings)[0]
        chosen = (agrees > 0) & left
    if agrees[chosen].sum() < settings.least - 1e-9:
        return None
    error = seen.errors(pose[None])[0][0][chosen]
    return Hypothesis(pose, chosen, float(np.sqrt(np.mean(error**2))))


def _agreement(seen: Observations, poses: Float64, threshold: float, settings: HypothesisSettings) -> Float64:
    """[K, M] how much each match agrees with each pose [K, 4, 4]: 0, 1, or in between where the depth does not."""
    error, depth = seen.errors(poses)
    contradicted = np.abs(depth) > settings.depth_tolerance  # false for NaN
    return np.where(error < threshold, np.where(contradicted, _UNCERTAIN, 1.0), 0.0)


def _sampled_poses(seen: Observations, settings: HypothesisSettings) -> Float64:
    """Poses [K, 4, 4] from triples of matches."""
    camera_matrix = seen.intrinsics.matrix
    poses = []
    for triple in _triples(seen, settings):
        count, turns, places = cv2.solveP3P(
            seen.points[triple], seen.pixels[triple], camera_matrix, _UNDISTORTED, cv2.SOLVEPNP_AP3P
        )
        for turn, place in zip(turns[:count], places[:count], strict=True):
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], place[:, 0]
            if np.isfinite(pose).all():
                poses.append(pose)
    return np.array(poses).reshape(-1, 4, 4)


def _triples(seen: Observations, settings: HypothesisSettings) -> NDArray[np.int64]:
    """[S, 3] indices of matches that lie near each other on the reference and keep their distances in the live view."""
    between = np.linalg.norm(seen.points[:, None] - seen.points, axis=2)
    possible = (between <= settings.near) & (between >= settings.apart)
    live = _live_points(seen)
    kept = np.abs(np.linalg.norm(live[:, None] - live, axis=2) - between) <= settings.depth_tolerance
    possible &= kept | ~np.isfinite(live[:, None, 0] + live[None, :, 0])
    rng = np.random.default_rng(_SEED)
    first = np.arange(6 * settings.samples) % len(seen.points)
    order = np.argsort(~possible, axis=1, kind="stable")
    count = possible.sum(axis=1)
    others = [_partner(order, count, first, rng.random(len(first))) for _ in range(2)]
    triples = np.column_stack([first, *others])
    valid = (triples >= 0).all(axis=1)
    valid &= possible[triples[:, 1], triples[:, 2]]
    kept_triples: NDArray[np.int64] = triples[valid][: settings.samples]
    return kept_triples


def _partner(
    order: NDArray[np.int64], count: NDArray[np.int64], first: NDArray[np.int64], chance: Float64
) -> NDArray[np.int64]:
    """For each index in `first` [S] one that is possible with it, chosen by chance [S] in 0..1; -1 where none is.

    Args:
        order: [M, M] for each index all others, those that are possible first.
        count: [M] how many are.
        first: see above.
        chance: see above.
    """
    picked = order[first, np.minimum((chance * count[first]).astype(np.int64), len(order) - 1)]
    partner: NDArray[np.int64] = np.where(count[first] > 0, picked, -1)
    return partner


def _live_points(seen: Observations) -> Float64:
    """[M, 3] [m] where the matches are in space, NaN where their live depth is unknown."""
    k = seen.intrinsics
    x = (seen.pixels[:, 0] - k.cx) / k.fx * seen.depth
    y = (seen.pixels[:, 1] - k.cy) / k.fy * seen.depth
    return np.column_stack([x, y, seen.depth])

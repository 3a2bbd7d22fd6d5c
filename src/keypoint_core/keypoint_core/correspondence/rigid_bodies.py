"""Locates keypoints that lie on one or several rigid bodies.

Matches agree on several poses, one for each body that moved by itself (and some by chance). Each keypoint is looked at
under every pose and follows the one that its own surroundings support. What no pose explains is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence import rivals, scoring
from keypoint_core.correspondence.anchors import LEAST_ALIKE, anchor_surfaces, diverse, looks, same_thing, share
from keypoint_core.correspondence.hypotheses import HypothesisSettings, agreement, find_hypotheses, observe
from keypoint_core.correspondence.matches import Matcher, Matches
from keypoint_core.correspondence.patches import ALIKE, Evidence, LiveImage, Patches
from keypoint_core.correspondence.pose_fit import Observations, fit_pose, ideal_pixels
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.round_things import turned_alike
from keypoint_core.correspondence.score import Score, load_score
from keypoint_core.correspondence.sift_matcher import surroundings
from keypoint_core.correspondence.standing import Ground, Standing, along, distinct
from keypoint_core.correspondence.surfaces import surfaces_at
from keypoint_core.correspondence.symmetry import self_similarities
from keypoint_core.errors import CorrespondenceError, InputError
from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import depth_at, lift
from keypoint_core.types import Float64, Frame, Keypoints, KeypointStatus

_ANCHOR_SIGMA = 0.5  # error of a patch's best place [px]
_PULL = 0.02  # of keypoints towards their pose, see Patches
_SELF = 0.004  # a corner this near to a keypoint is the keypoint itself [m]
_SAME = 0.3  # poses that put every keypoint and corner this near to each other are the same [px]
_SIMILAR = 2.0  # of poses this near to each other one is set upright [px]
_FEWEST = 4  # corners that must look alike under a pose that is fitted to them
_LAID = 3  # poses of a thing that are laid over what stands on the table


@dataclass(frozen=True)
class BodySettings:
    """What is accepted.

    Attributes:
        threshold: probability from which on a keypoint is accepted.
        min_located: fewer accepted keypoints are refused.
        anchors: corners of the reference that bear witness for a pose, at most.
        anchor_radius: half the side of their patches [px].
        patch_radius: half the side of the keypoints' patches [px].
        search: patches may sit this far from where a pose puts them [px of the reference].
        surroundings: corners this near to a keypoint in the reference bear witness [px].
        look_alikes: poses at most that are tried because the reference resembles itself.
        hypotheses: how poses are found.
        score: of places; None for the one in the models folder.
    """

    threshold: float = 0.85
    min_located: int = 4
    anchors: int = 100
    anchor_radius: int = 5
    patch_radius: int = 7
    search: int = 3
    surroundings: int = 30
    look_alikes: int = 18
    hypotheses: HypothesisSettings = field(default_factory=HypothesisSettings)
    score: Score | None = None


@dataclass(frozen=True)
class Located:
    """The outcome for N keypoints.

    Attributes:
        pixels: [N, 2], NaN where no pose puts the keypoint anywhere.
        probability: [N] of the place being right.
        hidden: [N] bool, something is in front of it there.
        poses: how many were tried.
        matches: how many there were; explained: how many of them agree with a pose.
    """

    pixels: Float64
    probability: Float64
    hidden: NDArray[np.bool_]
    poses: int
    matches: int
    explained: int


@dataclass(frozen=True)
class Candidates:
    """Every place that is considered: of N surfaces (a keypoint of unsure depth has several) under H poses.

    Attributes:
        owners: [N] index of the keypoint each surface belongs to.
        sure: [N] bool, whether its depth is.
        ambiguous: [N] how much it looks like another place of the reference.
        evidence: what the live image shows there.
        support: what the surroundings say.
        shown: [H, N] bool, whether the places lie on the image.
        hidden: [H, N] bool, something is in front of the place.
        explained: matches that agree with a pose.
    """

    owners: NDArray[np.int64]
    sure: NDArray[np.bool_]
    ambiguous: Float64
    evidence: Evidence
    support: scoring.Support
    shown: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    explained: int

    @property
    def places(self) -> Float64:
        """[H, N, 2] pixels."""
        return self.evidence.places

    def features(self, look: Float64) -> Float64:
        """[H, N, F] what the score of each place rests on, given the weights [L] of its own look."""
        return scoring.features(self.evidence, self.support, self.sure, self.ambiguous, self.owners, self.shown, look)


class RigidBodies:
    """Locates the keypoints of a reference by matches of a `Matcher`.

    Args:
        reference: with depth, which gives the features their place in space.
        matcher: made with the same reference.
        settings: see there.

    Raises:
        InputError: the reference has no depth, or none at too many keypoints.
        CheckpointError: the models folder has no score, or a damaged one.
    """

    def __init__(self, reference: Reference, matcher: Matcher, settings: BodySettings) -> None:
        require_depth(reference)
        self._reference, self._matcher, self._settings = reference, matcher, settings
        self._score = settings.score or load_score(scoring.LOOK, scoring.FEATURES)
        self._standing = Standing(reference)
        surfaces = surfaces_at(reference, reference.pixels.astype(np.float64))
        known = len(np.unique(surfaces.owners))
        if known < settings.min_located:
            raise InputError(
                f"{known} of the reference's {len(reference.ids)} keypoints have a depth, at least "
                f"{settings.min_located} must; move them off the holes of its depth image"
            )
        self._keypoints = Patches(reference, surfaces, settings.patch_radius, _PULL)
        self._anchors = Patches(
            reference, anchor_surfaces(reference, settings.surroundings, settings.anchors), settings.anchor_radius
        )
        self._anchor_things = self._standing.thing_at(self._anchors.surfaces.pixels)
        near = scoring.nearness(surfaces.points, self._anchors.surfaces.points)
        apart = np.linalg.norm(surfaces.points[:, None] - self._anchors.surfaces.points, axis=2) > _SELF
        self._near_anchors = near * apart
        wide = scoring.nearness(surfaces.points, self._anchors.surfaces.points, scoring.WIDE)
        self._wide_anchors = wide * apart
        self._own_anchors = same_thing(reference, surfaces.pixels, self._anchors.surfaces.pixels).astype(np.float64)
        points = np.full((len(reference.ids), 3), np.nan)
        points[surfaces.owners[::-1]] = surfaces.points[::-1]
        self._neighbours = np.nan_to_num(scoring.nearness(points, points, scoring.WIDE))  # 0 without a depth
        np.fill_diagonal(self._neighbours, 0.0)
        self._rest = (self._own_anchors * (1 - near)).sum(axis=1)
        repeated = self_similarities(reference, surroundings(reference, settings.surroundings))
        self._symmetries = np.concatenate([repeated, turned_alike(reference, self._anchors)])
        self._repeats, self._ambiguous = self._own_rivals(reference)

    def locate(self, frame: Frame) -> Keypoints:
        """Finds all keypoints in a live frame.

        Returns:
            all keypoints; confidence is the probability of being less than 5 px off; those below the threshold, and
            those outside the image, are LOST.

        Raises:
            CorrespondenceError: fewer than `min_located` reach the threshold.
        """
        located = self.examine(frame)
        accepted = located.probability >= self._settings.threshold
        if accepted.sum() < self._settings.min_located:
            raise CorrespondenceError(self._refusal(located, accepted))
        return self._result(frame, located, accepted)

    def examine(self, frame: Frame) -> Located:
        """Where each keypoint most likely is, accepted or not."""
        candidates, matches = self.candidates(frame)
        count = len(self._reference.ids)
        if candidates is None:
            nowhere = np.full((count, 2), np.nan)
            return Located(nowhere, np.zeros(count), np.zeros(count, dtype=np.bool_), 0, matches, 0)
        odds = self._score.log_odds(candidates.features(self._score.look)) - scoring.COVER * candidates.hidden
        odds[~candidates.shown] = -np.inf
        hypothesis, surface = _best(odds, candidates.owners, count)
        known = np.isfinite(odds[hypothesis, surface]) & (surface >= 0)
        pixels = np.where(known[:, None], candidates.places[hypothesis, surface], np.nan)
        probability = np.where(known, scoring.probability(odds[hypothesis, surface]), 0.0)
        probability /= 1 + rivals.leading_away(
            candidates.places, candidates.support.matches_near, odds, candidates.owners, surface, pixels
        )
        probability /= 1 + rivals.equalled(candidates.places, odds, candidates.owners, hypothesis, surface)
        probability /= 1 + rivals.outvoted(
            candidates.places, odds, candidates.owners, hypothesis, surface, self._neighbours * probability
        )
        hidden = candidates.hidden[hypothesis, surface] & known
        return Located(pixels, probability, hidden, len(odds), matches, candidates.explained)

    def candidates(self, frame: Frame) -> tuple[Candidates | None, int]:
        """Every place that is considered for each keypoint (None without a pose), and the number of matches."""
        matches = self._matcher.match(frame)
        found = find_hypotheses(matches, frame, self._settings.hypotheses)
        if not found:
            return None, len(matches)
        live = LiveImage.of(frame)
        seen = observe(matches, frame, self._settings.hypotheses.pixel_sigma)
        poses = np.array([h.matrix for h in found])
        poses = self._sharpened(live, frame, seen, np.concatenate([poses, self._look_alikes(live, poses)]))
        ground = self._standing.ground(frame, poses)
        if ground is not None:
            poses = np.concatenate([self._set_upright(live, frame, seen, ground, poses), poses])
        poses = poses[self._distinct(frame, poses, _SAME)]
        evidence = self._keypoints.examine(live, poses, self._settings.search)
        support = self._support(live, poses, matches, seen, ground)
        shown = camera.inside(evidence.places.reshape(-1, 2), frame.intrinsics).reshape(evidence.area.shape)
        hidden = (np.minimum(evidence.nearer, evidence.covered) > scoring.HIDDEN) & self._keypoints.surfaces.sure
        explained = int(np.any([h.inliers for h in found], axis=0).sum())
        surfaces = self._keypoints.surfaces
        return Candidates(
            surfaces.owners, surfaces.sure, self._ambiguous, evidence, support, shown, hidden, explained
        ), len(matches)

    def _support(
        self, live: LiveImage, poses: Float64, matches: Matches, seen: Observations, ground: Ground | None
    ) -> scoring.Support:
        """What the surroundings of each keypoint's surfaces say for each pose."""
        witness = self._anchors.examine(live, poses, 1)
        shown, alike = looks(witness)
        best = np.clip(np.nan_to_num(witness.correlation, nan=0.0), 0.0, 1.0)
        exact = self._anchors.examine(live, poses, 0, brief=True).correlation
        exact = np.clip(np.nan_to_num(exact, nan=0.0), 0.0, 1.0)
        agrees = agreement(seen, poses, self._settings.hypotheses)
        points = self._keypoints.surfaces.points
        near, wide = (scoring.nearness(points, matches.points, sigma) for sigma in (scoring.NEAR, scoring.WIDE))

        def mean(values: Float64, weights: Float64) -> Float64:
            return share(values * shown, shown, weights)

        return scoring.Support(
            near=share(alike, shown, self._near_anchors),
            wide=share(alike, shown, self._wide_anchors),
            likeness=share(best, np.ones_like(shown), self._near_anchors),
            exact_near=mean(exact, self._near_anchors),
            agree_near=mean(witness.agree, self._near_anchors),
            farther_near=mean(witness.farther, self._near_anchors),
            chroma_near=mean(np.clip(witness.chroma, 0.0, 1.0), self._near_anchors),
            tint_near=mean(scoring.tint_of(witness), self._near_anchors),
            whole=mean(exact, self._own_anchors),
            whole_best=mean(best, self._own_anchors),
            rest=self._rest,
            matches_near=np.einsum("hm,nm->hn", agrees, near),
            matches_wide=np.einsum("hm,nm->hn", agrees, wide),
            matches=agrees.sum(axis=1),
            leaning=np.zeros(len(poses)) if ground is None else self._standing.leaning(ground, poses),
            raised=np.zeros((len(poses), len(points)))
            if ground is None
            else self._standing.raised(ground, poses, points),
        )

    def _own_rivals(self, reference: Reference) -> tuple[NDArray[np.bool_], Float64]:
        """Which anchors look alike under each symmetry [S, A]; how much speaks for other places of the keypoints [N]."""
        if not len(self._symmetries):
            return np.zeros((0, len(self._anchors)), dtype=np.bool_), np.zeros(len(self._keypoints))
        live = LiveImage.of(Frame(0, reference.color, reference.depth, reference.intrinsics))
        shown, alike = looks(self._anchors.examine(live, self._symmetries, 2))
        near = share(alike, shown, self._near_anchors)
        evidence = self._keypoints.examine(live, self._symmetries, self._settings.search, brief=True)
        away = np.linalg.norm(evidence.pixels - self._keypoints.surfaces.pixels, axis=2) > rivals.OTHER_PLACE
        others: Float64 = np.where(away, scoring.strength(evidence, near), 0.0).max(axis=0)
        return alike, others

    def _look_alikes(self, live: LiveImage, poses: Float64) -> Float64:
        """Poses [K, 4, 4] under which other parts of the reference would look like what these poses explain."""
        explained = self._anchors.examine(live, poses, 1, brief=True).correlation >= ALIKE  # false for NaN
        related = np.einsum("ha,sa->hs", explained.astype(np.int64), self._repeats) >= LEAST_ALIKE
        pose, symmetry = np.nonzero(related)
        if not len(pose):
            return np.empty((0, 4, 4))
        others: Float64 = np.einsum("kij,kjl->kil", poses[pose], self._symmetries[symmetry])
        alike = self._anchors.examine(live, others, 1, brief=True).correlation >= ALIKE
        return others[diverse(alike, self._settings.look_alikes)]

    def _set_upright(
        self, live: LiveImage, frame: Frame, seen: Observations, ground: Ground, poses: Float64
    ) -> Float64:
        """Poses [K, 4, 4] that keep things upright, near those given: fitted again, and laid over the things' shapes."""
        alike = self._anchors.examine(live, poses, 1, brief=True).correlation >= ALIKE  # false for NaN
        enough = alike.sum(axis=1) >= _FEWEST
        points = self._anchors.surfaces.points
        centres = np.full((len(poses), 3), np.nan)
        centres[enough] = np.einsum("ha,aj->hj", alike[enough], points) / alike[enough].sum(axis=1)[:, None]
        upright = self._standing.upright(ground, poses, centres)
        if not len(upright):
            return upright
        upright = upright[self._distinct(frame, upright, _SIMILAR)]
        free = along(ground.table)
        upright = self._sharpened(live, frame, seen, upright, free)
        looks = self._anchors.examine(live, upright, 1, brief=True).correlation
        looks = np.clip(np.nan_to_num(looks, nan=0.0), 0.0, 1.0)
        parts = [upright]
        for thing in self._standing.shapes:
            likely = np.argsort(-looks[:, self._anchor_things == thing].sum(axis=1), kind="stable")[:_LAID]
            parts.append(self._sharpened(live, frame, seen, self._standing.laid(ground, upright[likely], thing), free))
        return np.concatenate(parts)

    def _distinct(self, frame: Frame, poses: Float64, apart: float) -> NDArray[np.int64]:
        """Which of the poses [H, 4, 4] put keypoints or corners elsewhere [px] than those before them."""
        points = np.concatenate([self._keypoints.surfaces.points, self._anchors.surfaces.points])
        moved = np.einsum("hij,nj->hni", poses[:, :3, :3], points) + poses[:, None, :3, 3]
        return distinct(camera.project(moved.reshape(-1, 3), frame.intrinsics).reshape(len(poses), -1, 2), apart)

    def _sharpened(
        self, live: LiveImage, frame: Frame, seen: Observations, poses: Float64, free: Float64 | None = None
    ) -> Float64:
        """The poses [H, 4, 4] fitted again to the matches and to the corners that look alike under them, see `fit_pose`."""
        settings = self._settings.hypotheses
        for search in (self._settings.search, 2):
            evidence = self._anchors.examine(live, poses, search, brief=True)
            agrees = agreement(seen, poses, settings) > 0
            for k, pose in enumerate(poses.copy()):
                alike = evidence.correlation[k] >= ALIKE  # false for NaN
                if alike.sum() < _FEWEST:
                    continue
                pixels = evidence.pixels[k][alike]
                corners = Observations(
                    self._anchors.surfaces.points[alike],
                    ideal_pixels(pixels, frame.intrinsics),
                    np.full(len(pixels), _ANCHOR_SIGMA),
                    np.full(len(pixels), np.nan) if frame.depth is None else depth_at(frame.depth, pixels),
                    frame.intrinsics,
                )
                poses[k], _ = fit_pose(seen.take(agrees[k]).join(corners), pose, settings.depth_sigma, free)
        return poses

    def _result(self, frame: Frame, located: Located, accepted: NDArray[np.bool_]) -> Keypoints:
        """The result as the stack's type; a keypoint without a place keeps its pixel of the reference."""
        known = np.isfinite(located.pixels).all(axis=1)
        pixels = np.where(known[:, None], located.pixels, self._reference.pixels)
        limit = [frame.intrinsics.width - 1, frame.intrinsics.height - 1]
        pixels = np.clip(pixels, 0, limit).astype(np.float32)
        points = lift(frame.depth, pixels, frame.intrinsics)
        points[~accepted] = np.nan
        return Keypoints(
            stamp=frame.stamp,
            ids=self._reference.ids.copy(),
            pixels=pixels,
            confidence=located.probability.astype(np.float32),
            status=np.where(accepted, KeypointStatus.VISIBLE, KeypointStatus.LOST).astype(np.uint8),
            points=points.astype(np.float32),
        )

    def _refusal(self, located: Located, accepted: NDArray[np.bool_]) -> str:
        """How many were located and why not more."""
        start = f"located {accepted.sum()} of {len(accepted)} keypoints, {self._settings.min_located} needed: "
        if not located.poses:
            return start + (
                f"the reference's {len(self._matcher)} features have {located.matches} matches in this frame, and no "
                "pose explains them; is the object in view, and lit?"
            )
        nowhere = ~np.isfinite(located.pixels).all(axis=1)
        unlike = ~accepted & ~located.hidden & ~nowhere
        return start + (
            f"{located.explained} of {located.matches} matches agree on {located.poses} poses; {unlike.sum()} keypoints "
            f"do not look like the reference there, {(located.hidden & ~accepted).sum()} are behind something, "
            f"{nowhere.sum()} are out of view or face away; clear the view or take a new reference"
        )


def require_depth(reference: Reference) -> None:
    """Raises InputError when the reference has no depth."""
    if reference.depth is None:
        raise InputError("this correspondence needs a reference with depth; record one")


def _best(odds: Float64, owners: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each of `count` keypoints the hypothesis [N] and the surface [N] with the highest odds; surface -1: none."""
    hypothesis, surface = np.zeros(count, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    best_of_surface = odds.argmax(axis=0)
    for i in range(count):
        mine = np.flatnonzero(owners == i)
        if len(mine):
            surface[i] = mine[np.argmax(odds[best_of_surface[mine], mine])]
            hypothesis[i] = best_of_surface[surface[i]]
    return hypothesis, surface

"""Correspondence by SIFT matches and a rigid pose.

The reference's features around its keypoints are matched to the live frame, agree on one rigid pose of the object, and
that pose carries all keypoints over, also those on plain patches. Each is then checked where it landed. The method
assumes that all keypoints lie on one rigid body.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.local_check import CheckSettings, LocalCheck, LocalEvidence
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.reference_features import FeatureSettings, Matches, ReferenceFeatures
from keypoint_core.correspondence.rigid_pose import PoseSettings, RigidPose, estimate_pose
from keypoint_core.errors import CorrespondenceError, InputError
from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import lift
from keypoint_core.types import Float64, Frame, Keypoints, KeypointStatus


@dataclass(frozen=True)
class SiftPnpSettings:
    """What is accepted.

    Attributes:
        threshold: score from which on a keypoint is accepted.
        min_located: fewer accepted keypoints are refused.
        alike: correlation from which on a keypoint speaks for the pose of the others too.
        hypotheses: poses to try; when the first convinces nobody, the next comes from the matches left over.
        features, pose, check: of the stages.
    """

    threshold: float = 0.4
    min_located: int = 4
    alike: float = 0.7
    hypotheses: int = 3
    features: FeatureSettings = field(default_factory=FeatureSettings)
    pose: PoseSettings = field(default_factory=PoseSettings)
    check: CheckSettings = field(default_factory=CheckSettings)


@dataclass(frozen=True)
class _Located:
    """One hypothesis: its pose, the keypoints' pixels [N, 2] and scores [N], and what the scores rest on."""

    pose: RigidPose
    pixels: Float64
    score: Float64
    evidence: LocalEvidence


class SiftPnp:
    """Locates the keypoints of a rigid object by SIFT and PnP.

    Args:
        reference: with depth, which gives the features their place in space.
        settings: see there.

    Raises:
        InputError: the reference has no depth, or none at too many keypoints.
    """

    def __init__(self, reference: Reference, settings: SiftPnpSettings | None = None) -> None:
        self._settings = settings or SiftPnpSettings()
        if reference.depth is None:
            raise InputError("sift_pnp needs a reference with depth; record one, or choose another correspondence")
        self._reference = reference
        self._points = lift(reference.depth, reference.pixels, reference.intrinsics)
        known = int(np.isfinite(self._points).all(axis=1).sum())
        if known < self._settings.min_located:
            raise InputError(
                f"{known} of the reference's {len(self._points)} keypoints have a sure depth, at least "
                f"{self._settings.min_located} must; move them off edges and holes of its depth image"
            )
        self._features = ReferenceFeatures(reference, self._settings.features)
        self._check = LocalCheck(reference, self._points, self._settings.check)

    def locate(self, frame: Frame) -> Keypoints:
        """Finds all keypoints in a live frame.

        Returns:
            all keypoints; confidence is the score; those below the threshold, and those outside the image, are LOST.

        Raises:
            CorrespondenceError: fewer than `min_located` reach the threshold.
        """
        gray = np.asarray(cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        matches = self._features.match(gray)
        best = self._best_hypothesis(frame, matches)
        if best is None:
            raise CorrespondenceError(
                f"located 0 of {len(self._points)} keypoints, {self._settings.min_located} needed: the reference's "
                f"{len(self._features)} features have {len(matches)} matches in this frame, and no pose explains them; "
                "is the object in view, and lit?"
            )
        accepted = best.score >= self._settings.threshold
        if accepted.sum() < self._settings.min_located:
            raise CorrespondenceError(self._refusal(best, matches, accepted))
        return self._keypoints(frame, best, accepted)

    def _best_hypothesis(self, frame: Frame, matches: Matches) -> _Located | None:
        """The hypothesis with the highest sum of scores."""
        best: _Located | None = None
        left = matches
        for _ in range(self._settings.hypotheses):
            pose = estimate_pose(left, frame, self._settings.pose)
            if pose is None:
                break
            located = self._examine(frame, pose)
            if best is None or located.score.sum() > best.score.sum():
                best = located
            if (best.score >= self._settings.threshold).mean() >= 0.5:
                break
            left = left.without(pose.inliers)
        return best

    def _examine(self, frame: Frame, pose: RigidPose) -> _Located:
        """Carries the keypoints over by a pose and scores them."""
        pixels = camera.project(camera.transform(pose.matrix, self._points), frame.intrinsics)
        evidence = self._check.examine(frame, pose.matrix)
        score = _consensus(pose, _others_alike(evidence, self._settings)) * _likeness(evidence, self._settings.check)
        seen = camera.inside(pixels, frame.intrinsics)
        return _Located(pose, pixels, np.where(seen, score, 0.0), evidence)

    def _keypoints(self, frame: Frame, located: _Located, accepted: NDArray[np.bool_]) -> Keypoints:
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
            confidence=located.score.astype(np.float32),
            status=np.where(accepted, KeypointStatus.VISIBLE, KeypointStatus.LOST).astype(np.uint8),
            points=points.astype(np.float32),
        )

    def _refusal(self, best: _Located, matches: Matches, accepted: NDArray[np.bool_]) -> str:
        """How many were located and why not more."""
        hidden = best.evidence.nearer < -self._settings.check.depth_tolerance
        outside = ~np.isfinite(best.pixels).all(axis=1) | (best.score == 0) & ~hidden
        unlike = ~accepted & ~hidden & ~outside
        return (
            f"located {accepted.sum()} of {len(accepted)} keypoints, {self._settings.min_located} needed: "
            f"{best.pose.inliers.sum()} of {len(matches)} matches agree on a pose ({best.pose.rms:.1f} px rms); "
            f"{unlike.sum()} keypoints do not look like the reference there, {hidden.sum()} are behind something, "
            f"{outside.sum()} are out of view or face away; clear the view or take a new reference"
        )


def _others_alike(evidence: LocalEvidence, settings: SiftPnpSettings) -> Float64:
    """[N] how many of the other keypoints look clearly like the reference under this pose."""
    alike = evidence.correlation >= settings.alike  # false for NaN
    alike &= ~(np.abs(evidence.nearer) > settings.check.depth_tolerance)
    others: Float64 = alike.sum() - alike.astype(np.float64)
    return others


def _consensus(pose: RigidPose, others: Float64) -> Float64:
    """[N] 0..1: how well the pose is founded, from the inliers' number, spread and error, and the other keypoints.

    Five inliers, the least a pose is taken from, give a fifth; twenty, or fewer and many keypoints alike, nearly all.
    """
    witnesses = pose.inliers.sum() + others
    spread = min(1.0, pose.spread / 12.0)
    consensus: Float64 = (1.0 - np.exp(-(witnesses - 3.5) / 6.0)) * spread * np.exp(-((pose.rms / 4.0) ** 2))
    return consensus


def _likeness(evidence: LocalEvidence, settings: CheckSettings) -> Float64:
    """[N] 0..1: how much each keypoint's surroundings speak for it.

    Without texture or with the surface facing away the correlation is unknown and counts as poor. A live depth that
    contradicts the predicted one all but rules the keypoint out; a missing one changes nothing.
    """
    correlation = np.nan_to_num(evidence.correlation, nan=0.3)
    appearance = np.clip((correlation - 0.1) / 0.7, 0.0, 1.0)
    contradicted = np.abs(evidence.nearer) > settings.depth_tolerance  # false for NaN
    likeness: Float64 = appearance * np.where(contradicted, 0.1, 1.0)
    return likeness

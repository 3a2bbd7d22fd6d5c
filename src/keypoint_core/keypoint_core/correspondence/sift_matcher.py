"""SIFT features of the reference around its keypoints, lifted to 3D, and their matches in a live image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.affine_views import AffineView, affine_views
from keypoint_core.correspondence.matches import Matches, joined
from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry.camera import deproject
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float32, Float64, Frame

_SPREAD = 3.0  # of a and b


@dataclass(frozen=True)
class SiftSettings:
    """How features are found and matched.

    Attributes:
        radius: features this near to a keypoint in the reference count [px].
        tilts: of the simulated views of the reference, besides the plain one.
        turns: directions per tilt.
        contrast: SIFT's contrast threshold; low, as the object is small and may lie in the dark.
        ratio: a match must be this much closer than the second best (Lowe, 2004).
        channels: pictures that features are found in, each for itself: "gray", and "a" and "b" of Lab, which show what
            differs in colour only.
    """

    radius: int = 30
    tilts: tuple[float, ...] = (1.41, 2.0)
    turns: int = 4
    contrast: float = 0.01
    ratio: float = 0.85
    channels: tuple[str, ...] = ("gray", "a", "b")


@dataclass(frozen=True)
class _ViewFeatures:
    """Features of one view: points [K, 3] [m], pixels [K, 2] of the reference, descriptors [K, 128]."""

    channel: str
    points: Float64
    sources: Float64
    descriptors: Float32


class SiftMatcher:
    """Matches the features around the reference's keypoints.

    Args:
        reference: with depth.
        settings: see there.
    """

    def __init__(self, reference: Reference, settings: SiftSettings) -> None:
        self._settings = settings
        self._sift = cv2.SIFT.create(contrastThreshold=settings.contrast)
        mask = surroundings(reference, settings.radius)
        found = [
            self._lifted(channel, view, reference)
            for channel in settings.channels
            for view in affine_views(_channel(reference.color, channel), mask, settings.tilts, settings.turns)
        ]
        self._views = [features for features in found if len(features.points)]

    def __len__(self) -> int:
        return sum(len(view.points) for view in self._views)

    def match(self, frame: Frame) -> Matches:
        """Each live feature at most once, with the place of the reference that it is most like."""
        return joined([self._match(frame, channel) for channel in self._settings.channels])

    def _match(self, frame: Frame, channel: str) -> Matches:
        """The matches in one channel."""
        image = _channel(frame.color, channel)
        keypoints, descriptors = self._describe(image, np.full_like(image, 255))
        if len(keypoints) < 2:
            return Matches.none()
        best = np.full(len(keypoints), np.inf)
        points, sources = np.zeros((len(keypoints), 3)), np.zeros((len(keypoints), 2))
        for view in (v for v in self._views if v.channel == channel):
            query, live, distance = self._pairs(view.descriptors, descriptors)
            for q, k, d in zip(query, live, distance, strict=True):
                if d < best[k]:
                    best[k], points[k], sources[k] = d, view.points[q], view.sources[q]
        order = np.argsort(best, kind="stable")[: int(np.isfinite(best).sum())]
        pixels = np.array([keypoints[i].pt for i in order], dtype=np.float64).reshape(-1, 2)
        return Matches(points[order], sources[order], pixels, np.clip(1 - best[order], 0, 1))

    def _pairs(self, view: Float32, live: Float32) -> tuple[list[int], list[int], list[float]]:
        """Features of a view [K, 128] and the live ones [L, 128] they match: both indices and the distance."""
        cosine, index = view @ live.T, np.arange(len(view))
        best = cosine.argmax(axis=1)
        first = _distance(cosine[index, best])
        cosine[index, best] = -1.0
        kept = np.flatnonzero(first <= self._settings.ratio * _distance(cosine.max(axis=1)))
        return kept.tolist(), best[kept].tolist(), first[kept].tolist()

    def _lifted(self, channel: str, view: AffineView, reference: Reference) -> _ViewFeatures:
        """The features of one view that have a place in space."""
        keypoints, descriptors = self._describe(view.image, view.mask)
        if not keypoints or reference.depth is None:
            return _ViewFeatures(channel, np.empty((0, 3)), np.empty((0, 2)), np.empty((0, 128), np.float32))
        in_view = np.array([keypoint.pt for keypoint in keypoints])
        pixels = in_view @ view.source_from_view[:, :2].T + view.source_from_view[:, 2]
        points = deproject(pixels, depth_at(reference.depth, pixels), reference.intrinsics)
        known = np.isfinite(points).all(axis=1)
        return _ViewFeatures(channel, points[known], pixels[known], descriptors[known])

    def _describe(self, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[list[cv2.KeyPoint], Float32]:
        """SIFT features and their descriptors [K, 128] under the Hellinger kernel (Arandjelovic, Zisserman, 2012)."""
        keypoints, descriptors = self._sift.detectAndCompute(image, mask)
        if descriptors is None:
            return [], np.empty((0, 128), np.float32)
        descriptors = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
        return list(keypoints), np.sqrt(descriptors, dtype=np.float32)


def _distance(cosine: Float32) -> Float32:
    """Between descriptors of length 1."""
    distance: Float32 = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
    return distance


def surroundings(reference: Reference, radius: int) -> NDArray[np.uint8]:
    """[H, W] uint8, 255 within `radius` px of a keypoint of the reference."""
    mask = np.zeros(reference.color.shape[:2], np.uint8)
    for u, v in np.round(reference.pixels).astype(int).tolist():
        cv2.circle(mask, (u, v), radius, (255,), -1)
    return mask


def _channel(color: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """[H, W] uint8 of a picture [H, W, 3] uint8 RGB; colours around gray are spread, for objects use few of them."""
    if name == "gray":
        return np.asarray(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    lab = cv2.cvtColor(color, cv2.COLOR_RGB2Lab)[..., {"a": 1, "b": 2}[name]]
    return np.clip(_SPREAD * (lab.astype(np.float32) - 128) + 128, 0, 255).astype(np.uint8)

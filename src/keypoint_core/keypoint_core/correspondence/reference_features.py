"""SIFT features of the reference's object, lifted to 3D, and their matches in a live image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.affine_views import AffineView, affine_views
from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry.camera import deproject
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float32, Float64


@dataclass(frozen=True)
class FeatureSettings:
    """How features are found and matched.

    Attributes:
        radius: features this far outside the keypoints' convex hull still count [px].
        tilts: of the simulated views of the reference, besides the plain one.
        turns: directions per tilt.
        contrast: SIFT's contrast threshold; low, as the object is small and may lie in the dark.
        ratio: a match must be this much closer than the second best (Lowe, 2004).
    """

    radius: int = 12
    tilts: tuple[float, ...] = (1.41, 2.0)
    turns: int = 4
    contrast: float = 0.01
    ratio: float = 0.85


@dataclass(frozen=True)
class Matches:
    """M matches.

    Attributes:
        points: [M, 3] float64, of the reference's features [m] in the reference's optical frame.
        pixels: [M, 2] float64, in the live image.
    """

    points: Float64
    pixels: Float64

    def __len__(self) -> int:
        return len(self.points)

    def without(self, used: NDArray[np.bool_]) -> Matches:
        """The matches that are not marked in `used` [M]."""
        return Matches(self.points[~used], self.pixels[~used])


class ReferenceFeatures:
    """The features of the object that the reference's keypoints lie on.

    Args:
        reference: with depth.
        settings: see there.
    """

    def __init__(self, reference: Reference, settings: FeatureSettings) -> None:
        self._settings = settings
        self._sift = cv2.SIFT.create(contrastThreshold=settings.contrast)
        gray = np.asarray(cv2.cvtColor(reference.color, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        mask = _hull_mask(reference, settings.radius)
        views = affine_views(gray, mask, settings.tilts, settings.turns)
        self._views = [view for view in (self._lifted(view, reference) for view in views) if len(view[0])]

    def __len__(self) -> int:
        return sum(len(points) for points, _ in self._views)

    def match(self, gray: NDArray[np.uint8]) -> Matches:
        """Matches [H, W] uint8, gray; each live feature at most once with one place of the object."""
        keypoints, descriptors = self._describe(gray, np.full_like(gray, 255))
        if len(keypoints) < 2:
            return Matches(np.empty((0, 3)), np.empty((0, 2)))
        matcher = cv2.BFMatcher(cv2.NORM_L2)
        found: dict[int, tuple[float, Float64]] = {}  # live feature -> distance, point
        for points, view_descriptors in self._views:
            for best, second in matcher.knnMatch(view_descriptors, descriptors, k=2):
                if best.distance > self._settings.ratio * second.distance:
                    continue
                if best.trainIdx not in found or best.distance < found[best.trainIdx][0]:
                    found[best.trainIdx] = (best.distance, points[best.queryIdx])
        order = sorted(found, key=lambda index: (found[index][0], index))
        return Matches(
            np.array([found[i][1] for i in order]).reshape(-1, 3),
            np.array([keypoints[i].pt for i in order], dtype=np.float64).reshape(-1, 2),
        )

    def _lifted(self, view: AffineView, reference: Reference) -> tuple[Float64, Float32]:
        """Points [K, 3] in the reference's optical frame and descriptors [K, 128] of one view's features."""
        keypoints, descriptors = self._describe(view.image, view.mask)
        if not keypoints or reference.depth is None:
            return np.empty((0, 3)), np.empty((0, 128), np.float32)
        in_view = np.array([keypoint.pt for keypoint in keypoints])
        pixels = in_view @ view.source_from_view[:, :2].T + view.source_from_view[:, 2]
        points = deproject(pixels, depth_at(reference.depth, pixels), reference.intrinsics)
        known = np.isfinite(points).all(axis=1)
        return points[known], descriptors[known]

    def _describe(self, gray: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[list[cv2.KeyPoint], Float32]:
        """SIFT features and their descriptors [K, 128] under the Hellinger kernel (Arandjelovic, Zisserman, 2012)."""
        keypoints, descriptors = self._sift.detectAndCompute(gray, mask)
        if descriptors is None:
            return [], np.empty((0, 128), np.float32)
        descriptors = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
        return list(keypoints), np.sqrt(descriptors, dtype=np.float32)


def _hull_mask(reference: Reference, radius: int) -> NDArray[np.uint8]:
    """[H, W] uint8, 255 within `radius` px of the keypoints' convex hull."""
    mask = np.zeros(reference.color.shape[:2], np.uint8)
    hull = cv2.convexHull(np.round(reference.pixels).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (255,))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return np.asarray(cv2.dilate(mask, kernel), dtype=np.uint8)

"""Matches by dense features: points of the reference in many transformed views of it, best score per point.

Features see a bit of what surrounds a point and are not quite the same when it is turned, nearer or in other light. So
the reference is shown to the network turned, scaled and relit too, and each point keeps the view that it is found by
best (the transfer step of ATK, CoRL 2025). A point counts only when the live place it found finds it back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.matches import Matches
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.sift_matcher import surroundings
from keypoint_core.geometry.lifting import lift
from keypoint_core.protocols import FeatureExtractor
from keypoint_core.types import Float32, Float64, Frame

_SEED = 7  # of the views' light


@dataclass(frozen=True)
class FeatureMatcherSettings:
    """Which points are looked for, and by which views.

    Attributes:
        radius: points this near to a keypoint of the reference are looked for too [px].
        step: between these points [px].
        margin: of the picture around them that the features see too [px].
        turns: of the views in the image plane [deg].
        scales: of the views that are not turned.
        light: views differ in brightness by up to this share, and in contrast.
        back: a live place must find its point back within this distance [px], or half a cell.
        least: similarity below which a match is none.
    """

    radius: int = 24
    step: int = 6
    margin: int = 48
    turns: tuple[float, ...] = (0.0, 30.0, -30.0, 60.0, -60.0)
    scales: tuple[float, ...] = (0.8, 1.25)
    light: float = 0.3
    back: float = 6.0
    least: float = 0.2


class FeatureMatcher:
    """Matches points around the reference's keypoints by a `FeatureExtractor`.

    Args:
        reference: with depth.
        extractor: of the features.
        settings: see there.
    """

    def __init__(self, reference: Reference, extractor: FeatureExtractor, settings: FeatureMatcherSettings) -> None:
        self._extractor, self._settings = extractor, settings
        pixels = _points(reference, settings)
        points = lift(reference.depth, pixels, reference.intrinsics)
        known = np.isfinite(points).all(axis=1)
        self._pixels, self._points = pixels[known], points[known]
        self._views = _describe(reference.color, self._pixels, extractor, settings) if known.any() else []

    def __len__(self) -> int:
        return len(self._points)

    def match(self, frame: Frame) -> Matches:
        """The points that are found, and found back; surest first."""
        if not self._views:
            return Matches.none()
        live = self._extractor.extract(frame.color)
        found = [live.mode(view) for view in self._views]
        similarity = np.stack([score for _, score in found])  # [V, P]
        view = similarity.argmax(axis=0)
        index = np.arange(len(view))
        places = np.stack([pixels for pixels, _ in found])[view, index]
        score = similarity[view, index].astype(np.float64)
        near = max(self._settings.back, live.scale / 2)
        kept = (self._back(live.sample(places), view) <= near) & (score >= self._settings.least)
        order = np.flatnonzero(kept)[np.argsort(-score[kept], kind="stable")]
        return Matches(self._points[order], self._pixels[order], places[order].astype(np.float64), score[order])

    def _back(self, seen: Float32, view: NDArray[np.int64]) -> Float64:
        """[P] how far on the reference each point lies from the one that its live place [P, D] is most like [px]."""
        distance = np.full(len(view), np.inf)
        for k, descriptors in enumerate(self._views):
            mine = np.flatnonzero(view == k)
            nearest = (_unit(seen[mine]) @ _unit(descriptors).T).argmax(axis=1)
            distance[mine] = np.linalg.norm(self._pixels[nearest] - self._pixels[mine], axis=1)
        return distance


def _points(reference: Reference, settings: FeatureMatcherSettings) -> Float64:
    """The keypoints [N, 2] and a grid around them."""
    mask = surroundings(reference, settings.radius)
    v, u = np.mgrid[: mask.shape[0] : settings.step, : mask.shape[1] : settings.step]
    grid = np.column_stack([u.ravel(), v.ravel()])
    chosen = grid[mask[grid[:, 1], grid[:, 0]] > 0]
    pixels: Float64 = np.concatenate([reference.pixels, chosen]).astype(np.float64)
    return pixels


def _describe(
    color: NDArray[np.uint8], pixels: Float64, extractor: FeatureExtractor, settings: FeatureMatcherSettings
) -> list[Float32]:
    """Descriptors [P, D] of pixels [P, 2] of the reference in each view of it."""
    low = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - settings.margin, 0)
    high = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + settings.margin + 1, color.shape[1::-1])
    part = color[low[1] : high[1], low[0] : high[0]]
    rng = np.random.default_rng(_SEED)
    changes = [(turn, 1.0) for turn in settings.turns] + [(0.0, scale) for scale in settings.scales]
    views = []
    for k, (turn, scale) in enumerate(changes):
        image, view_from_part = _transformed(part, turn, scale)
        if k:  # the first is the reference as it is
            image = _relit(image, rng, settings.light)
        places = (pixels - low) @ view_from_part[:, :2].T + view_from_part[:, 2]
        views.append(extractor.extract(image).sample(places))
    return views


def _transformed(image: NDArray[np.uint8], turn: float, scale: float) -> tuple[NDArray[np.uint8], Float64]:
    """The image turned [deg] and scaled, large enough to hold all of it, and [2, 3] view_from_image."""
    height, width = image.shape[:2]
    matrix = np.array(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, scale), dtype=np.float64)
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]) @ matrix[:, :2].T
    size = np.ceil(np.ptp(corners, axis=0)).astype(int) + 1
    matrix[:, 2] -= (corners + matrix[:, 2]).min(axis=0)
    if scale < 1:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 / scale), np.uint8)
    view = cv2.warpAffine(image, matrix, size.tolist(), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.uint8), matrix


def _relit(image: NDArray[np.uint8], rng: np.random.Generator, share: float) -> NDArray[np.uint8]:
    """The image under another light: brightness per channel, and contrast by a power."""
    gain = 1 + rng.uniform(-share, share) + rng.uniform(-share, share, 3) / 4
    power = math.exp(rng.uniform(-share, share))
    values = 255 * (image / 255.0) ** power * gain
    return np.clip(values, 0, 255).astype(np.uint8)


def _unit(vectors: Float32) -> Float32:
    """Rows [N, D] scaled to length 1."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Float32 = vectors / np.maximum(length, np.float32(1e-12))
    return scaled

"""Looking for lost bodies by dense descriptors: everywhere in a wide neighbourhood, whatever the turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.features import FEATURES
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.protocols import FeatureExtractor
from keypoint_core.tracking.feature_crop import features_around
from keypoint_core.tracking.redetection import Found, Search
from keypoint_core.types import Float32


@dataclass(frozen=True)
class DescriptorRedetectionSettings:
    """Of the search.

    Attributes:
        features: name of the extractor.
        margin: around where the points were expected, within which they are looked for [px].
        similarity: that a place needs.
        period: frames between two searches; bounds the mean time per frame.
    """

    features: str = "descriptors"
    margin: int = 80
    similarity: float = 0.5
    period: int = 2


class DescriptorRedetector:
    """A `Redetector` around a feature extractor.

    Args:
        settings: see there.
        extractor: of features; by default the one that the settings name.

    Raises:
        KeypointError: the extractor's weights or packages are missing.
    """

    def __init__(
        self, settings: DescriptorRedetectionSettings | None = None, extractor: FeatureExtractor | None = None
    ) -> None:
        self._settings = settings or DescriptorRedetectionSettings()
        self._extractor = extractor or FEATURES.create(self._settings.features)

    def describe(self, color: NDArray[np.uint8], pixels: Float32) -> Float32:
        """[N, D] descriptors at pixels [N, 2]."""
        if len(pixels) == 0:
            return self._extractor.extract(color).sample(np.zeros((1, 2)))[:0]
        return self._around(color, pixels).sample(pixels)

    def find(self, search: Search) -> Found:
        """See `Redetector`."""
        if search.turn % self._settings.period:
            return Found(np.empty(0, np.intp), np.empty((0, 2), np.float32), np.empty(0))
        pixels, similarity = self._around(search.color, search.expected).mode(search.features)
        owner = np.flatnonzero(similarity >= self._settings.similarity)
        return Found(owner, pixels[owner], np.full(len(owner), np.nan))

    def _around(self, color: NDArray[np.uint8], pixels: Float32) -> FeatureMap:
        """Features of the surroundings of pixels [N, 2]."""
        inside = np.clip(np.nan_to_num(pixels), 0, np.array(color.shape[1::-1]) - 1)
        return features_around(self._extractor, color, inside, self._settings.margin)

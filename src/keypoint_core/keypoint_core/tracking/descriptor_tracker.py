"""Tracking by descriptors alone: in every frame each keypoint is where its first descriptor fits best.

Nothing drifts and nothing has to be seen in between; in turn the precision is that of the grid of descriptors, and equal
things are confused. The place found in the first frame itself tells how far the grid is off, and which keypoints are not
unique enough to be followed this way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keypoint_core.features import FEATURES
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.protocols import FeatureExtractor
from keypoint_core.tracking.feature_crop import features_around
from keypoint_core.tracking.learned import Color, LearnedSettings, LearnedTracker, Prediction
from keypoint_core.types import Float32


@dataclass(frozen=True)
class DescriptorTrackerSettings:
    """Of the search.

    Attributes:
        features: name of the extractor.
        margin: around where the keypoints were seen last, within which they are looked for [px].
        everywhere: every that many frames the whole image is looked at if a keypoint is missing.
        max_bias: a keypoint that is found farther away than this in its own frame is not unique [px].
        learned: when a keypoint is believed; the score is the similarity of descriptors. Slope and offset were fitted
            by `calibration.fit` on eight recorded episodes of four tasks, up to 60 frames each.
    """

    features: str = "descriptors"
    margin: int = 64
    everywhere: int = 5
    max_bias: float = 8.0
    learned: LearnedSettings = field(default_factory=lambda: LearnedSettings(0.15, 1.33, 1.27))


@dataclass
class _Known:
    """What is remembered of N keypoints.

    Attributes:
        descriptors: [N, D].
        bias: [N, 2] from where they are to where they fit best in their own frame [px].
        unique: [N] whether that is near.
        last: [N, 2] pixel where they were found last.
        missing: [N] whether they are looked for.
    """

    descriptors: Float32
    bias: Float32
    unique: NDArray[np.bool_]
    last: Float32
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.unique)

    @classmethod
    def none(cls) -> _Known:
        flags, places = np.empty(0, dtype=np.bool_), np.empty((0, 2), np.float32)
        return cls(np.empty((0, 0), np.float32), places, flags, places.copy(), flags.copy())

    def joined(self, other: _Known) -> _Known:
        return _Known(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))

    def kept(self, rows: NDArray[np.bool_]) -> _Known:
        return _Known(*(values[rows] for values in vars(self).values()))


class DescriptorTracker(LearnedTracker):
    """Follows keypoints by dense descriptors.

    Args:
        settings: see there.
        extractor: of features; by default the one that the settings name.

    Raises:
        KeypointError: the extractor's weights or packages are missing.
    """

    def __init__(
        self, settings: DescriptorTrackerSettings | None = None, extractor: FeatureExtractor | None = None
    ) -> None:
        settings = settings or DescriptorTrackerSettings()
        extractor = extractor or FEATURES.create(settings.features)
        super().__init__(DescriptorSearch(extractor, settings), settings.learned)


class DescriptorSearch:
    """A `PointNetwork` that looks for the first descriptors.

    Args:
        extractor: of features.
        settings: see there.
    """

    def __init__(self, extractor: FeatureExtractor, settings: DescriptorTrackerSettings) -> None:
        self._extractor, self._settings = extractor, settings
        self._color: Color | None = None
        self._frames, self._known = 0, _Known.none()

    def start(self, color: Color, pixels: Float32) -> None:
        """Remembers the descriptors at pixels [N, 2]."""
        self.reset()
        self._color = color
        self.add(pixels)

    def add(self, pixels: Float32) -> None:
        """Remembers further ones of the newest image."""
        if self._color is None or len(pixels) == 0:
            return
        features = self._around(self._color, pixels)
        descriptors = features.sample(pixels)
        bias = features.mode(descriptors)[0] - pixels
        unique = np.linalg.norm(bias, axis=1) <= self._settings.max_bias
        new = _Known(descriptors, bias.astype(np.float32), unique, pixels.copy(), ~unique)
        self._known = self._known.joined(new) if len(self._known) else new

    def track(self, color: Color) -> Prediction:
        """Where the descriptors fit best."""
        self._color, self._frames = color, self._frames + 1
        known = self._known
        if len(known) == 0:
            return Prediction(np.empty((0, 2), np.float32), np.empty(0, np.float32))
        pixels, similarity = self._features(color).mode(known.descriptors)
        pixels = (pixels - known.bias).astype(np.float32)
        score = np.where(known.unique, similarity, 0.0).astype(np.float32)
        found = known.unique & (score >= self._settings.learned.visible_above)
        known.missing[:] = known.unique & ~found
        known.last[found] = pixels[found]
        return Prediction(pixels, score)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forgets the others."""
        self._known = self._known.kept(rows)

    def reset(self) -> None:
        """Forgets everything."""
        self._color, self._frames = None, 0
        self._known = _Known.none()

    def _features(self, color: Color) -> FeatureMap:
        """Of the surroundings of the last places, and in turn of the whole image."""
        if self._known.missing.any() and self._frames % self._settings.everywhere == 0:
            return self._extractor.extract(color)
        return self._around(color, self._known.last)

    def _around(self, color: Color, pixels: Float32) -> FeatureMap:
        """Of the surroundings of pixels [N, 2]."""
        return features_around(self._extractor, color, pixels, self._settings.margin)

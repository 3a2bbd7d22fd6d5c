"""Features of a part of an image, counted in the pixels of the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.protocols import FeatureExtractor
from keypoint_core.types import Float32

_RASTER = 32  # crops begin on it [px], so that the grid of descriptors does not shift against the image


def features_around(extractor: FeatureExtractor, color: NDArray[np.uint8], pixels: Float32, margin: int) -> FeatureMap:
    """Features of the rectangle that holds all pixels [N, 2] (u, v), finite and N > 0, with a margin [px] around them."""
    low, high = pixels.min(axis=0).astype(int), pixels.max(axis=0).astype(int)
    left, top = (np.maximum(low - margin, 0) // _RASTER * _RASTER).tolist()
    right, bottom = np.minimum(high + margin, color.shape[1::-1]).tolist()
    return extractor.extract(color[top:bottom, left:right]).moved((float(left), float(top)))

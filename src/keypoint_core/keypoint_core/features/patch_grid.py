"""Pictures resampled so that the cells of a network's grid are squares of a wanted size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.types import Float32

_LEAST = 16  # side of an image [px]


class PatchGrid:
    """The grid over one image.

    Args:
        image: [H, W, 3] uint8, RGB.
        cell: side of a cell [px of the image].
        patch: side of a cell [px of the network's input].
        multiple: the network needs a multiple of this many cells along each side.

    Raises:
        InputError: another shape or type, or too small.
    """

    def __init__(self, image: NDArray[np.uint8], cell: float, patch: int, multiple: int = 1) -> None:
        shape: tuple[int, ...] = getattr(image, "shape", ())
        if len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < _LEAST or image.dtype != np.uint8:
            raise InputError(f"an image must be [H, W, 3] uint8 RGB of at least {_LEAST}x{_LEAST} pixels, got {shape}")
        self._cell, self._ratio = cell, cell / patch
        self._cells = [math.ceil(size / cell) for size in shape[:2]]
        height, width = (patch * multiple * math.ceil(count / multiple) for count in self._cells)
        # Input pixel x shows image pixel (x + 1/2) * ratio - 1/2: the corners of both pictures coincide.
        shift = 0.5 * self._ratio - 0.5
        image_from_input = np.array([[self._ratio, 0, shift], [0, self._ratio, shift]])
        if self._ratio > 1:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * self._ratio), np.uint8)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(image, image_from_input, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        self.input: NDArray[np.uint8] = np.asarray(warped, np.uint8)

    def tensor(self) -> torch.Tensor:
        """The input [1, 3, h, w] float32 in 0..1."""
        return torch.from_numpy(self.input).permute(2, 0, 1)[None].float() / 255

    def feature_map(self, values: Float32) -> FeatureMap:
        """Descriptors [h, w, D] of the network's cells as those of the image; cells beyond its rim are left out."""
        kept = np.ascontiguousarray(values[: self._cells[0], : self._cells[1]], dtype=np.float32)
        middle = 0.5 * self._cell - 0.5
        return FeatureMap(kept, self._cell, (middle, middle))


@contextmanager
def deterministic() -> Iterator[None]:
    """No gradients and one thread: the order of sums, and with it the last bits, would depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)

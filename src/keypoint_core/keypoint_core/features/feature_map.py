"""A grid of descriptors over an image, and where in it a descriptor is found again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Float64

_TINY = 1e-12


@dataclass(frozen=True)
class FeatureMap:
    """Descriptors of one image. Their directions count, their lengths do not.

    Attributes:
        values: [h, w, D] float32, one descriptor per cell.
        scale: pixels per cell.
        offset: (u, v) pixel of the centre of cell (0, 0), in the pixel-centre convention.
        temperature: of descriptors whose Euclidean distance was trained; None for features that are compared by cosine.
    """

    values: Float32
    scale: float
    offset: tuple[float, float]
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or 0 in self.values.shape or self.values.dtype != np.float32:
            raise InputError(f"features must be [h, w, D] float32, got {self.values.shape} {self.values.dtype}")
        if self.scale <= 0 or (self.temperature is not None and self.temperature <= 0):
            raise InputError(f"scale and temperature must be positive, got {self.scale} and {self.temperature}")

    def moved(self, origin: tuple[float, float]) -> FeatureMap:
        """The same map where pixels are those of a larger image, of which this one was cut out at origin (u, v)."""
        return replace(self, offset=(self.offset[0] + origin[0], self.offset[1] + origin[1]))

    def sample(self, pixels: ArrayLike) -> Float32:
        """Descriptors [N, D] at pixels [N, 2] (u, v), bilinear; beyond the outermost cells' centres the nearest holds.

        Raises:
            InputError: the pixels are not finite [N, 2].
        """
        height, width = self.values.shape[:2]
        cells = np.clip((_pixels(pixels) - self.offset) / self.scale, 0, [width - 1, height - 1])
        low = np.minimum(cells.astype(np.int64), np.maximum([width - 2, height - 2], 0))
        x, y = (cells - low).astype(np.float32).T[..., None]
        (left, top), (right, bottom) = low.T, np.minimum(low + 1, [width - 1, height - 1]).T
        upper = (1 - x) * self.values[top, left] + x * self.values[top, right]
        lower = (1 - x) * self.values[bottom, left] + x * self.values[bottom, right]
        sampled: Float32 = (1 - y) * upper + y * lower
        return sampled

    def similarity(self, descriptors: ArrayLike) -> Float32:
        """How well each cell fits each descriptor [N, D]: [N, h, w] float32 in 0..1, 1 for equal ones.

        With a temperature T it is exp(-d^2 / T), d being the distance of the descriptors divided by sqrt(D) when both
        have length sqrt(D): the numerator of the softmax that they were trained by. Else the cosine, negative ones 0.

        Raises:
            InputError: the descriptors are not [N, D].
        """
        return self._grade(self._cosine(descriptors))

    def mode(self, descriptors: ArrayLike) -> tuple[Float32, Float32]:
        """Where each descriptor [N, D] fits best: pixels [N, 2] float32 (u, v) and similarity [N] float32 there.

        The global mode, not the expectation, which lies between two equal things (Florence et al., 2019). Below the
        size of a cell it is the vertex of a parabola through the best cell and its neighbours.
        """
        cosine = self._cosine(descriptors)
        count, height, width = cosine.shape
        best = cosine.reshape(count, -1).argmax(axis=1)
        row, column = np.divmod(best, width)
        index = np.arange(count)

        def at(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Float32:
            found: Float32 = cosine[index, np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
            return found

        peak = at(row, column)
        across = _vertex(at(row, column - 1), peak, at(row, column + 1), column, width)
        down = _vertex(at(row - 1, column), peak, at(row + 1, column), row, height)
        cells = np.stack([column + across, row + down], axis=1)
        return (cells * self.scale + self.offset).astype(np.float32), self._grade(peak)

    def _grade(self, cosine: Float32) -> Float32:
        """Similarity of cosines of any shape; see `similarity`."""
        if self.temperature is None:
            return np.asarray(np.clip(cosine, 0.0, 1.0), dtype=np.float32)
        squared = np.maximum(2.0 - 2.0 * cosine, 0.0)
        return np.asarray(np.exp(squared / np.float32(-self.temperature)), dtype=np.float32)

    @cached_property
    def _directions(self) -> Float32:
        """[h * w, D] of length 1."""
        return _unit(self.values.reshape(-1, self.values.shape[2]))

    def _cosine(self, descriptors: ArrayLike) -> Float32:
        """[N, h, w] float32 of descriptors [N, D]."""
        wanted = np.asarray(descriptors, dtype=np.float32)
        height, width, size = self.values.shape
        if wanted.ndim != 2 or wanted.shape[1] != size:
            raise InputError(f"descriptors must be [N, {size}], as this map's are; got {wanted.shape}")
        cosine: Float32 = (_unit(wanted) @ self._directions.T).reshape(len(wanted), height, width)
        return cosine


def _unit(vectors: Float32) -> Float32:
    """Rows [N, D] scaled to length 1; zeros stay."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    scaled: Float32 = vectors / np.maximum(length, np.float32(_TINY))[:, None]
    return scaled


def _vertex(before: Float32, peak: Float32, after: Float32, place: NDArray[np.int64], count: int) -> Float64:
    """[N] offset of the parabola's vertex from the peak in cells, within +-.5; 0 at the rim and on plateaus."""
    a, b, c = (values.astype(np.float64) for values in (before, peak, after))
    bend = a - 2 * b + c
    inner = (place > 0) & (place < count - 1) & (bend < -_TINY)
    offset: Float64 = np.clip(np.where(inner, (a - c) / (2 * np.where(inner, bend, 1.0)), 0.0), -0.5, 0.5)
    return offset


def _pixels(pixels: ArrayLike) -> Float64:
    array = np.asarray(pixels, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise InputError(f"pixels must be finite [N, 2], got {array.shape}")
    return array

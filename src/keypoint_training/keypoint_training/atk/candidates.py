"""Points to choose from: all over the reference view, denser where there is texture. No object labels are used."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Float64, Frame
from keypoint_training.rng import Stream, generator

BORDER = 4  # [px] kept free along the picture's edge
WINDOW = 21  # [px] of the structure tensor; about the size of the smallest thing that is worth a dozen points
PLAIN = 0.2  # texture that is granted to every pixel, in parts of the picture's mean: plain surfaces get points as well
DENSITY = 0.75  # exponent of texture against distance; points per area go with its square
EDGE = 5  # [px] window in which a step in depth marks an outline, which does not stick to the surface behind it
STEP = 0.03  # that step [m]
POOL = 20_000  # pixels that are drawn to choose from: the seed's part in the choice
_BEYOND = 1e3  # farther than any camera sees [m]


def choose_candidates(frame: Frame, count: int, seed: int) -> Float32:
    """Pixels [count, 2] on texture and spread over the whole picture, whatever they show.

    Starts on texture at random; then always takes the pixel with the largest product of distance to the nearest one
    taken and a power of its texture, out of a random pool.

    Args:
        frame: reference view; depth, where there is any, keeps points off outlines.
        count: how many.
        seed: of the training run.

    Raises:
        InputError: the picture has fewer usable pixels than points were asked for.
    """
    usable = _usable(frame)
    rows, columns = np.nonzero(usable)
    size = min(POOL, len(rows))
    if not 1 <= count <= size:
        raise InputError(f"need 1 to {size} candidates on this reference view, got {count}")
    rng = generator(seed, Stream.CANDIDATES)
    pool = rng.choice(len(rows), size, replace=False)
    pixels = np.stack([columns[pool], rows[pool]], axis=1).astype(np.float64)
    weight = _weight(frame.color)[rows[pool], columns[pool]]
    first = int(rng.choice(len(pool), p=weight**2 / (weight**2).sum()))
    return pixels[_spread(pixels, weight, first, count)].astype(np.float32)


def _weight(color: NDArray[np.uint8]) -> Float64:
    """[H, W] how much the texture around each pixel counts against distance; the strongest of three channels."""
    channels = [cv2.cornerMinEigenVal(np.ascontiguousarray(color[..., i]), blockSize=WINDOW) for i in range(3)]
    texture = np.maximum.reduce(channels).astype(np.float64)
    mean = max(float(texture.mean()), 1e-12)
    return np.asarray((texture / mean + PLAIN) ** DENSITY)


def _usable(frame: Frame) -> NDArray[np.bool_]:
    """[H, W] neither at the picture's edge nor on an outline. Missing depth says nothing: glass has none at all."""
    usable = np.zeros(frame.color.shape[:2], dtype=bool)
    usable[BORDER:-BORDER, BORDER:-BORDER] = True
    if frame.depth is None:
        return usable
    window, known = np.ones((EDGE, EDGE), np.uint8), np.isfinite(frame.depth)
    farthest = cv2.dilate(np.where(known, frame.depth, -_BEYOND).astype(np.float32), window)
    nearest = cv2.erode(np.where(known, frame.depth, _BEYOND).astype(np.float32), window)
    return usable & ~(farthest - nearest > STEP)


def _spread(pixels: Float64, weight: Float64, first: int, count: int) -> list[int]:
    """Indices of `count` pixels out of [P, 2] with weight [P], beginning with one of them."""
    chosen = [first]
    nearest = np.linalg.norm(pixels - pixels[first], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest * weight)))
        nearest = np.minimum(nearest, np.linalg.norm(pixels - pixels[chosen[-1]], axis=1))
    return chosen

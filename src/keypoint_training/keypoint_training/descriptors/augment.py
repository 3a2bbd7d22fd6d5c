"""One picture, many looks: a random crop under a random homography, with another light, sensor and things in front.

Where the points go is known exactly, so one picture under two of these is a pair with dense correspondences.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64
from keypoint_training.descriptors.settings import Augmentation

Rng = np.random.Generator
Image = NDArray[np.uint8]
_CORNER = 0.02  # points for self-made pairs have at least this part of the strongest corner's texture


@dataclass(frozen=True)
class Crop:
    """What the network sees, and where the points are in it.

    Attributes:
        image: [S, S, 3] uint8.
        pixels: [P, 2] float32 (u, v) in the crop.
        visible: [P] bool, in the crop and not covered.
    """

    image: Image
    pixels: Float32
    visible: NDArray[np.bool_]


def random_crop(
    picture: Image, pixels: Float32, visible: NDArray[np.bool_], centre: Float64, settings: Augmentation, rng: Rng
) -> Crop:
    """A crop of a picture around a place.

    Args:
        picture: [H, W, 3].
        pixels, visible: [P, 2] and [P], of the points in the picture.
        centre: [2] pixel that lies near the middle of the crop.
        settings, rng: what is drawn.
    """
    side = settings.crop
    warp = _homography(centre, settings, rng)
    border = cv2.BORDER_REFLECT_101 if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    shade = rng.integers(0, 255, 3).tolist()
    image = cv2.warpPerspective(picture, warp, (side, side), borderMode=border, borderValue=shade)
    homogeneous = np.column_stack([pixels, np.ones(len(pixels))]) @ warp.T
    places = (homogeneous[:, :2] / homogeneous[:, 2:]).astype(np.float32)
    inside = (places > 0).all(axis=1) & (places < side - 1).all(axis=1)
    image, covered = _patches(image, picture, settings, rng)
    seen = visible & inside
    column, row = np.round(places[seen]).astype(np.int64).T
    seen[np.flatnonzero(seen)[covered[row, column]]] = False
    return Crop(_look(image, settings, rng), places, seen)


def corners(picture: Image, count: int, rng: Rng) -> Float32:
    """Pixels [count or fewer, 2] anywhere in a picture where it has texture (Shi and Tomasi, 1994)."""
    strength = cv2.cornerMinEigenVal(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), blockSize=5)
    row, column = np.nonzero(strength > _CORNER * np.quantile(strength, 0.995))
    chosen = rng.permutation(len(row))[:count]
    return np.stack([column[chosen], row[chosen]], axis=1).astype(np.float32)


def _homography(centre: Float64, settings: Augmentation, rng: Rng) -> Float64:
    """[3, 3], picture -> crop."""
    side, angle = settings.crop, np.deg2rad(rng.uniform(-settings.turn, settings.turn))
    zoom = np.exp(rng.uniform(*np.log(settings.zoom)))
    stretch = np.exp(rng.uniform(-1, 1) * settings.stretch / 2)
    c, s = np.cos(angle), np.sin(angle)
    axis = rng.uniform(0, np.pi)
    a, b = np.cos(axis), np.sin(axis)
    squeeze = np.array([[a, b], [-b, a]]).T @ np.diag([stretch, 1 / stretch]) @ np.array([[a, b], [-b, a]])
    linear = np.eye(3)
    linear[:2, :2] = zoom * squeeze @ np.array([[c, -s], [s, c]])
    slope = np.eye(3)
    slope[2, :2] = rng.uniform(-1, 1, 2) * settings.tilt / side * 2
    before, after = np.eye(3), np.eye(3)
    before[:2, 2] = -centre
    after[:2, 2] = (side - 1) / 2 + rng.uniform(-1, 1, 2) * settings.shift
    return after @ slope @ linear @ before


def _patches(image: Image, picture: Image, settings: Augmentation, rng: Rng) -> tuple[Image, NDArray[np.bool_]]:
    """The crop with things in front of it, plain or cut out of the picture, and where they are [S, S]."""
    covered = np.zeros(image.shape[:2], np.uint8)
    for _ in range(rng.integers(0, settings.patches + 1) if rng.random() < 0.6 else 0):
        shape = np.zeros_like(covered)
        centre, axes = rng.uniform(0, settings.crop, 2), rng.uniform(5, settings.crop / 4, 2)
        cv2.ellipse(shape, (tuple(centre), tuple(2 * axes), rng.uniform(0, 180)), 1, -1)
        if rng.random() < 0.5:
            filling = np.broadcast_to(rng.integers(0, 255, 3, dtype=np.uint8), image.shape)
        else:
            top, left = (int(rng.integers(size - settings.crop)) for size in picture.shape[:2])
            filling = picture[top : top + settings.crop, left : left + settings.crop]
        image = np.where(shape[..., None] > 0, filling, image)
        covered |= shape
    return image, covered > 0


def _look(image: Image, settings: Augmentation, rng: Rng) -> Image:
    """Another light, another exposure."""
    image = cv2.LUT(image, _tones(settings, rng))
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, settings.blur))
    elif rng.random() < 0.2:
        image = cv2.filter2D(image, -1, _streak(rng.uniform(2, settings.smear), rng))
    values = image.astype(np.float32)
    if rng.random() < 0.5:
        values *= _shading(settings, rng)[..., None]
    if rng.random() < 0.7:
        sigma = np.float32(rng.uniform(0, settings.noise))
        values += rng.standard_normal(values.shape, dtype=np.float32) * sigma
    return np.clip(values, 0, 255).astype(np.uint8)


def _tones(settings: Augmentation, rng: Rng) -> NDArray[np.uint8]:
    """Table [256, 1, 3] of brightness, gamma and tint."""
    gain, gamma = (np.exp(rng.uniform(-1, 1) * np.log(x)) for x in (settings.gain, settings.gamma))
    tint = np.exp(rng.uniform(-1, 1, 3) * np.log(settings.tint))
    levels = (np.arange(256) / 255.0)[:, None] ** gamma * gain * tint * 255.0
    if rng.random() < 0.1:
        levels = np.repeat(levels.mean(axis=1, keepdims=True), 3, axis=1)
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)[:, None]


def _streak(length: float, rng: Rng) -> Float32:
    """Kernel of motion blur."""
    kernel = np.zeros((9, 9), np.float32)
    angle = rng.uniform(0, np.pi)
    way = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = (tuple(np.round((4 + sign * way) * 16).astype(int).tolist()) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, 4)
    return kernel / max(float(kernel.sum()), 1e-6)


def _shading(settings: Augmentation, rng: Rng) -> Float32:
    """[S, S] a slope of brightness, and at times the straight edge of a shadow."""
    axis = np.linspace(-1, 1, settings.crop, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.float32(np.cos(angle)) * axis[None] + np.float32(np.sin(angle)) * axis[:, None]
    light = 1 + np.float32(rng.uniform(0, settings.shade)) * along
    if rng.random() < 0.3:
        light = light * np.where(along > rng.uniform(-0.7, 0.7), 1.0, rng.uniform(0.5, 1.0)).astype(np.float32)
    return light.astype(np.float32)

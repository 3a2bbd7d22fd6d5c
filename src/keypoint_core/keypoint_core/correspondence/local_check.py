"""Does the live image look like the reference around each relocated keypoint?"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.types import Float64, Frame


@dataclass(frozen=True)
class CheckSettings:
    """How a keypoint's surroundings are compared.

    Attributes:
        radius: half the side of the square patch in the reference [px].
        reach: pixels of the patch farther from the keypoint than this are on something else and left out [m].
        search: the patch may sit this far from the predicted place [px].
        flat: a patch whose standard deviation is below this has no texture to compare [gray levels].
        depth_tolerance: between the live depth and the predicted one [m].
    """

    radius: int = 8
    reach: float = 0.025
    search: int = 2
    flat: float = 4.0
    depth_tolerance: float = 0.02


@dataclass(frozen=True)
class LocalEvidence:
    """What speaks for each of N keypoints at its predicted pixel.

    Attributes:
        correlation: [N] normalised cross-correlation with the reference in -1..1; NaN where there is no texture, or
            the keypoint's surroundings face away or lie outside the image.
        nearer: [N] live depth minus predicted depth [m], negative where something is in front; NaN where unknown.
    """

    correlation: Float64
    nearer: Float64


class LocalCheck:
    """Holds the reference's patches as points in space, to be seen again under any pose.

    Args:
        reference: with depth.
        points: [N, 3] [m] its keypoints in its optical frame, NaN where unknown.
        settings: see there.
    """

    def __init__(self, reference: Reference, points: Float64, settings: CheckSettings) -> None:
        self._settings = settings
        self._points = points
        span = np.arange(-settings.radius, settings.radius + 1)
        offsets = np.stack(np.meshgrid(span, span), axis=-1).reshape(-1, 2)
        pixels = np.round(reference.pixels).astype(np.int64)[:, None] + offsets  # [N, K, 2]
        self._values, self._patches = _patches(reference, pixels)
        near = np.linalg.norm(self._patches - points[:, None], axis=2) <= settings.reach  # NaN compares false
        self._patches[~near] = np.nan

    def examine(self, frame: Frame, pose: Float64) -> LocalEvidence:
        """Compares the live frame with the reference under a pose [4, 4] live_from_reference."""
        n, k, _ = self._patches.shape
        projected = camera.project(camera.transform(pose, self._patches.reshape(-1, 3)), frame.intrinsics)
        projected = projected.reshape(n, k, 2)
        size = np.array([frame.intrinsics.width, frame.intrinsics.height])
        shown = ((projected >= 0) & (projected <= size - 1)).all(axis=2)
        gray = cv2.GaussianBlur(cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY), (0, 0), 0.7).astype(np.float32)
        best = np.full(n, -1.0)
        for dv in range(-self._settings.search, self._settings.search + 1):
            for du in range(-self._settings.search, self._settings.search + 1):
                place = np.nan_to_num(projected + [du, dv], nan=-1).astype(np.float32)
                seen = cv2.remap(gray, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                best = np.fmax(best, _correlation(self._values, seen.astype(np.float64), shown, self._settings.flat))
        usable = (shown.mean(axis=1) > 0.4) & self._facing(projected)
        textured = _deviation(self._values, shown) >= self._settings.flat
        return LocalEvidence(np.where(usable & textured, best, np.nan), self._depth_difference(frame, pose))

    def _depth_difference(self, frame: Frame, pose: Float64) -> Float64:
        """[N] live minus predicted depth [m] at the keypoints, NaN where unknown."""
        moved = camera.transform(pose, self._points)
        if frame.depth is None:
            return np.full(len(moved), np.nan)
        difference: Float64 = depth_at(frame.depth, camera.project(moved, frame.intrinsics)) - moved[:, 2]
        return difference

    def _facing(self, projected: Float64) -> NDArray[np.bool_]:
        """[N] whether the patch [N, K, 2] still shows its front: its rows and columns keep their orientation."""
        side = 2 * self._settings.radius + 1
        grid = projected.reshape(-1, side, side, 2)
        right = _mean_of_known(np.diff(grid, axis=2).reshape(len(grid), -1, 2))
        down = _mean_of_known(np.diff(grid, axis=1).reshape(len(grid), -1, 2))
        area = right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]
        return np.asarray(area > 0.1, dtype=np.bool_)  # false for NaN


def _mean_of_known(values: Float64) -> Float64:
    """[N, 2] mean over the second axis of [N, K, 2] without NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    mean = np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, mean, np.nan))


def _patches(reference: Reference, pixels: NDArray[np.int64]) -> tuple[Float64, Float64]:
    """Gray values [N, K] and points [N, K, 3] of the reference at pixels [N, K, 2]; NaN points outside the image."""
    height, width = reference.color.shape[:2]
    u, v = np.clip(pixels[..., 0], 0, width - 1), np.clip(pixels[..., 1], 0, height - 1)
    gray = cv2.GaussianBlur(cv2.cvtColor(reference.color, cv2.COLOR_RGB2GRAY), (0, 0), 0.7)
    depth = np.full(u.shape, np.nan) if reference.depth is None else reference.depth[v, u].astype(np.float64)
    depth[(u != pixels[..., 0]) | (v != pixels[..., 1])] = np.nan
    flat = pixels.reshape(-1, 2).astype(np.float64)
    points = camera.deproject(flat, depth.ravel(), reference.intrinsics)
    return gray[v, u].astype(np.float64), points.reshape(*pixels.shape[:2], 3)


def _deviation(values: Float64, where: NDArray[np.bool_]) -> Float64:
    """[N] standard deviation of values [N, K] over `where` [N, K]; 0 where nothing is."""
    count = np.maximum(where.sum(axis=1), 1)
    mean = (values * where).sum(axis=1) / count
    deviation: Float64 = np.sqrt((((values - mean[:, None]) * where) ** 2).sum(axis=1) / count)
    return deviation


def _correlation(first: Float64, second: Float64, where: NDArray[np.bool_], flat: float) -> Float64:
    """[N] normalised cross-correlation of [N, K] and [N, K] over `where` [N, K].

    The live side's deviation is bounded from below by a third of `flat`: noise on a plain surface correlates with
    nothing.
    """
    count = np.maximum(where.sum(axis=1), 1)
    a = (first - ((first * where).sum(axis=1) / count)[:, None]) * where
    b = (second - ((second * where).sum(axis=1) / count)[:, None]) * where
    norm = np.sqrt((a**2).sum(axis=1) * np.maximum((b**2).sum(axis=1), count * (flat / 3) ** 2))
    correlation: Float64 = (a * b).sum(axis=1) / np.maximum(norm, 1e-9)
    return correlation

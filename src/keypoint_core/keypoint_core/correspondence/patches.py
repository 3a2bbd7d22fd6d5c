"""Small patches of the reference, looked for in the live image under many poses at once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.surfaces import Surfaces, on_surface
from keypoint_core.geometry import camera
from keypoint_core.types import Float32, Float64, Frame, Intrinsics

_BLUR = 0.7  # of both images before they are compared [px]
_LEAST_ON = 0.3  # share of a patch that must lie on its surface; else all of it counts
ALIKE = 0.7  # correlation from which on a patch speaks for a pose
_FLAT = 4.0  # standard deviation below which a patch has no texture to compare [gray levels]
_AGREE = 0.012  # live and predicted depth differ by less than this where the surface is the expected one [m]
_COLOURLESS = 3.0  # deviation of a and b below which a patch has no colours to compare
_ROWS = 30_000  # remap takes no more than 32767 at once
_THIN = 0.1  # a patch whose area shrinks below this share is seen edge-on, or from behind


@dataclass(frozen=True)
class Evidence:
    """What the live image shows where H poses put N patches.

    Attributes:
        predicted: [H, N, 2] where the pose puts the patch's middle (u, v); NaN behind the camera.
        pixels: [H, N, 2] where the patch fits best near there.
        places: [H, N, 2] where the patch's middle is taken to be: where it fits best, pulled towards the pose, if it
            fits well, else where the pose puts it. Colours and depths are compared there.
        correlation: [H, N] normalised cross-correlation there, -1..1; NaN without texture, or where the patch faces
            away or lies outside the image.
        area: [H, N] how large the patch is seen, as a share of its size in the reference.
        chroma: [H, N] correlation of the colours there, without brightness; near 0 where there is hardly any colour.
        tint: [H, N] distance of the mean colours, in units of Lab's a and b.
        agree, nearer, farther: [H, N] shares of the patch's pixels whose live depth is as the pose predicts, less or
            more; what is missing to 1 is unknown.
        covered: [H, N] share of the very middle of the patch that something is in front of.
    """

    predicted: Float64
    pixels: Float64
    places: Float64
    correlation: Float64
    area: Float64
    chroma: Float64
    tint: Float64
    agree: Float64
    nearer: Float64
    farther: Float64
    covered: Float64

    @property
    def shift(self) -> Float64:
        """[H, N] from the predicted pixel to the best one [px]."""
        shift: Float64 = np.linalg.norm(self.pixels - self.predicted, axis=2)
        return shift


@dataclass(frozen=True)
class LiveImage:
    """A live frame prepared for comparison: gray and blurred, and its colours as a and b of Lab."""

    gray: Float32
    chroma: Float32
    depth: Float32 | None
    intrinsics: Intrinsics

    @classmethod
    def of(cls, frame: Frame) -> LiveImage:
        """From a frame."""
        return cls(_gray(frame.color), _chroma(frame.color), frame.depth, frame.intrinsics)


class Patches:
    """The reference's appearance on small pieces of its surface.

    Args:
        reference: the patches are cut from.
        surfaces: N of them.
        radius: half a patch's side [px].
        pull: correlation that a place has to win for lying one pixel of the reference away from where a pose puts the
            patch, growing with the square. Without it, a patch on an edge slides along.
    """

    def __init__(self, reference: Reference, surfaces: Surfaces, radius: int, pull: float = 0.0) -> None:
        self.surfaces, self._radius, self._pull = surfaces, radius, pull
        offsets = _grid(radius)
        mask = on_surface(reference, surfaces, offsets)
        mask[mask.mean(axis=1) < _LEAST_ON] = True
        places = (surfaces.pixels[:, None] + offsets).astype(np.float32)
        values = _sampled(_gray(reference.color), places)
        count = mask.sum(axis=1, keepdims=True)
        centred = (values - (values * mask).sum(axis=1, keepdims=True) / count) * mask
        deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
        self._textured = deviation[:, 0] >= _FLAT
        self._template = (centred / np.maximum(deviation, 1e-6)).astype(np.float32)
        tints = _sampled(_chroma(reference.color), places)
        self._tint = (tints * mask[..., None]).sum(axis=1) / count  # [N, 2]
        self._chroma = ((tints - self._tint[:, None]) * mask[..., None]).astype(np.float32)  # [N, K, 2]
        self._mask, self._count = mask.astype(np.float32), count[:, 0].astype(np.float32)

    def __len__(self) -> int:
        return len(self.surfaces)

    def examine(self, live: LiveImage, poses: Float64, search: int, brief: bool = False) -> Evidence:
        """Compares the live image with the reference under poses [H, 4, 4] live_from_reference.

        Args:
            live: the image.
            poses: to try.
            search: a patch may sit this many pixels of the reference from where a pose puts it.
            brief: colours and depths are left out, as zeros.
        """
        h, n = len(poses), len(self)
        predicted, affine = self._projected(poses, live.intrinsics)
        area = affine[..., 0, 0] * affine[..., 1, 1] - affine[..., 0, 1] * affine[..., 1, 0]
        correlation, offsets = self._search(live.gray, predicted, affine, search)
        pixels, pulled = (predicted + np.einsum("hnij,hnj->hni", affine, offset) for offset in offsets)
        limit = np.array([live.intrinsics.width - 1, live.intrinsics.height - 1])
        shown = ((pixels >= 0) & (pixels <= limit)).all(axis=2) & (area > _THIN)
        correlation[~shown | ~self._textured] = np.nan
        fits = (correlation.reshape(h, n) >= ALIKE)[..., None]  # false for NaN
        places = np.where(fits, pulled, predicted)
        nothing = np.zeros((h, n))
        chroma, tint = (nothing,) * 2 if brief else self._colours(live.chroma, places, affine)
        depths = (nothing,) * 4 if brief else self._depths(live, poses, places, affine)
        return Evidence(
            predicted, pixels, places, correlation.reshape(h, n), np.nan_to_num(area), chroma, tint, *depths
        )

    def _projected(self, poses: Float64, intrinsics: Intrinsics) -> tuple[Float64, Float64]:
        """Pixels [H, N, 2] of the patches' middles and [H, N, 2, 2] live pixels per pixel of the reference."""
        points, tangents = self.surfaces.points, self.surfaces.tangents
        corners = np.stack([points, points + tangents[..., 0], points + tangents[..., 1]])
        moved = np.einsum("hij,cnj->hcni", poses[:, :3, :3], corners) + poses[:, None, None, :3, 3]
        seen = camera.project(moved.reshape(-1, 3), intrinsics).reshape(len(poses), 3, len(self), 2)
        return seen[:, 0], np.stack([seen[:, 1] - seen[:, 0], seen[:, 2] - seen[:, 0]], axis=3)

    def _search(
        self, gray: Float32, predicted: Float64, affine: Float64, search: int
    ) -> tuple[Float64, tuple[Float64, Float64]]:
        """The best correlation [H, N], and the offsets [H, N, 2] of it and of the pulled place in pixels of the reference."""
        h, n = predicted.shape[:2]
        reach = self._radius + search
        places = predicted[:, :, None] + np.einsum("hnij,kj->hnki", affine, _grid(reach))
        places = np.nan_to_num(places, nan=-1e4).clip(-1e4, 1e4).astype(np.float32)
        window = _sampled(gray, places.reshape(h * n, -1, 2)).reshape(h, n, 2 * reach + 1, 2 * reach + 1)
        side, steps = 2 * self._radius + 1, 2 * search + 1
        scores = np.empty((h, n, steps, steps))
        for dv in range(steps):
            for du in range(steps):
                part = window[:, :, dv : dv + side, du : du + side].reshape(h, n, -1)
                scores[:, :, dv, du] = self._correlation(part)
        value, offset = _summit(scores)
        if not self._pull:
            return value, (offset, offset)
        scores -= self._pull * (_grid(search) ** 2).sum(axis=1).reshape(steps, steps)
        return value, (offset, _summit(scores)[1])

    def _correlation(self, part: Float32) -> Float32:
        """[H, N] of live values [H, N, K] with the templates.

        The live side's deviation is bounded from below: noise on a plain surface correlates with nothing.
        """
        masked = part * self._mask
        mean = masked.sum(axis=2) / self._count
        power = np.einsum("hnk,hnk->hn", masked, part) / self._count - mean**2
        product = np.einsum("hnk,nk->hn", part, self._template) / self._count
        correlation: Float32 = product / np.sqrt(np.maximum(power, np.float32((_FLAT / 3) ** 2)))
        return correlation

    def _colours(self, image: Float32, pixels: Float64, affine: Float64) -> tuple[Float64, Float64]:
        """Correlation [H, N] of the colours at pixels [H, N, 2], and how far their means are apart."""
        h, n = pixels.shape[:2]
        places = pixels[:, :, None] + np.einsum("hnij,kj->hnki", affine, _grid(self._radius))
        places = np.nan_to_num(places, nan=-1e4).clip(-1e4, 1e4).astype(np.float32)
        seen = _sampled(image, places.reshape(h * n, -1, 2)).reshape(h, n, -1, 2)
        mean = np.einsum("hnkc,nk->hnc", seen, self._mask) / self._count[:, None]
        power = np.einsum("hnkc,hnkc,nk->hn", seen, seen, self._mask) - (mean**2).sum(axis=2) * self._count
        own = np.einsum("nkc,nkc->n", self._chroma, self._chroma)
        floor = self._count * _COLOURLESS**2
        product = np.einsum("hnkc,nkc->hn", seen, self._chroma)
        chroma: Float64 = product / np.sqrt(np.maximum(power, floor) * np.maximum(own, floor))
        return chroma.astype(np.float64), np.linalg.norm(mean - self._tint, axis=2)

    def _depths(
        self, live: LiveImage, poses: Float64, pixels: Float64, affine: Float64
    ) -> tuple[Float64, Float64, Float64, Float64]:
        """Shares [H, N] of the patch whose live depth agrees with the pose, is less, is more; of its middle is less."""
        if live.depth is None:
            nothing = np.zeros(pixels.shape[:2])
            return nothing, nothing, nothing, nothing
        offsets = _grid(self._radius)
        chosen = (offsets % 2 == 0).all(axis=1)
        offsets, mask = offsets[chosen], self._mask[:, chosen]
        points, tangents = self.surfaces.points, self.surfaces.tangents
        turned = np.einsum("hj,nja->hna", poses[:, 2, :3], tangents)
        z = np.einsum("hj,nj->hn", poses[:, 2, :3], points) + poses[:, None, 2, 3]
        expected = z[..., None] + np.einsum("hna,ka->hnk", turned, offsets)
        places = pixels[:, :, None] + np.einsum("hnij,kj->hnki", affine, offsets)
        height, width = live.depth.shape
        at = np.round(np.nan_to_num(places, nan=-1e4)).astype(np.int64)
        inside = ((at >= 0) & (at < [width, height])).all(axis=3)
        seen = live.depth[np.clip(at[..., 1], 0, height - 1), np.clip(at[..., 0], 0, width - 1)]
        difference = np.where(inside & (mask > 0), seen - expected, np.nan)
        total = np.maximum(mask.sum(axis=1), 1)
        agree = (np.abs(difference) <= _AGREE).sum(axis=2) / total  # false for NaN
        nearer, farther = difference < -_AGREE, difference > _AGREE
        middle = (np.abs(offsets) <= 2).all(axis=1)
        return agree, nearer.sum(axis=2) / total, farther.sum(axis=2) / total, nearer[..., middle].mean(axis=2)


def _grid(radius: int) -> Float64:
    """Offsets [K, 2] (u, v) of a square's pixels from its middle, row by row."""
    span = np.arange(-radius, radius + 1, dtype=np.float64)
    offsets: Float64 = np.stack(np.meshgrid(span, span), axis=-1).reshape(-1, 2)
    return offsets


def _gray(color: NDArray[np.uint8]) -> Float32:
    """[H, W] float32, slightly blurred."""
    gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), _BLUR), dtype=np.float32)


def _chroma(color: NDArray[np.uint8]) -> Float32:
    """[H, W, 2] float32, a and b of Lab, slightly blurred."""
    lab = cv2.cvtColor(color, cv2.COLOR_RGB2Lab)[..., 1:]
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.5 * _BLUR), dtype=np.float32)


def _sampled(image: Float32, places: Float32) -> Float32:
    """Values [B, K] or [B, K, C] of an image at pixels [B, K, 2]."""
    parts = [places[k : k + _ROWS] for k in range(0, max(1, len(places)), _ROWS)]
    seen = [cv2.remap(image, p[..., 0], p[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in parts]
    return np.concatenate(seen).astype(np.float32, copy=False)


def _summit(scores: Float64) -> tuple[Float64, Float64]:
    """The highest of scores [H, N, S, S], and its offset [H, N, 2] (u, v) from the middle cell in parts of cells."""
    h, n, _, steps = scores.shape
    flat = scores.reshape(h, n, -1)
    best = flat.argmax(axis=2)
    row, column = np.divmod(best, steps)
    value = np.take_along_axis(flat, best[..., None], axis=2)[..., 0]
    fine = np.stack([_peak(scores, row, column, axis=3), _peak(scores, row, column, axis=2)], axis=2)
    return value, np.stack([column, row], axis=2) - steps // 2 + fine


def _peak(scores: Float64, row: NDArray[np.int64], column: NDArray[np.int64], axis: int) -> Float64:
    """[H, N] offset of the parabola's top from the best cell along one axis, within half a cell; 0 at the border."""
    h, n = np.indices(row.shape)
    steps = scores.shape[axis]
    middle = column if axis == 3 else row
    low, high = np.clip(middle - 1, 0, steps - 1), np.clip(middle + 1, 0, steps - 1)
    if axis == 3:
        before, after = scores[h, n, row, low], scores[h, n, row, high]
    else:
        before, after = scores[h, n, low, column], scores[h, n, high, column]
    bend = before + after - 2 * scores[h, n, row, column]
    inner = (middle > 0) & (middle < steps - 1) & (bend < -1e-9)
    offset: Float64 = np.where(inner, 0.5 * (before - after) / np.where(inner, bend, 1.0), 0.0)
    clipped: Float64 = np.clip(offset, -0.5, 0.5)
    return clipped

"""What a tracker remembers of its keypoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import TrackingError
from keypoint_core.tracking.templates import Templates
from keypoint_core.types import Float32, Float64, KeypointStatus


@dataclass
class Tracks:
    """N tracks; the arrays are updated in place.

    Attributes:
        ids: [N] int32.
        pixels: [N, 2] float32, the last trusted ones.
        start: [N, 2] float32, where they began.
        group: [N] int32, keypoints added together share a number.
        status: [N] uint8, of `KeypointStatus`.
        confidence: [N] float32 in 0..1.
        seen: [N] int64, stamp of the frame they were last seen in [ns].
        templates: N patches from where they began.
    """

    ids: NDArray[np.int32]
    pixels: Float32
    start: Float32
    group: NDArray[np.int32]
    status: NDArray[np.uint8]
    confidence: Float32
    seen: NDArray[np.int64]
    templates: Templates

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """[N] bool."""
        return np.equal(self.status, KeypointStatus.VISIBLE)

    @classmethod
    def begin(cls, ids: NDArray[np.int32], pixels: Float32, templates: Templates, stamp: int, group: int = 0) -> Tracks:
        """New tracks; those whose template is unfit to be found again are unsure from the beginning."""
        n = len(ids)
        return cls(
            ids=ids,
            pixels=pixels.copy(),
            start=pixels.copy(),
            group=np.full(n, group, dtype=np.int32),
            status=np.where(templates.fit, KeypointStatus.VISIBLE, KeypointStatus.OCCLUDED).astype(np.uint8),
            confidence=np.where(templates.fit, 1.0, 0.0).astype(np.float32),
            seen=np.full(n, stamp, dtype=np.int64),
            templates=templates,
        )

    def joined(self, other: Tracks) -> Tracks:
        """These, then the others."""
        names = ("ids", "pixels", "start", "group", "status", "confidence", "seen")
        arrays = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return Tracks(**arrays, templates=self.templates.joined(other.templates))

    def kept(self, keep: NDArray[np.bool_]) -> Tracks:
        """Those marked in `keep` [N]."""
        names = ("ids", "pixels", "start", "group", "status", "confidence", "seen")
        arrays = {name: getattr(self, name)[keep] for name in names}
        return Tracks(**arrays, templates=self.templates.take(keep))


def checked_ids(ids: ArrayLike | None, n: int) -> NDArray[np.int32]:
    """`ids` as [n] int32, 0..n-1 when None; raises TrackingError unless there are n different ones."""
    array = np.arange(n, dtype=np.int32) if ids is None else np.array(ids, dtype=np.int32).reshape(-1)
    if len(array) != n or len(np.unique(array)) != n:
        raise TrackingError(f"{n} keypoints need {n} different ids, got {array.tolist()}")
    return array


def new_ids(ids: ArrayLike, n: int, tracked: NDArray[np.int32]) -> NDArray[np.int32]:
    """As `checked_ids`; raises TrackingError also when one is tracked already."""
    numbers = checked_ids(ids, n)
    taken = np.intersect1d(numbers, tracked)
    if len(taken):
        raise TrackingError(f"ids {taken.tolist()} are being tracked; remove them first or take others")
    return numbers


def rows_without(ids: ArrayLike, tracked: NDArray[np.int32]) -> NDArray[np.bool_]:
    """[N] which of the tracked ids [N] are left without these; raises TrackingError for one that is not tracked."""
    numbers = np.array(ids, dtype=np.int32).reshape(-1)
    unknown = np.setdiff1d(numbers, tracked)
    if len(unknown):
        raise TrackingError(f"ids {unknown.tolist()} are not tracked; tracked: {tracked.tolist()}")
    return ~np.isin(tracked, numbers)


def checked_pixels(pixels: ArrayLike, shape: tuple[int, ...]) -> Float32:
    """`pixels` as [N, 2] float32; raises TrackingError unless all lie inside an image of `shape` [H, W]."""
    array = np.array(pixels, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 2:
        raise TrackingError(f"pixels must be [N, 2], got {array.shape}")
    height, width = shape[:2]
    outside = ~inside_image(array, shape)
    if outside.any():
        raise TrackingError(
            f"pixels must lie inside the {width}x{height} image, got {array[outside].tolist()}; leave those out"
        )
    return array


def inside_image(pixels: Float32, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """[N] which pixels [N, 2] lie inside an image of `shape` [H, W]; NaN does not."""
    limit = np.array([shape[1] - 1, shape[0] - 1])
    return np.asarray(((pixels >= 0) & (pixels <= limit)).all(axis=1), dtype=np.bool_)


def odd_motion(before: Float32, after: Float32, neighbours: int) -> Float64:
    """By how much each motion differs from that of its surroundings.

    Args:
        before, after: [N, 2] pixels.
        neighbours: nearest others, whose median motion is compared with.

    Returns:
        [N] [px]; 0 where there are not enough others.
    """
    if len(before) <= neighbours:
        return np.zeros(len(before))
    away = np.linalg.norm(before[:, None] - before, axis=2)
    np.fill_diagonal(away, np.inf)
    nearest = np.argsort(away, axis=1, kind="stable")[:, :neighbours]
    motion = (after - before).astype(np.float64)
    difference: Float64 = np.linalg.norm(motion - np.median(motion[nearest], axis=1), axis=1)
    return difference

"""What all learnt trackers share: which keypoints there are, what is believed of them, and their 3D points.

The network says where every point is and how sure it is (a score); this decides what that means. A point is VISIBLE
when its score reaches `visible_above` and it lies inside the image; otherwise it keeps its last trusted pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import InputError, TrackingError
from keypoint_core.geometry.lifting import lift
from keypoint_core.tracking.calibration import confidence
from keypoint_core.tracking.frame_check import check_size, checked_gray
from keypoint_core.tracking.raster import to_raster
from keypoint_core.tracking.tracks import checked_ids, checked_pixels, inside_image, new_ids, rows_without
from keypoint_core.types import SECOND, Float32, Frame, Keypoints, KeypointStatus

Color = NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """Of a network for N points in one image.

    Attributes:
        pixels: [N, 2] float32.
        score: [N] float32 in 0..1: the network's probability of being visible times its certainty of the place.
    """

    pixels: Float32
    score: Float32


class PointNetwork(Protocol):
    """A network that follows points, and its state. Rows are in the order the points were given in."""

    def start(self, color: Color, pixels: Float32) -> None:
        """Forgets everything and takes the points [N, 2] of that image [H, W, 3]."""

    def track(self, color: Color) -> Prediction:
        """Follows all points into the next image."""

    def add(self, pixels: Float32) -> None:
        """Takes further points of the newest image."""

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forgets all points but those marked [N]."""

    def reset(self) -> None:
        """Forgets everything."""


def first_frame_queries(pixels: Float32, shape: tuple[int, ...], size: tuple[int, int]) -> Float32:
    """Pixels [N, 2] of an image of `shape` [H, W, 3] as TAPIR and TAPNext ask for points of the first image they see.

    Returns:
        [N, 3] (frame, y, x): frame 0, and the place in an image of `size` (h, w), counted from the corner.
    """
    places = to_raster(pixels, shape, size)[:, ::-1]
    return np.concatenate([np.zeros((len(pixels), 1)), places], axis=1).astype(np.float32)


@dataclass(frozen=True)
class LearnedSettings:
    """What is believed of a network.

    Attributes:
        visible_above: score from which on a keypoint is VISIBLE.
        slope, offset: confidence is the logistic function of slope * logit(score) + offset. 1 and 0 leave the score as
            it is; others come from `calibration.fit` on episodes with truth.
        lost_after: a keypoint not seen for longer is LOST [s]; the network still looks for it.
    """

    visible_above: float = 0.5
    slope: float = 1.0
    offset: float = 0.0
    lost_after: float = 10.0

    def __post_init__(self) -> None:
        if not (0 < self.visible_above < 1 and self.slope > 0 and self.lost_after > 0):
            raise InputError(f"expected visible_above in 0..1, slope and lost_after above 0, got {self}")


@dataclass
class _Points:
    """[N] each; `pixels` [N, 2] are the last trusted ones, `seen` the stamp of their frame [ns]."""

    ids: NDArray[np.int32]
    pixels: Float32
    status: NDArray[np.uint8]
    confidence: Float32
    seen: NDArray[np.int64]

    @classmethod
    def begin(cls, ids: NDArray[np.int32], pixels: Float32, stamp: int) -> _Points:
        n = len(ids)
        status = np.full(n, KeypointStatus.VISIBLE, dtype=np.uint8)
        return cls(ids, pixels.copy(), status, np.ones(n, np.float32), np.full(n, stamp, dtype=np.int64))

    def joined(self, other: _Points) -> _Points:
        return _Points(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))

    def kept(self, rows: NDArray[np.bool_]) -> _Points:
        return _Points(*(values[rows] for values in vars(self).values()))


class LearnedTracker:
    """Follows keypoints by a network. Frames that are refused leave the tracker as it was.

    Args:
        network: see there.
        settings: see there.
    """

    def __init__(self, network: PointNetwork, settings: LearnedSettings | None = None) -> None:
        self._network = network
        self._settings = settings or LearnedSettings()
        self._points: _Points | None = None
        self._frame: Frame | None = None

    def start(self, frame: Frame, pixels: Float32, ids: ArrayLike | None = None) -> Keypoints:
        """Forgets all tracks and starts on pixels [N, 2] of that frame.

        Raises:
            TrackingError: the frame is blank, a pixel lies outside, or the ids do not fit.
        """
        checked_gray(frame)
        array = checked_pixels(pixels, frame.color.shape)
        numbers = checked_ids(ids, len(array))
        self.reset()
        self._network.start(frame.color, array)
        self._points, self._frame = _Points.begin(numbers, array, frame.stamp), frame
        return self._keypoints(frame, self._points)

    def track(self, frame: Frame) -> Keypoints:
        """Follows all keypoints into the next frame.

        Raises:
            TrackingError: nothing was started, the image's size changed, or the frame is blank.
        """
        points, previous = self._started()
        check_size(frame, previous)
        checked_gray(frame)
        self._judge(points, self._network.track(frame.color), frame)
        self._frame = frame
        return self._keypoints(frame, points)

    def add(self, pixels: Float32, ids: ArrayLike) -> None:
        """Adds keypoints at pixels [N, 2] of the newest frame.

        Raises:
            TrackingError: nothing was started, a pixel lies outside, an id is taken, or the network has no room.
        """
        points, frame = self._started()
        array = checked_pixels(pixels, frame.color.shape)
        numbers = new_ids(ids, len(array), points.ids)
        if len(array):
            self._network.add(array)
            self._points = points.joined(_Points.begin(numbers, array, frame.stamp))

    def remove(self, ids: ArrayLike) -> None:
        """Drops keypoints.

        Raises:
            TrackingError: an id is unknown.
        """
        points, _ = self._started()
        rows = rows_without(ids, points.ids)
        self._network.keep(rows)
        self._points = points.kept(rows)

    def reset(self) -> None:
        """Forgets everything."""
        self._network.reset()
        self._points = self._frame = None

    def _started(self) -> tuple[_Points, Frame]:
        if self._points is None or self._frame is None:
            raise TrackingError("nothing is tracked; call start first")
        return self._points, self._frame

    def _judge(self, points: _Points, found: Prediction, frame: Frame) -> None:
        """What the prediction means for each keypoint."""
        finite = np.isfinite(found.pixels).all(axis=1) & np.isfinite(found.score)  # half precision can overflow
        score = np.where(finite, found.score, 0.0)
        inside = finite & inside_image(found.pixels, frame.color.shape)
        visible = inside & (score >= self._settings.visible_above)
        points.pixels[visible] = found.pixels[visible]
        points.seen[visible] = frame.stamp
        age = (frame.stamp - points.seen) / (self._settings.lost_after * SECOND)
        points.status[:] = np.select(
            [visible, age > 1.0, finite & ~inside],
            [KeypointStatus.VISIBLE, KeypointStatus.LOST, KeypointStatus.OUT_OF_VIEW],
            KeypointStatus.OCCLUDED,
        )
        slope, offset = self._settings.slope, self._settings.offset
        trust = confidence(score, slope, offset)
        limit = confidence(np.array([self._settings.visible_above]), slope, offset)
        doubt = np.minimum(trust, 0.99 * limit) * np.clip(1.0 - age, 0.0, 1.0)
        points.confidence[:] = np.where(visible, trust, doubt)

    def _keypoints(self, frame: Frame, points: _Points) -> Keypoints:
        lifted = lift(frame.depth, points.pixels, frame.intrinsics)
        lifted[points.status != KeypointStatus.VISIBLE] = np.nan
        return Keypoints(
            stamp=frame.stamp,
            ids=points.ids.copy(),
            pixels=points.pixels.copy(),
            confidence=points.confidence.copy(),
            status=points.status.copy(),
            points=lifted.astype(np.float32),
        )

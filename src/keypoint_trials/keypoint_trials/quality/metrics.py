"""How good tracks are: TAP-Vid's metrics, finding again after an occlusion, silent failures, reliability. Pure numpy.

Conventions: T frames of N points; truth and prediction are pixels [T, N, 2] (u, v) with flags visible [T, N]. Frame 0 is
the one that the points were queried in; as in TAP-Vid's "queried first", it does not count.

TAP-Vid: Doersch et al., "TAP-Vid: A Benchmark for Tracking Any Point in a Video", NeurIPS 2022, section 3 and
`compute_tapvid_metrics` of its code. Errors are measured in pictures of 256x256, whatever the picture's own shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError

Floats = NDArray[Any]  # of any floating type
Flags = NDArray[np.bool_]

THRESHOLDS = (1, 2, 4, 8, 16)  # of TAP-Vid, in a picture of SIZE x SIZE [px]
SIZE = 256
CLOSE = 4.0  # a point is found, and its confidence is right, within this in the picture itself [px]
FAR = 10.0  # from here on a track that says "visible" has failed [px]
LONG = 10  # frames that it may do so for before it counts as silent
WITHIN = 5  # frames after reappearing in which a point must be found
HIDDEN = 1.5  # occlusions from here on are long [s]
BINS = 10  # of confidence


@dataclass(frozen=True)
class TapVid:
    """TAP-Vid's figures of one video; NaN where nothing was there to be measured.

    Attributes:
        delta: share of the truly visible points within each threshold, whatever the prediction's flag.
        accuracy: share of points whose flag is right (OA).
        jaccard: true positives / (truly visible + false positives) at each threshold.
    """

    delta: tuple[float, ...]
    accuracy: float
    jaccard: tuple[float, ...]

    @property
    def delta_avg(self) -> float:
        """Mean over the thresholds."""
        return float(np.mean(self.delta))

    @property
    def average_jaccard(self) -> float:
        """Mean over the thresholds (AJ)."""
        return float(np.mean(self.jaccard))


def tap_vid(truth: Floats, visible: Flags, predicted: Floats, flagged: Flags, size: tuple[int, int]) -> TapVid:
    """TAP-Vid's metrics of one video.

    Args:
        truth, visible: pixels [T, N, 2] and flags [T, N].
        predicted, flagged: the same of the tracker.
        size: width and height of the picture [px].

    Raises:
        InputError: the shapes do not fit.
    """
    _check(truth, visible, predicted, flagged)
    scaled = (predicted - truth)[1:] * (SIZE / np.asarray(size, dtype=np.float64))
    square = (scaled**2).sum(axis=2)
    visible, flagged = visible[1:], flagged[1:]
    delta, jaccard = [], []
    for threshold in THRESHOLDS:
        within = square < threshold**2
        positive = int((within & visible & flagged).sum())
        false = int((flagged & ~(visible & within)).sum())
        delta.append(_share(int((within & visible).sum()), int(visible.sum())))
        jaccard.append(_share(positive, int(visible.sum()) + false))
    accuracy = _share(int((visible == flagged).sum()), visible.size)
    return TapVid(tuple(delta), accuracy, tuple(jaccard))


@dataclass(frozen=True)
class Redetection:
    """Occlusions that ended, and after how many the point was found again in time.

    Attributes:
        events, found: of any length.
        long_events, long_found: of those that lasted at least HIDDEN.
    """

    events: int = 0
    found: int = 0
    long_events: int = 0
    long_found: int = 0

    def __add__(self, other: Redetection) -> Redetection:
        return Redetection(
            self.events + other.events,
            self.found + other.found,
            self.long_events + other.long_events,
            self.long_found + other.long_found,
        )


def redetection(
    truth: Floats, visible: Flags, predicted: Floats, flagged: Flags, stamps: NDArray[np.int64]
) -> Redetection:
    """How often points are found again after an occlusion.

    A point counts when it was visible, hidden, and then visible for WITHIN frames on end. It is found when in one of these
    frames it is flagged visible within CLOSE of the truth.

    Args:
        truth, visible, predicted, flagged: as for `tap_vid`.
        stamps: [T] of the frames [ns].
    """
    _check(truth, visible, predicted, flagged)
    good = flagged & (np.linalg.norm(predicted - truth, axis=2) <= CLOSE)
    result = Redetection()
    for point in range(visible.shape[1]):
        for first, end in runs(~visible[:, point]):
            shown = visible[end : end + WITHIN, point]
            if first == 0 or len(shown) < WITHIN or not shown.all():
                continue
            found = int(good[end : end + WITHIN, point].any())
            long = int((stamps[end] - stamps[first]) * 1e-9 >= HIDDEN)
            result += Redetection(1, found, long, long * found)
    return result


def silent_failures(truth: Floats, predicted: Floats, flagged: Flags) -> tuple[int, int]:
    """Frames of tracks in which a failure stays unnoticed, and all frames of tracks.

    A frame is silent when it belongs to a run of more than LONG frames in which the track is flagged visible and is more
    than FAR off where the point is, hidden or not.
    """
    _check(truth, flagged, predicted, flagged)
    wrong = (flagged & (np.linalg.norm(predicted - truth, axis=2) > FAR))[1:]
    lengths = [end - first for track in wrong.T for first, end in runs(track)]
    return sum(length for length in lengths if length > LONG), wrong.size


@dataclass(frozen=True)
class Reliability:
    """Predicted confidence of points flagged visible, in bins of equal width, against how many are right.

    Attributes:
        counts: [BINS] points.
        confidence: [BINS] sum of their confidences.
        right: [BINS] how many are within CLOSE and truly visible.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Reliability:
        """Of no points."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS, np.int64))

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(self.counts + other.counts, self.confidence + other.confidence, self.right + other.right)

    @property
    def error(self) -> float:
        """Expected calibration error: the mean over the points of |share that is right - mean confidence| of their bin."""
        total = int(self.counts.sum())
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float("nan")

    def rows(self) -> list[tuple[float, float, int]]:
        """Mean confidence, share that is right and number of points of each bin that has any."""
        return [
            (float(self.confidence[i] / n), float(self.right[i] / n), int(n)) for i, n in enumerate(self.counts) if n
        ]


def reliability(truth: Floats, visible: Flags, predicted: Floats, flagged: Flags, confidence: Floats) -> Reliability:
    """Sorts the confidences [T, N] of the points flagged visible.

    Raises:
        InputError: such a confidence is not within 0..1.
    """
    _check(truth, visible, predicted, flagged)
    right = visible & (np.linalg.norm(predicted - truth, axis=2) <= CLOSE)
    said, right = confidence[1:][flagged[1:]].astype(np.float64), right[1:][flagged[1:]]
    if not ((said >= 0) & (said <= 1)).all():  # false for NaN too
        raise InputError(f"the confidence of a visible point must be within 0..1, got {said.min()}..{said.max()}")
    index = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    return Reliability(
        np.bincount(index, minlength=BINS).astype(np.int64),
        np.asarray(np.bincount(index, weights=said, minlength=BINS), dtype=np.float64),
        np.bincount(index[right], minlength=BINS).astype(np.int64),
    )


def runs(flags: Flags) -> list[tuple[int, int]]:
    """First index and the one behind the last of every run of true in [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _check(truth: Floats, visible: Flags, predicted: Floats, flagged: Flags) -> None:
    frames, points = truth.shape[:2] if truth.ndim == 3 else (0, 0)
    expected = ((frames, points, 2), (frames, points), (frames, points, 2), (frames, points))
    got = (truth.shape, visible.shape, predicted.shape, flagged.shape)
    if frames < 2 or got != expected:
        raise InputError(f"tracks need pixels [T, N, 2] and flags [T, N] with T >= 2; got {got}")
    if not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise InputError("tracks need finite pixels, also where a point is hidden")

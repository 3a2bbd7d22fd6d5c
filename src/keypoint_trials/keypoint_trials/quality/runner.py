"""Runs a tracker over a recorded episode and measures it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import TrackingError
from keypoint_core.protocols import Tracker
from keypoint_core.types import Float32, Frame, Keypoints, KeypointStatus
from keypoint_trials.quality import metrics
from keypoint_trials.quality.episodes import Episode
from keypoint_trials.quality.metrics import Redetection, Reliability

WARM_UP = 5  # frames of each episode whose time does not count


@dataclass(frozen=True)
class Tracked:
    """What a tracker said about N points in T frames; frame 0 is the one it was started in.

    Attributes:
        pixels: [T, N, 2] (u, v).
        visible: [T, N] bool, flagged VISIBLE.
        confidence: [T, N].
        seconds: [T - 1, 2] per frame: time of the calling thread on a processor, and on the clock; not that of starting.
        failure: why it gave up, in words; empty when it did not. What it said last stays, flagged invisible.
    """

    pixels: Float32
    visible: NDArray[np.bool_]
    confidence: Float32
    seconds: NDArray[np.float64]
    failure: str = ""


@dataclass(frozen=True)
class Measured:
    """The figures of one tracker in one episode; one line of the results.

    Attributes:
        task, condition, seed, tracker: what was measured.
        points, frames: how many.
        delta_avg, accuracy, average_jaccard: TAP-Vid; NaN where nothing could be measured.
        within: share of truly visible points within each of TAP-Vid's thresholds.
        median: error of points that are visible and flagged so [px].
        redetection: after occlusions.
        silent, track_frames: frames of tracks with an unnoticed failure, and all.
        reliability: of the confidences.
        cpu, wall: time per frame of the calling thread on a processor, and on the clock, without the first WARM_UP [s].
        failure: why the tracker gave up; empty when it did not.
    """

    task: str
    condition: str
    seed: int
    tracker: str
    points: int
    frames: int
    delta_avg: float
    accuracy: float
    average_jaccard: float
    within: tuple[float, ...]
    median: float
    redetection: Redetection
    silent: int
    track_frames: int
    reliability: Reliability
    cpu: tuple[float, ...]
    wall: tuple[float, ...]
    failure: str = ""


def follow(tracker: Tracker, frames: Iterable[Frame], pixels: Float32) -> Tracked:
    """Starts a tracker on pixels [N, 2] of the first frame and runs it to the last.

    Raises:
        TrackingError: the tracker refuses to start, or returns other points than it was given.
    """
    frames = iter(frames)
    ids = np.arange(len(pixels), dtype=np.int32)
    said = [_in_order(tracker.start(next(frames), pixels, ids), ids)]
    seconds: list[tuple[float, float]] = []
    failure = ""
    for frame, result in _answers(tracker, frames, seconds):
        if isinstance(result, TrackingError):
            failure = failure or f"frame {len(said)}: {result}"
            result = _blind(said[-1], frame)
        said.append(_in_order(result, ids))
    return Tracked(
        np.stack([one.pixels for one in said]),
        np.stack([one.visible for one in said]),
        np.stack([one.confidence for one in said]),
        np.array(seconds).reshape(-1, 2),
        failure,
    )


def measure(name: str, tracked: Tracked, episode: Episode) -> Measured:
    """Compares what a tracker said with the truth."""
    queries, request = episode.queries, episode.request
    truth, visible = episode.pixels[:, queries], episode.visible[:, queries]
    said = (truth, visible, tracked.pixels.astype(np.float64), tracked.visible)
    size = (episode.intrinsics.width, episode.intrinsics.height)
    score = metrics.tap_vid(*said, size)
    silent, track_frames = metrics.silent_failures(truth, said[2], tracked.visible)
    both = (visible & tracked.visible)[1:]
    errors = np.linalg.norm(said[2] - truth, axis=2)[1:][both]
    return Measured(
        request.task,
        request.title,
        request.seed,
        name,
        len(queries),
        len(episode),
        score.delta_avg,
        score.accuracy,
        score.average_jaccard,
        score.delta,
        float(np.median(errors)) if len(errors) else float("nan"),
        metrics.redetection(*said, episode.stamps),
        silent,
        track_frames,
        metrics.reliability(*said, tracked.confidence),
        tuple(np.round(tracked.seconds[WARM_UP:, 0], 6).tolist()),
        tuple(np.round(tracked.seconds[WARM_UP:, 1], 6).tolist()),
        tracked.failure,
    )


def to_json(measured: Measured) -> dict[str, Any]:
    """As a file holds it."""
    bins = measured.reliability
    return {
        **vars(measured),
        "redetection": vars(measured.redetection),
        "reliability": {name: value.tolist() for name, value in vars(bins).items()},
    }


def from_json(values: dict[str, Any]) -> Measured:
    """The same back."""
    bins = values["reliability"]
    table = Reliability(
        np.array(bins["counts"], np.int64), np.array(bins["confidence"]), np.array(bins["right"], np.int64)
    )
    return Measured(
        **{
            **values,
            "within": tuple(values["within"]),
            "redetection": Redetection(**values["redetection"]),
            "reliability": table,
            "cpu": tuple(values["cpu"]),
            "wall": tuple(values["wall"]),
        }
    )


def _answers(
    tracker: Tracker, frames: Iterator[Frame], seconds: list[tuple[float, float]]
) -> Iterator[tuple[Frame, Keypoints | TrackingError]]:
    """What the tracker says about each frame, or why it cannot; appends the time it takes."""
    for frame in frames:
        start = time.thread_time(), time.perf_counter()
        try:
            result: Keypoints | TrackingError = tracker.track(frame)
        except TrackingError as error:
            result = error
        seconds.append((time.thread_time() - start[0], time.perf_counter() - start[1]))
        yield frame, result


def _in_order(keypoints: Keypoints, ids: NDArray[np.int32]) -> Keypoints:
    """The keypoints in the order of their ids."""
    order = np.argsort(keypoints.ids)
    if not np.array_equal(keypoints.ids[order], ids):
        raise TrackingError(f"the tracker was given the ids {ids.tolist()}, it returned {keypoints.ids.tolist()}")
    names = ("ids", "pixels", "confidence", "status", "points")
    return replace(keypoints, **{name: getattr(keypoints, name)[order] for name in names})


def _blind(last: Keypoints, frame: Frame) -> Keypoints:
    """The last pixels, with nothing visible."""
    status = np.full_like(last.status, KeypointStatus.LOST)
    return replace(last, stamp=frame.stamp, status=status, confidence=np.zeros_like(last.confidence))

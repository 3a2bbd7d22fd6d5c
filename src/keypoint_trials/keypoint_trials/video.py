"""Trials as a video: the camera image with tracked keypoints, their trails and status, at the speed of their stamps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from keypoint_core.overlay import Trails, draw
from keypoint_core.types import SECOND, Keypoints
from keypoint_trials.banner import AMBER, BLUE, GREY, RED, Caption, add_bar, add_card
from keypoint_trials.reader import ArmSample, TrialBag, TrialSample, read_trial
from keypoint_trials.records import TrialRecord

PHASES = ("idle", "homing", "setting up", "locating", "tracking", "acting", "judging", "holding")  # as TrialState.msg
LOCATE, ACT = 3, 5
MODES = ("holds", "follows", "homes", "STOPPED")  # as ArmState.msg
FOLLOW, STOPPED = 1, 3
REASONS = (
    "",
    "not finite",
    "stale",
    "not commander",
    "joint limit",
    "workspace",
    "velocity limit",
    "acceleration limit",
    "tracking error",
    "stop requested",
    "feedback lost",
    "wrong shape",
    "driver fault",
)  # as ArmState.msg
Sample = TypeVar("Sample", ArmSample, TrialSample)
CARD = 0.7  # [s]
TICKS = 90_000  # per second, the video clock


class VideoWriter:
    """An mp4 file (H.264, yuv420p, which plays everywhere) with a time for each frame.

    Args:
        path: of the file.
        size: width and height [px]; odd ones lose their last column or row.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", options={"preset": "veryfast", "crf": "21"})
        self._stream.width, self._stream.height = size[0] // 2 * 2, size[1] // 2 * 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream.codec_context.framerate = Fraction(30)
        self._stream.thread_count = 1
        self._last = -1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()

    def write(self, picture: NDArray[np.uint8], time: float) -> None:
        """Adds a frame [H, W, 3] uint8 RGB that is shown from `time` [s] on; times ascend."""
        width, height = self._stream.width, self._stream.height
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        self._last = max(self._last + 1, round(time * TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def write_video(path: Path, records: Sequence[TrialRecord]) -> int:
    """Writes trials one after another, each ending in a card with its outcome.

    Args:
        path: of the mp4 file.
        records: trials whose bags are read; those without images are left out.

    Returns:
        The number of frames, 0 (and no file) where no bag holds an image.
    """
    start, count = 0.0, 0
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        for record in records:
            end = start
            for picture, time in trial_pictures(read_trial(record.folder), record):
                if writer is None:
                    writer = stack.enter_context(VideoWriter(path, (picture.shape[1], picture.shape[0])))
                end = start + time
                writer.write(picture, end)
                count += 1
            start = end + 1 / 15
    return count


def trial_pictures(bag: TrialBag, record: TrialRecord) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yields the pictures [H, W, 3] uint8 RGB of a trial with their times from its begin [s], the card last.

    A trial is shown from when its keypoints are located on; before, the scene is put up.
    """
    shown = [index for index in range(len(bag.frames)) if _phase(bag, int(bag.frames.times[index])) >= LOCATE]
    keypoints = {one.stamp: one for one in bag.keypoints}
    trails, latest, time = Trails(), None, 0.0
    for index in shown:
        stamp = int(bag.frames.stamps[index])
        time = (stamp - int(bag.frames.stamps[shown[0]])) / SECOND
        latest = keypoints.get(stamp)
        if latest is not None:
            trails.push(latest)
        picture = _draw(bag.frames[index], latest, trails)
        yield add_bar(picture, caption(bag, record.trial, int(bag.frames.times[index]))), time
    if shown:
        picture = _draw(bag.frames[shown[-1]], latest, trails)
        carded = add_card(picture, record.trial, record.outcome, _card_lines(record))
        bar = Caption(record.trial, record.outcome, record.elapsed)
        yield add_bar(carded, bar), time + 1 / 15
        yield add_bar(carded, bar), time + CARD


def caption(bag: TrialBag, trial: str, time: int) -> Caption:
    """What the bar says at a time of the system clock [ns]."""
    state = _latest(bag.states, time)
    arm = _latest(bag.arm, time)
    acting = state is not None and state.phase >= ACT
    note, color = _arm_note(arm)
    return Caption(trial, PHASES[_phase(bag, time)], state.elapsed if state and acting else None, note, color)


def _arm_note(arm: ArmSample | None) -> tuple[str, tuple[int, int, int]]:
    if arm is None:
        return "", GREY
    text = f"arm {MODES[arm.mode]}"
    if arm.reasons:
        text += " · " + ", ".join(REASONS[reason] for reason in arm.reasons)
        return text, RED if arm.mode == STOPPED else AMBER
    return text, BLUE if arm.mode == FOLLOW else GREY


def _card_lines(record: TrialRecord) -> list[str]:
    lines = [f"{record.elapsed:.1f} s · {record.visible} of {record.total} keypoints visible"]
    return [*lines, record.error] if record.error else lines


def _draw(image: NDArray[np.uint8], keypoints: Keypoints | None, trails: Trails) -> NDArray[np.uint8]:
    return image if keypoints is None else draw(image, keypoints, trails)


def _phase(bag: TrialBag, time: int) -> int:
    state = _latest(bag.states, time)
    return state.phase if state is not None else 0


def _latest(samples: Sequence[Sample], time: int) -> Sample | None:
    """The newest sample received by that time; None before the first."""
    index = bisect_right(samples, time, key=lambda sample: sample.time)
    return samples[index - 1] if index else None

"""Plays a recording as if it were a camera: a bag of this stack, or an Azure Kinect's MKV.

Frames keep the spacing they were recorded with. Their stamps are moved by one constant per round, so that the first
exposure is now: with the stamps of the day of recording every one of them would be refused as too old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from keypoint_camera.errors import CameraError, StreamEndedError
from keypoint_camera.parameters import ReplayParameters
from keypoint_camera.replay_bag import bag_frames
from keypoint_camera.replay_mkv import mkv_frames
from keypoint_camera.view import View
from keypoint_core.errors import InputError
from keypoint_core.types import SECOND, Frame

_DEFAULT_SPACING = SECOND // 15  # between the last frame and the first of the next round, of a recording of one frame


class Replay:
    """`Camera` that plays a file.

    Args:
        parameters: of this back end.
        view: what of the image to show.

    Raises:
        InputError: there is no such recording.
    """

    Parameters = ReplayParameters

    def __init__(self, parameters: ReplayParameters, view: View) -> None:
        self._path, self._loop, self._view = Path(parameters.file), parameters.loop, view
        mkv = self._path.suffix == ".mkv"
        if not parameters.file or not (self._path.is_file() if mkv else self._path.is_dir()):
            raise InputError(
                f"replay: expected the parameter 'file' to name a bag's folder or an .mkv file, got '{parameters.file}'"
            )
        self._mkv = mkv
        self._frames: Iterator[Frame] | None = None
        self._closed = threading.Event()
        self._shift = 0  # recorded stamp -> system clock [ns]
        self._last = 0  # stamp given to the last frame [ns]
        self._spacing = _DEFAULT_SPACING

    def open(self) -> None:
        """Begins at the first frame."""
        self._closed.clear()
        self._frames = self._begin()
        self._last = 0

    def read(self) -> Frame:
        """Waits until the next frame is due.

        Raises:
            StreamEndedError: at the end, unless the recording is looped.
            CameraError: it is not open, or was closed while waiting.
        """
        frame, first = self._next()
        if first:
            begin = max(time.time_ns(), self._last + self._spacing) if self._last else time.time_ns()
            self._shift = begin - frame.stamp
        stamp = frame.stamp + self._shift
        if self._last and not first:
            self._spacing = stamp - self._last
        self._last = stamp
        if self._closed.wait(max(0, stamp - time.time_ns()) / SECOND):
            raise CameraError("the replay is closed")
        return replace(frame, stamp=stamp)

    def close(self) -> None:
        """Wakes up a `read` that waits."""
        self._closed.set()
        self._frames = None

    def _begin(self) -> Iterator[Frame]:
        return mkv_frames(self._path, self._view) if self._mkv else bag_frames(self._path)

    def _next(self) -> tuple[Frame, bool]:
        """The next frame as recorded, and whether it is the first of a round."""
        if self._frames is None:
            raise CameraError("the replay is not open")
        frame, first = next(self._frames, None), self._last == 0
        if frame is None and self._last and self._loop:
            self._frames = self._begin()
            frame, first = next(self._frames, None), True
        if frame is None:
            what = "has ended" if self._last else "holds no frames"
            raise StreamEndedError(f"the recording {self._path} {what}")
        return frame, first

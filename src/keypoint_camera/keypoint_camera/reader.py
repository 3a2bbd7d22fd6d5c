"""The thread that empties a camera, and opens it again when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from keypoint_camera.errors import CameraError, StreamEndedError
from keypoint_camera.frames import CapturedFrame
from keypoint_camera.view import View
from keypoint_core.errors import KeypointError
from keypoint_core.protocols import Camera
from keypoint_core.types import Frame

_CLOSE_TIMEOUT = 5.0  # longest wait for a driver that hangs [s]


class FrozenCheck:
    """Tells a camera that repeats itself: sensor noise makes two exposures differ.

    Args:
        limit: equal images, or stamps that do not grow, in a row that are too many; 0 for no limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stamp, self._color = -1, np.empty(0, np.uint8)
        self._images, self._stamps = 0, 0

    def reopened(self) -> None:
        """Stamps may start anew; an image that still repeats stays frozen."""
        self._stamp, self._stamps = -1, 0

    def is_new(self, frame: Frame) -> bool:
        """Whether the exposure is newer than the last one; raises CameraError when the camera is frozen."""
        newer = frame.stamp > self._stamp
        self._stamps = 0 if newer else self._stamps + 1
        self._images = self._images + 1 if self._repeats(frame.color) else 0
        if newer:
            self._stamp, self._color = frame.stamp, frame.color
        if self._limit and max(self._stamps, self._images) >= self._limit:
            what = "stamp" if self._stamps >= self._limit else "image"
            raise CameraError(f"the camera is frozen: the {what} did not change over {self._limit} frames")
        return newer

    def _repeats(self, color: NDArray[np.uint8]) -> bool:
        return bool(self._limit) and np.array_equal(color, self._color)


class CameraReader:
    """Reads a camera in a thread of its own until told to stop.

    A camera that fails, whichever way, is closed and opened again after a while; the rest of the graph lives on.

    Args:
        camera: not yet open; used by this thread only.
        view: what of the image to hand out.
        frozen_after: see `FrozenCheck`.
        reconnect_period: wait before a camera is opened again [s].
        on_frame: called with each frame and when it came in, by the system clock [ns].
        on_fault: called with a message when the camera fails.
        on_end: called with a message when a recording is over; nothing comes after it.
    """

    def __init__(
        self,
        camera: Camera,
        view: View,
        frozen_after: int,
        reconnect_period: float,
        on_frame: Callable[[Frame, int], None],
        on_fault: Callable[[str], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._camera, self._view = camera, view
        self._check, self._reconnect_period = FrozenCheck(frozen_after), reconnect_period
        self._on_frame, self._on_fault, self._on_end = on_frame, on_fault, on_end
        self._waiting_since = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and closes the camera; a driver that hangs is left to itself."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT)

    @property
    def waiting(self) -> float:
        """How long the camera has been asked for a frame without an answer [s]; 0 while it is not asked."""
        since = self._waiting_since
        return time.monotonic() - since if since else 0.0

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._camera.open()
                self._stream()
            except StreamEndedError as error:
                self._on_end(str(error))
                return
            except KeypointError as error:
                self._on_fault(str(error))
            except Exception as error:  # noqa: BLE001 - reported, whatever it is: the thread must live
                self._on_fault(f"{type(error).__name__}: {error}")
            finally:
                self._waiting_since = 0.0
                self._camera.close()
            self._stopping.wait(self._reconnect_period)

    def _stream(self) -> None:
        self._check.reopened()
        while not self._stopping.is_set():
            self._waiting_since = time.monotonic()
            frame = self._camera.read()
            self._waiting_since = 0.0
            received = frame.received if isinstance(frame, CapturedFrame) else time.time_ns()
            if self._check.is_new(frame):
                self._on_frame(self._view.apply(frame), received)

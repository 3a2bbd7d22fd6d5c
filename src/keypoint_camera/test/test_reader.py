"""The reader's thread on scripted cameras."""

import queue
import threading

import numpy as np
import pytest

from keypoint_camera.errors import CameraError, StreamEndedError
from keypoint_camera.frames import CapturedFrame
from keypoint_camera.reader import CameraReader
from keypoint_camera.view import View
from keypoint_core.types import Frame, Intrinsics

INTRINSICS = Intrinsics(8, 6, 10.0, 10.0, 4.0, 3.0)
VIEW = View(None, rectify=True)
TIMEOUT = 10.0


def frame(stamp, shade=None, kind=Frame, **fields):
    color = np.full((6, 8, 3), stamp % 256 if shade is None else shade, np.uint8)
    return kind(stamp, color, None, INTRINSICS, **fields)


class Script:
    """A camera that plays a list: frames are handed out, errors raised; then the recording is over."""

    def __init__(self, items):
        self.items, self.log = list(items), []

    def open(self):
        self.log.append("open")

    def read(self):
        item = self.items.pop(0) if self.items else StreamEndedError("the script has ended")
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self.log.append("close")


def run(items, frozen_after=3):
    """What came out of the script: frames with their arrival, faults, and the camera."""
    camera, frames, faults, end = Script(items), [], [], queue.Queue()
    reader = CameraReader(
        camera, VIEW, frozen_after, 0.001, lambda *frame: frames.append(frame), faults.append, end.put
    )
    reader.start()
    assert end.get(timeout=TIMEOUT) == "the script has ended"
    reader.stop()
    return frames, faults, camera


def stamps(frames):
    return [frame.stamp for frame, _ in frames]


def test_frames_pass_in_order():
    frames, faults, camera = run([frame(stamp) for stamp in range(1, 6)])
    assert stamps(frames) == [1, 2, 3, 4, 5]
    assert not faults
    assert camera.log == ["open", "close"]


def test_a_frame_that_tells_its_arrival_is_believed():
    frames, _, _ = run([frame(1, kind=CapturedFrame, received=42), frame(2)])
    assert frames[0][1] == 42
    assert frames[1][1] > 1e18, "else it came in when it was read"


def test_an_exposure_is_never_handed_out_twice():
    frames, faults, _ = run([frame(5), frame(5), frame(4), frame(6), frame(6), frame(7)])
    assert stamps(frames) == [5, 6, 7]
    assert not faults


@pytest.mark.parametrize(
    ("items", "words", "before"),
    [
        ([CameraError("gone")], "gone", []),
        ([ZeroDivisionError("a driver's mistake")], "ZeroDivisionError: a driver's mistake", []),
        ([frame(1)] * 4, "the stamp did not change over 3 frames", [1]),
        ([frame(stamp, shade=7) for stamp in range(1, 5)], "the image did not change over 3 frames", [1, 2, 3]),
    ],
    ids=["lost", "broken", "old", "frozen"],
)
def test_whatever_fails_is_reported_and_opened_again(items, words, before):
    frames, faults, camera = run([*items, frame(100), frame(101)])
    assert len(faults) == 1
    assert words in faults[0]
    assert stamps(frames) == [*before, 100, 101]
    assert camera.log == ["open", "close", "open", "close"]


def test_a_camera_that_stays_frozen_publishes_nothing_more():
    frames, faults, camera = run([frame(stamp, shade=7) for stamp in range(1, 9)] + [frame(100)])
    assert stamps(frames) == [1, 2, 3, 100]
    assert len(faults) == 5
    assert camera.log.count("open") == 6


def test_equal_images_may_be_allowed():
    frames, faults, _ = run([frame(stamp, shade=7) for stamp in range(1, 50)], frozen_after=0)
    assert len(frames) == 49
    assert not faults


def test_a_camera_that_cannot_be_opened_is_tried_again():
    class Late(Script):
        def open(self):
            super().open()
            if self.log.count("open") < 4:
                raise CameraError("absent")

    camera, faults, end = Late([frame(1)]), [], queue.Queue()
    reader = CameraReader(camera, VIEW, 3, 0.001, lambda *frame: None, faults.append, end.put)
    reader.start()
    end.get(timeout=TIMEOUT)
    assert faults == ["absent"] * 3
    assert camera.log.count("close") == 4


def test_a_hanging_read_shows_and_stop_ends_the_thread():
    inside, leave = threading.Event(), threading.Event()

    class Hanging(Script):
        def read(self):
            inside.set()
            leave.wait(TIMEOUT)
            return frame(1)

    camera = Hanging([])
    reader = CameraReader(camera, VIEW, 3, 0.001, lambda *frame: None, lambda fault: None, lambda end: None)
    assert reader.waiting == 0.0
    reader.start()
    assert inside.wait(TIMEOUT)
    first = reader.waiting
    assert 0.0 < first < reader.waiting
    leave.set()
    reader.stop()
    assert reader.waiting == 0.0
    assert camera.log[-1] == "close"
    reader.stop()

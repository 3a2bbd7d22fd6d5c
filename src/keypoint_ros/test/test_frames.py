"""Frames are put together by stamp, whole ones only, each once, in order."""

from __future__ import annotations

import numpy as np
import pytest

from keypoint_core.types import Frame, Intrinsics
from keypoint_ros.camera import CameraPublisher
from keypoint_ros.conversions import to_camera_info, to_image
from keypoint_ros.frames import FrameSubscriber

INTRINSICS = Intrinsics(8, 6, 10.0, 10.0, 3.5, 2.5)
SECOND = 1_000_000_000


class Listener:
    """A subscriber whose callbacks the test calls itself, so that it decides what comes when."""

    def __init__(self, ros, depth: bool = True) -> None:
        self.frames, self.errors = [], []
        self.subscriber = FrameSubscriber(
            ros.start().node(), self.frames.append, self.errors.append, depth=depth, lockstep=True
        )

    def info(self, intrinsics: Intrinsics = INTRINSICS) -> Listener:
        self.subscriber._info(to_camera_info(intrinsics, 0, "camera"))
        return self

    def color(self, stamp: int) -> Listener:
        image = np.full((6, 8, 3), stamp % 251, np.uint8)
        self.subscriber._color(to_image(image, "rgb8", stamp, "camera"))
        return self

    def depth(self, stamp: int) -> Listener:
        self.subscriber._depth_image(to_image(np.full((6, 8), 1 + stamp % 7, np.float32), "32FC1", stamp, "camera"))
        return self

    @property
    def stamps(self) -> list[int]:
        return [received.frame.stamp for received in self.frames]


def test_colour_and_depth_are_paired_by_stamp_in_any_order(ros) -> None:
    listener = Listener(ros).info()
    listener.color(10).color(20).depth(20).depth(10).depth(30).color(30)
    assert listener.stamps == [20, 30]  # 10 is older than what was handed out already
    for received in listener.frames:
        frame = received.frame
        assert frame.color[0, 0, 0] == frame.stamp and frame.depth[0, 0] == 1 + frame.stamp % 7
        assert frame.frame_id == "camera" and frame.intrinsics == INTRINSICS and received.received > 0


def test_half_a_frame_is_none(ros) -> None:
    assert Listener(ros).info().color(10).depth(11).color(12).stamps == []


def test_frames_wait_for_the_calibration(ros) -> None:
    listener = Listener(ros).color(10).depth(10)
    assert listener.stamps == []
    assert listener.info().stamps == [10]


def test_each_stamp_is_handed_out_once(ros) -> None:
    listener = Listener(ros).info()
    for stamp in (10, 10, 20, 10, 20):
        listener.color(stamp).depth(stamp)
    assert listener.stamps == [10, 20]


def test_without_depth_colour_is_enough(ros) -> None:
    listener = Listener(ros, depth=False).info().color(10).color(10).color(20)
    assert listener.stamps == [10, 20] and listener.frames[0].frame.depth is None


def test_a_clock_that_was_set_back_does_not_end_the_stream(ros) -> None:
    listener = Listener(ros).info().color(90 * SECOND).depth(90 * SECOND)
    for stamp in range(91, 99):
        listener.color(stamp * SECOND)  # halves that never became whole
    listener.color(5).depth(5).color(6).depth(6)
    assert listener.stamps == [90 * SECOND, 5, 6]


def test_halves_do_not_pile_up(ros) -> None:
    listener = Listener(ros).info()
    for stamp in range(100):
        listener.color(stamp + 1)
    assert len(listener.subscriber._parts) <= 8
    assert listener.depth(100).stamps == [100] and listener.depth(3).stamps == [100]


def test_images_that_do_not_fit_are_told_and_the_stream_goes_on(ros) -> None:
    listener = Listener(ros, depth=False).info()
    listener.subscriber._color(to_image(np.zeros((3, 4, 3), np.uint8), "rgb8", 5, "camera"))
    listener.subscriber._color(to_image(np.zeros((6, 8), np.uint16), "16UC1", 6, "camera"))
    assert len(listener.errors) == 2 and "16UC1" in listener.errors[1]
    assert listener.color(7).stamps == [7]


def test_a_camera_without_calibration_is_told(ros) -> None:
    listener = Listener(ros)
    message = to_camera_info(INTRINSICS, 0, "")
    message.k = np.zeros(9)
    listener.subscriber._info(message)
    assert "positive" in listener.errors[0] and listener.subscriber.intrinsics is None


@pytest.mark.parametrize("lockstep", [True, False])
def test_over_the_wire_frames_arrive_as_they_were_sent(ros, lockstep: bool) -> None:
    sender, receiver = ros.start().node("camera"), ros.node("listener")
    publisher, frames = CameraPublisher(sender), []
    subscriber = FrameSubscriber(receiver, frames.append, pytest.fail, depth=True, lockstep=lockstep)
    depth = np.full((6, 8), 0.75, np.float32)
    depth[0, 0] = np.nan
    sent = Frame(1_800_000_000_000_000_123, np.arange(144, dtype=np.uint8).reshape(6, 8, 3), depth, INTRINSICS, "cam")
    topics = ("camera/color/image_raw", "camera/depth_registered/image_raw", "camera/color/camera_info")
    ros.spin_until(lambda: all(sender.count_subscribers(topic) for topic in topics))
    publishers = (publisher._color, publisher._depth, publisher._color_info)
    ros.spin_until(lambda: all(publisher.get_subscription_count() for publisher in publishers))
    publisher.publish(sent)
    ros.spin_until(lambda: frames)
    found = frames[0].frame
    assert found.stamp == sent.stamp and found.frame_id == "cam" and subscriber.intrinsics == INTRINSICS
    np.testing.assert_array_equal(found.color, sent.color)
    np.testing.assert_array_equal(found.depth, sent.depth)

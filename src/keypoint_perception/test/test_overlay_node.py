"""The overlay node: a picture and markers for whoever looks, and no work for nobody."""

from __future__ import annotations

import numpy as np
import pytest
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from keypoint_core.types import Keypoints
from keypoint_perception.overlay_node import OverlayNode
from keypoint_ros.conversions import color_from_image, from_stamp, to_image, to_keypoints
from keypoint_ros.qos import PUBLISH_STREAM, SUBSCRIBE_STREAM

IMAGE, KEYPOINTS = "camera/color/image_raw", "perception/keypoints"
OVERLAY, MARKERS = "perception/overlay/image_raw", "perception/markers"
FRAME = "camera_color_optical_frame"


class Viewer:
    """The overlay node, a camera and a tracker for it to listen to, and somebody who looks or does not."""

    def __init__(self, ros) -> None:
        self.ros = ros.start()
        self.overlay = ros.add(OverlayNode())
        self.node = ros.node("viewer")
        self.image = self.node.create_publisher(Image, IMAGE, PUBLISH_STREAM)
        self.keypoints = self.node.create_publisher(KeypointsMsg, KEYPOINTS, PUBLISH_STREAM)
        self.seen: dict[str, list] = {OVERLAY: [], MARKERS: []}
        assert self.overlay.start()

    def look(self, topic: str, kind: type) -> object:
        return self.node.create_subscription(kind, topic, self.seen[topic].append, SUBSCRIBE_STREAM)

    def demand(self) -> tuple[int, int]:
        """How many listen to the camera and to the tracker."""
        return self.node.count_subscribers(IMAGE), self.node.count_subscribers(KEYPOINTS)

    def until_demand(self, wanted: tuple[int, int]) -> None:
        self.ros.spin_until(lambda: self.demand() == wanted)

    def send_image(self, stamp: int, encoding: str = "bgr8") -> None:
        self.image.publish(to_image(np.full((120, 160, 3), 90, np.uint8), encoding, stamp, FRAME))

    def send_keypoints(self, stamp: int) -> None:
        self.keypoints.publish(to_keypoints(keypoints(stamp), FRAME, (160, 120)))


def keypoints(stamp: int) -> Keypoints:
    return Keypoints(
        stamp=stamp,
        ids=np.array([4, 5], np.int32),
        pixels=np.array([[40, 30], [100, 80]], np.float32),
        confidence=np.ones(2, np.float32),
        status=np.zeros(2, np.uint8),
        points=np.array([[0, 0, 1], [0.1, 0.1, 1]], np.float32),
    )


@pytest.fixture
def viewer(ros) -> Viewer:
    return Viewer(ros)


def test_nobody_looks_and_nothing_is_listened_to(viewer) -> None:
    for _ in range(40):  # two turns of the timer and more
        viewer.ros.executor.spin_once(timeout_sec=0.04)
    assert viewer.demand() == (0, 0)


def test_the_picture_is_drawn_for_whoever_looks_and_no_longer(viewer) -> None:
    watching = viewer.look(OVERLAY, Image)
    viewer.until_demand((1, 1))
    viewer.send_image(10)
    viewer.send_keypoints(10)
    viewer.ros.spin_until(lambda: viewer.seen[OVERLAY])
    message = viewer.seen[OVERLAY][0]
    picture = color_from_image(message)
    assert from_stamp(message.header.stamp) == 10 and message.header.frame_id == FRAME
    assert picture.shape == (120, 160, 3) and picture[30, 40, 1] > 200 and picture[5, 5].tolist() == [90, 90, 90]
    viewer.node.destroy_subscription(watching)
    viewer.until_demand((0, 0))


def test_markers_need_no_images(viewer) -> None:
    watching = viewer.look(MARKERS, MarkerArray)
    viewer.until_demand((0, 1))
    viewer.send_keypoints(10)
    viewer.ros.spin_until(lambda: viewer.seen[MARKERS])
    assert {(m.ns, m.id) for m in viewer.seen[MARKERS][0].markers} >= {("keypoints", 4), ("keypoints", 5)}
    assert viewer.seen[OVERLAY] == []
    viewer.node.destroy_subscription(watching)
    viewer.until_demand((0, 0))


def test_an_image_that_comes_after_its_keypoints_is_drawn_all_the_same(viewer) -> None:
    viewer.look(OVERLAY, Image)
    viewer.until_demand((1, 1))
    viewer.send_keypoints(10)
    viewer.ros.spin_until(lambda: viewer.overlay._keypoints is not None)
    viewer.send_image(10)
    viewer.ros.spin_until(lambda: viewer.seen[OVERLAY])
    viewer.send_image(20)  # of which no keypoints are known
    viewer.send_keypoints(30)  # whose image never came
    viewer.send_image(40)
    viewer.send_keypoints(40)
    viewer.ros.spin_until(lambda: len(viewer.seen[OVERLAY]) > 1)
    assert [from_stamp(message.header.stamp) for message in viewer.seen[OVERLAY]] == [10, 40]


def test_an_image_that_cannot_be_read_is_reported(viewer) -> None:
    errors: list[str] = []
    viewer.overlay.report = errors.append
    viewer.look(OVERLAY, Image)
    viewer.until_demand((1, 1))
    viewer.send_image(10, "yuv422")
    viewer.send_keypoints(10)
    viewer.ros.spin_until(lambda: errors)
    assert "got 'yuv422'" in errors[0]


def test_an_inactive_node_listens_to_nothing(viewer) -> None:
    viewer.look(OVERLAY, Image)
    viewer.look(MARKERS, MarkerArray)
    viewer.until_demand((1, 1))
    viewer.overlay.trigger_deactivate()
    viewer.until_demand((0, 0))

"""Frames that are blank, of another size, without depth, or of something else: each is told, none is guessed about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from keypoint_interfaces.srv import Locate, StartTracking
from sensor_msgs.msg import CameraInfo, Image

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.types import Intrinsics, Keypoints, KeypointStatus
from keypoint_perception.correspondence_node import CorrespondenceNode
from keypoint_perception.tracker_node import TrackerNode
from keypoint_ros.conversions import from_keypoints, from_stamp, to_camera_info, to_image, to_keypoints, to_stamp
from keypoint_ros.qos import LATCHED, PUBLISH_STREAM, SUBSCRIBE_STREAM

FRAME = "camera_color_optical_frame"
SMALL, LARGE = Intrinsics(160, 120, 160.0, 160.0, 79.5, 59.5), Intrinsics(320, 240, 320.0, 320.0, 159.5, 119.5)
STEP = 66_666_667
TIMEOUT = 60.0  # locating takes a while on a busy machine [s]
PIXELS = np.array([[60, 50], [90, 70], [75, 60]], np.float32)
CHECKPOINT = Path(__file__).parents[3] / "models" / "clock_button" / "atk"


def texture(index: int, size=(160, 120)) -> np.ndarray:
    """A picture that moves right by one pixel per frame."""
    generator = np.random.default_rng(0)
    cells = generator.integers(0, 255, (size[1] // 4, size[0] // 2, 3)).astype(np.uint8)
    wide = cv2.resize(cells, (2 * size[0], size[1]), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(wide, (0, 0), 2)
    return np.ascontiguousarray(smooth[:, size[0] // 2 - index :][:, : size[0]])


class Camera:
    """Plays the camera to one node, and listens to what that node publishes and says of itself."""

    def __init__(self, ros, node, depth: bool = True) -> None:
        self.ros, self.node, self.depth = ros, ros.node("camera"), depth
        self.info = self.node.create_publisher(CameraInfo, "camera/color/camera_info", LATCHED)
        self.color = self.node.create_publisher(Image, "camera/color/image_raw", PUBLISH_STREAM)
        self.depth_image = self.node.create_publisher(Image, "camera/depth_registered/image_raw", PUBLISH_STREAM)
        self.keypoints: list[Keypoints] = []
        self.statuses: list[DiagnosticStatus] = []
        self.node.create_subscription(KeypointsMsg, "perception/keypoints", self._on_keypoints, SUBSCRIBE_STREAM)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.under_test = ros.add(node)
        assert node.start()
        wanted = (self.color, self.depth_image) if depth else (self.color,)
        self.until(lambda: all(publisher.get_subscription_count() for publisher in wanted))
        self.until(lambda: node.count_publishers("/diagnostics") and node.count_subscribers("/diagnostics"))

    def until(self, predicate: Callable[[], object]) -> None:
        self.ros.spin_until(predicate, TIMEOUT)

    def _on_keypoints(self, message: KeypointsMsg) -> None:
        self.keypoints.append(from_keypoints(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.statuses += [status for status in message.status if status.name == self.under_test.get_name()]

    def calibrate(self, intrinsics: Intrinsics = SMALL) -> Camera:
        self.info.publish(to_camera_info(intrinsics, 0, FRAME))
        self.until(lambda: self.under_test._camera.intrinsics == intrinsics)
        return self

    def send(self, index: int, image: np.ndarray | None = None, depth: np.ndarray | None = None) -> int:
        image = texture(index) if image is None else image
        stamp = (index + 1) * STEP
        self.color.publish(to_image(image, "rgb8", stamp, FRAME))
        if self.depth:
            depth = np.full(image.shape[:2], 0.8, np.float32) if depth is None else depth
            self.depth_image.publish(to_image(depth, "32FC1", stamp, FRAME))
        return stamp

    def track(self, index: int, image: np.ndarray | None = None, depth: np.ndarray | None = None) -> Keypoints:
        """The keypoints of a frame that is sent now."""
        stamp = self.send(index, image, depth)
        self.until(lambda: any(k.stamp == stamp for k in self.keypoints))
        return next(k for k in self.keypoints if k.stamp == stamp)

    def call(self, kind: type, name: str, request: object) -> object:
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def start(self, pixels: np.ndarray = PIXELS) -> Keypoints:
        """Tracking begins on frame 0."""
        stamp = self.send(0)
        self.until(lambda: stamp in self.under_test._ring)
        self.start_on(stamp, pixels)
        self.until(lambda: self.keypoints)
        return self.keypoints[0]

    def start_on(self, stamp: int, pixels: np.ndarray = PIXELS) -> None:
        """Asks for a start on that frame."""
        n = len(pixels)
        unknown = np.full((n, 3), np.nan, np.float32)
        located = Keypoints(
            stamp, np.arange(n, dtype=np.int32), pixels, np.ones(n, np.float32), np.zeros(n, np.uint8), unknown
        )
        answer = self.call(
            StartTracking, "tracker/start", StartTracking.Request(keypoints=to_keypoints(located, FRAME, (160, 120)))
        )
        assert answer.error_code == StartTracking.Response.OK, answer.error_msg

    def until_said(self, text: str, level: bytes = DiagnosticStatus.ERROR) -> None:
        self.until(lambda: any(text in s.message and s.level == level for s in self.statuses))

    def until_unsaid(self, text: str) -> None:
        self.until(lambda: text not in self.statuses[-1].message and self.statuses[-1].level != DiagnosticStatus.ERROR)


@pytest.fixture
def tracking(ros) -> Camera:
    ros.start("backend:=lucas_kanade")
    camera = Camera(ros, TrackerNode()).calibrate()
    camera.start()
    return camera


def test_a_start_that_is_asked_again_does_not_start_again(tracking) -> None:
    begun = tracking.keypoints[0].stamp
    tracking.track(1)
    tracking.start_on(begun)
    tracking.track(2)
    assert [keypoints.stamp for keypoints in tracking.keypoints].count(begun) == 1


def test_a_blank_frame_is_told_gives_no_keypoints_and_ends_nothing(tracking) -> None:
    assert tracking.track(1).visible.all()
    blank = tracking.send(2, np.zeros((120, 160, 3), np.uint8))
    tracking.until_said("the frame is blank")
    after = tracking.track(3)
    assert blank not in {keypoints.stamp for keypoints in tracking.keypoints}
    assert after.visible.all()
    np.testing.assert_allclose(after.pixels, PIXELS + [3, 0], atol=0.5)


def test_images_of_another_size_than_the_calibration_are_told_and_not_tracked(tracking) -> None:
    stamp = tracking.send(1, texture(1, (320, 240)))
    tracking.until_said("camera_info is for 160x120")
    assert tracking.track(2).visible.all()
    assert stamp not in {keypoints.stamp for keypoints in tracking.keypoints}


def test_a_camera_that_changes_its_size_is_told_and_not_tracked(tracking) -> None:
    tracking.calibrate(LARGE)
    stamp = tracking.send(1, texture(1, (320, 240)))
    tracking.until_said("the image changed from 160x120 to 320x240")
    assert stamp not in {keypoints.stamp for keypoints in tracking.keypoints}


def test_without_depth_keypoints_have_no_place_in_3d_rather_than_a_guessed_one(tracking) -> None:
    known = tracking.track(1).points
    np.testing.assert_allclose(known[:, 2], 0.8, atol=1e-6)
    hole = tracking.track(2, depth=np.full((120, 160), np.nan, np.float32))
    assert hole.visible.all() and np.isnan(hole.points).all()
    assert np.isfinite(tracking.track(3).points).all()


def test_a_picture_of_something_else_makes_no_keypoint_visible(tracking) -> None:
    noise = np.random.default_rng(5).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    hidden = tracking.track(1, noise)
    assert not hidden.visible.any()
    np.testing.assert_array_equal(hidden.pixels, PIXELS)  # the last trusted ones
    assert (hidden.confidence <= 0.5).all() and np.isnan(hidden.points).all()


def test_a_picture_that_repeats_keeps_keypoints_where_they_are(tracking) -> None:
    before = tracking.track(1)
    for index in range(2, 6):
        after = tracking.track(index, texture(1))
    np.testing.assert_allclose(after.pixels, before.pixels, atol=0.05)


def test_a_frozen_camera_is_told_as_long_as_it_is(tracking) -> None:
    for index in range(1, 20):
        assert tracking.track(index, texture(1)).visible.all()
    tracking.until_said("is the camera frozen?", DiagnosticStatus.WARN)
    tracking.track(20)
    tracking.until_unsaid("is the camera frozen?")


def test_missing_depth_is_told(tracking) -> None:
    tracking.track(1, depth=np.full((120, 160), np.nan, np.float32))
    tracking.until_said("of the depth is valid", DiagnosticStatus.WARN)


def test_an_error_ends_with_the_next_good_frame(tracking) -> None:
    tracking.send(1, np.zeros((120, 160, 3), np.uint8))
    tracking.until_said("the frame is blank")
    tracking.track(2)
    tracking.until_unsaid("the frame is blank")


def test_colour_that_waits_for_depth_in_vain_is_told(ros) -> None:
    ros.start("backend:=lucas_kanade")
    camera = Camera(ros, TrackerNode(), depth=False).calibrate()
    for index in range(12):
        stamp = camera.send(index)
        camera.until(lambda stamp=stamp: max(camera.under_test._camera._parts, default=0) == stamp)
    camera.until_said("nothing on camera/depth_registered/image_raw")


def test_points_outside_the_image_are_refused_with_its_size(ros) -> None:
    ros.start("backend:=lucas_kanade")
    camera = Camera(ros, TrackerNode()).calibrate()
    stamp = camera.send(0)
    camera.until(lambda: stamp in camera.under_test._ring)
    far = np.array([[60, 50], [500, 50]], np.float32)
    unknown = np.full((2, 3), np.nan, np.float32)
    located = Keypoints(
        stamp, np.arange(2, dtype=np.int32), far, np.ones(2, np.float32), np.zeros(2, np.uint8), unknown
    )
    request = StartTracking.Request(keypoints=to_keypoints(located, FRAME, (160, 120)))
    answer = camera.call(StartTracking, "tracker/start", request)
    assert answer.error_code == StartTracking.Response.BAD_REQUEST
    assert "must lie inside the 160x120 image" in answer.error_msg and camera.keypoints == []


@pytest.fixture
def locating(ros):
    """A correspondence node for a clock, and the reference that it looks for."""
    reference = load_checkpoint(CHECKPOINT).reference()
    ros.start(f"checkpoint:={CHECKPOINT}", "backend:=sift_pnp")
    return Camera(ros, CorrespondenceNode()).calibrate(reference.intrinsics), reference


def locate(camera: Camera, stamp: int) -> Locate.Response:
    return camera.call(Locate, "correspondence/locate", Locate.Request(stamp=to_stamp(stamp)))


def received(camera: Camera, stamp: int) -> int:
    camera.until(lambda: camera.under_test._newest and camera.under_test._newest.stamp == stamp)
    return stamp


def test_the_reference_itself_is_located(locating) -> None:
    camera, reference = locating
    answer = locate(camera, received(camera, camera.send(0, reference.color, reference.depth)))
    assert answer.error_code == Locate.Response.OK, answer.error_msg
    located = from_keypoints(answer.keypoints)
    assert located.visible.mean() >= 10 / 12 and set(located.status) <= {KeypointStatus.VISIBLE, KeypointStatus.LOST}


def test_a_request_sent_again_is_not_located_again(locating) -> None:
    camera, reference = locating
    stamp = received(camera, camera.send(0, reference.color, reference.depth))
    first = locate(camera, stamp)
    later = received(camera, camera.send(1, reference.color, reference.depth))
    assert locate(camera, stamp) == first
    assert locate(camera, 0).keypoints.header.stamp == locate(camera, later).keypoints.header.stamp == to_stamp(later)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 200, np.uint8),
        np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8),
    ],
    ids=["black", "grey", "noise"],
)
def test_frames_without_the_object_are_refused_with_the_reason(locating, image) -> None:
    camera, reference = locating
    answer = locate(camera, received(camera, camera.send(0, image, reference.depth)))
    assert answer.error_code == Locate.Response.REFUSED and len(answer.keypoints.ids) == 0
    assert f"located 0 of {len(reference.ids)} keypoints" in answer.error_msg or "blank" in answer.error_msg
    camera.until_said(answer.error_msg, DiagnosticStatus.WARN)


def test_no_frame_since_is_an_answer(locating) -> None:
    camera, reference = locating
    stamp = received(camera, camera.send(0, reference.color, reference.depth))
    late = locate(camera, stamp + 1)
    assert late.error_code == Locate.Response.NO_FRAME and "no frame since the stamp" in late.error_msg
    assert from_stamp(late.keypoints.header.stamp) == 0


def test_colour_without_depth_is_no_frame_and_the_answer_asks_for_depth(locating) -> None:
    camera, reference = locating
    camera.depth = False
    camera.send(0, reference.color)
    answer = locate(camera, 0)
    assert answer.error_code == Locate.Response.NO_FRAME and "with depth?" in answer.error_msg

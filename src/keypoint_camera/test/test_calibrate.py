"""From pictures of markers to the lines that a camera's configuration needs."""

import time

import cv2
import numpy as np
import pytest
import rclpy
import yaml
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, JointState

from keypoint_camera.calibrate import as_config, calibrate, read_markers
from keypoint_camera.calibration_views import View, receive
from keypoint_core.arms.description import load_arm
from keypoint_core.arms.kinematics import SerialChain
from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import project, transform
from keypoint_core.geometry.pose import Pose, difference, inverse, rigid
from keypoint_core.types import Frame, Intrinsics
from keypoint_ros.conversions import to_camera_info, to_header, to_image
from keypoint_ros.qos import LATCHED, PUBLISH_STREAM

K = Intrinsics(640, 480, 607.0, 607.0, 318.0, 246.0)
AXES = Rotation.from_matrix([[0, 0.477, -0.879], [1, 0, 0], [0, -0.879, -0.477]])
CAMERA = rigid(AXES, np.array([1.1, 0.02, 0.32]))
TEXT = """
side: 0.12
dictionary: DICT_4X4_50
markers:
  3: [0.35, -0.15, -0.2, 0, 0.17, 0, 0.985]
  7: [0.45, 0.15, -0.1, 0, 0.17, 0.19, 0.96]
"""


@pytest.fixture
def markers(tmp_path):
    path = tmp_path / "markers.yaml"
    path.write_text(TEXT)
    return read_markers(path)


def picture(markers, seed, tool=None, camera=CAMERA):
    """The markers before a grey wall, with noise."""
    image = np.full((480, 640), 170, np.uint8)
    dictionary = cv2.aruco.getPredefinedDictionary(markers.dictionary)
    for number, pose in markers.at(tool).items():
        tile = cv2.copyMakeBorder(
            cv2.aruco.generateImageMarker(dictionary, number, 240), *[40] * 4, cv2.BORDER_CONSTANT, value=255
        )
        square = np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]]) * markers.side * 320 / 480
        target = project(transform(inverse(camera) @ pose, square), K).astype(np.float32)
        source = np.array([[-0.5, -0.5], [319.5, -0.5], [319.5, 319.5], [-0.5, 319.5]], np.float32)
        warp = cv2.getPerspectiveTransform(source, target)
        covered = cv2.warpPerspective(np.full_like(tile, 255), warp, (640, 480)) > 127
        image = np.where(covered, cv2.warpPerspective(tile, warp, (640, 480), flags=cv2.INTER_AREA), image)
    noisy = image + np.random.default_rng(seed).normal(0, 2, image.shape)
    color = np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Frame(seed, color, None, K)


def test_markers_on_pictures_become_a_configuration(markers):
    result = calibrate([View(picture(markers, seed)) for seed in range(3)], markers)
    distance, angle = difference(result.camera_pose, CAMERA)
    assert distance < 0.008 and angle < np.deg2rad(0.6) and len(result.agree) == 24
    numbers = yaml.safe_load(as_config(result))["tracker"]["ros__parameters"]["camera_pose"]
    assert difference(Pose(numbers[:3], numbers[3:]).matrix, result.camera_pose)[0] < 1e-5


def test_a_picture_without_markers_is_refused(markers):
    blank = Frame(0, np.full((480, 640, 3), 90, np.uint8), None, K)
    with pytest.raises(InputError, match=r"none of the markers \[3, 7\]"):
        calibrate([View(blank)], markers)
    with pytest.raises(InputError, match="camera node running"):
        calibrate([], markers)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("side: 0.12", "size: 0.12"), "side"),
        (("DICT_4X4_50", "DICT_4X4_51"), "unknown dictionary 'DICT_4X4_51'; known: .*DICT_4X4_50"),
        (("0.17, 0, 0.985]", "0.17]"), "expected side, dictionary and markers"),
        (("side: 0.12", "side: 12"), "within 0 .. 2 m"),
        (("markers:", "on_tool:"), "robot"),
        (("markers:", "robot: franka\non_tool: {3: [0, 0, 0, 0, 0, 0, 1]}\nmarkers:"), "stand under markers and under"),
        (("0, 0.17, 0, 0.985]", "0, 0, 0, 0]"), "quaternion that is not 0"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path, change, words):
    path = tmp_path / "markers.yaml"
    path.write_text(TEXT.replace(*change))
    with pytest.raises(InputError, match=words):
        read_markers(path)


TOOL_TEXT = """
side: 0.06
dictionary: DICT_4X4_50
robot: hebi_chopsticks
on_tool:
  5: [0, 0, 0.02, {x}, {y}, {z}, {w}]
"""
PLACES = ([0, 0, 0, 0, 0, 0], [0.3, 0.1, 0, 0.1, 0, 0], [-0.3, -0.1, 0.1, 0, 0.2, 0], [0.1, 0.2, 0.2, 0, 0, 0.3])


def test_a_marker_that_the_running_arm_carries_calibrates_the_running_camera(ros, tmp_path):
    arm = load_arm("hebi_chopsticks")
    places = arm.home + np.array(PLACES)
    tools = [SerialChain(arm).tool_pose(place) for place in places]
    towards = Rotation.from_matrix(tools[0][:3, :3]).inv() * AXES * Rotation.from_euler("x", 180, degrees=True)
    x, y, z, w = towards.as_quat()
    path = tmp_path / "markers.yaml"
    path.write_text(TOOL_TEXT.format(x=x, y=y, z=z, w=w))
    markers = read_markers(path)
    camera = rigid(AXES, tools[0][:3, 3] - AXES.apply([0.02, 0.0, 0.75]))
    ros.start()
    helper = ros.node()
    info = helper.create_publisher(CameraInfo, "camera/color/camera_info", LATCHED)
    info.publish(to_camera_info(K, 0, "camera"))
    color = helper.create_publisher(Image, "camera/color/image_raw", PUBLISH_STREAM)
    joints = helper.create_publisher(JointState, "joint_states", PUBLISH_STREAM)
    pictures = [to_image(picture(markers, 0, tool, camera).color, "rgb8", 0, "camera") for tool in tools]
    began = time.monotonic()

    def send():
        """Every place for as long as a picture needs; the joints just before and after each exposure."""
        i = int((time.monotonic() - began) / 0.25)
        now = helper.get_clock().now().nanoseconds
        place = places[i % 4].tolist()
        for stamp in (now - 1000, now + 1000):
            joints.publish(JointState(header=to_header(stamp, ""), name=list(arm.joint_names), position=place))
        pictures[i % 4].header = to_header(now, "camera")
        color.publish(pictures[i % 4])

    helper.create_timer(0.05, send)
    ros.spin_in_thread()
    views = receive(rclpy.create_node("calibrate"), markers.robot, 8, 0.25, 5.0)
    assert len(views) == 8
    distance, angle = difference(calibrate(views, markers).camera_pose, camera)
    assert distance < 0.01 and angle < np.deg2rad(1.0)

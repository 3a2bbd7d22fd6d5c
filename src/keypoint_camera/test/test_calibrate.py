"""From pictures of markers to the lines that a camera's configuration needs."""

import cv2
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from keypoint_camera.calibrate import as_config, calibrate, read_markers
from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import project, transform
from keypoint_core.geometry.pose import Pose, difference, inverse, rigid
from keypoint_core.types import Frame, Intrinsics

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


def picture(markers, seed):
    """The markers before a grey wall, with noise."""
    image = np.full((480, 640), 170, np.uint8)
    dictionary = cv2.aruco.getPredefinedDictionary(markers.dictionary)
    for number, pose in markers.poses.items():
        tile = cv2.copyMakeBorder(
            cv2.aruco.generateImageMarker(dictionary, number, 240), *[40] * 4, cv2.BORDER_CONSTANT, value=255
        )
        square = np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]]) * markers.side * 320 / 480
        target = project(transform(inverse(CAMERA) @ pose, square), K).astype(np.float32)
        source = np.array([[-0.5, -0.5], [319.5, -0.5], [319.5, 319.5], [-0.5, 319.5]], np.float32)
        warp = cv2.getPerspectiveTransform(source, target)
        covered = cv2.warpPerspective(np.full_like(tile, 255), warp, (640, 480)) > 127
        image = np.where(covered, cv2.warpPerspective(tile, warp, (640, 480), flags=cv2.INTER_AREA), image)
    noisy = image + np.random.default_rng(seed).normal(0, 2, image.shape)
    color = np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Frame(seed, color, None, K)


def test_markers_on_pictures_become_a_configuration(markers):
    result = calibrate([picture(markers, seed) for seed in range(3)], markers)
    distance, angle = difference(result.camera_pose, CAMERA)
    assert distance < 0.008 and angle < np.deg2rad(0.6) and len(result.agree) == 24
    numbers = yaml.safe_load(as_config(result))["tracker"]["ros__parameters"]["camera_pose"]
    assert difference(Pose(numbers[:3], numbers[3:]).matrix, result.camera_pose)[0] < 1e-5


def test_a_picture_without_markers_is_refused(markers):
    blank = Frame(0, np.full((480, 640, 3), 90, np.uint8), None, K)
    with pytest.raises(InputError, match=r"none of the markers \[3, 7\]"):
        calibrate([blank], markers)
    with pytest.raises(InputError, match="camera node running"):
        calibrate([], markers)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("side: 0.12", "size: 0.12"), "side"),
        (("DICT_4X4_50", "DICT_4X4_51"), "unknown dictionary 'DICT_4X4_51'; known: .*DICT_4X4_50"),
        (("0.17, 0, 0.985]", "0.17]"), "expected side, dictionary and markers"),
        (("side: 0.12", "side: 12"), "within 0 .. 2 m"),
        (("0, 0.17, 0, 0.985]", "0, 0, 0, 0]"), "quaternion that is not 0"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path, change, words):
    path = tmp_path / "markers.yaml"
    path.write_text(TEXT.replace(*change))
    with pytest.raises(InputError, match=words):
        read_markers(path)

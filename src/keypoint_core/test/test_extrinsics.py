import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keypoint_core.camera_monitor.extrinsics import estimate_extrinsics, marker_points
from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import project, transform
from keypoint_core.geometry.pose import difference, inverse, rigid
from keypoint_core.types import Intrinsics

PLAIN = Intrinsics(640, 480, 607.0, 607.0, 318.0, 246.0)
LENS = Intrinsics(640, 480, 607.0, 605.0, 318.0, 246.0, (0.08, -0.05, 0.0006, -0.0003, 0.01))
CAMERA = np.array([[0, 0.477, -0.879, 1.1], [1, 0, 0, 0.05], [0, -0.879, -0.477, 0.32], [0, 0, 0, 1.0]])
CAMERA[:3, :3] = Rotation.from_matrix(CAMERA[:3, :3]).as_matrix()


def arm_points(n, rng):
    """Where a tool goes before the camera, in the base frame."""
    return rng.uniform((0.25, -0.25, -0.2), (0.6, 0.25, 0.25), (n, 3))


def seen(points, intrinsics=PLAIN, sigma=0.0, rng=None):
    pixels = project(transform(inverse(CAMERA), points), intrinsics)
    return pixels + (rng.normal(0, sigma, pixels.shape) if rng is not None else 0)


@pytest.mark.parametrize("intrinsics", [PLAIN, LENS])
def test_exact_points_give_the_exact_pose(intrinsics):
    points = arm_points(12, np.random.default_rng(1))
    result = estimate_extrinsics(points, seen(points, intrinsics), intrinsics)
    distance, angle = difference(result.camera_pose, CAMERA)
    assert distance < 1e-6 and angle < 1e-6 and result.rms < 1e-4 and result.agree.all()


def test_noise_and_outliers_stay_within_what_is_promised():
    errors, promised = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points = arm_points(20, rng)
        pixels = seen(points, sigma=0.5, rng=rng)
        wrong = rng.choice(20, 6, replace=False)
        pixels[wrong] += rng.uniform(20, 60, (6, 2))
        result = estimate_extrinsics(points, pixels, PLAIN)
        assert not result.agree[wrong].any() and result.agree.sum() >= 13
        errors.append(difference(result.camera_pose, CAMERA))
        promised.append((result.distance_sigma, result.angle_sigma))
    errors, promised = np.array(errors), np.array(promised)
    assert (errors < 4 * promised).all() and errors[:, 0].max() < 0.01 and errors[:, 1].max() < np.deg2rad(0.8)
    assert (errors > 0.2 * promised).all(axis=1).any(), "what is promised is not idle"


def test_points_that_nobody_saw_are_left_out():
    points = arm_points(10, np.random.default_rng(2))
    pixels = seen(points)
    pixels[[1, 4]] = np.nan
    result = estimate_extrinsics(points, pixels, PLAIN)
    assert result.agree.tolist() == [i not in (1, 4) for i in range(10)]


def test_the_same_points_give_the_same_bits():
    rng = np.random.default_rng(3)
    points = arm_points(15, rng)
    pixels = seen(points, sigma=0.5, rng=rng)
    first, second = (estimate_extrinsics(points, pixels, PLAIN).camera_pose for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p, u: (p[:3], u[:3]), "4 points or more, got 3"),
        (lambda p, u: (np.outer(np.linspace(0, 1, 12), (0.1, 0.2, 0.1)) + (0.3, 0, 0), u), "one line"),
        (lambda p, u: (p, np.random.default_rng(0).permutation(u)), "agree|explains"),
        (lambda p, u: (p, u[:5]), "as many pixels"),
        (lambda p, u: (p, np.full_like(u, np.nan)), "got 0"),
    ],
)
def test_what_holds_no_camera_is_refused(make, words):
    points = arm_points(12, np.random.default_rng(4))
    with pytest.raises(InputError, match=words):
        estimate_extrinsics(*make(points, seen(points)), PLAIN)


@pytest.mark.parametrize(
    ("scale", "words"), [(0.02, "points lie within"), (0.07, "hold the camera only|two camera poses")]
)
def test_points_too_close_together_are_refused(scale, words):
    rng = np.random.default_rng(5)
    points = arm_points(12, rng) * scale + (0.4, 0.0, 0.0)
    with pytest.raises(InputError, match=words):
        estimate_extrinsics(points, seen(points, sigma=1.0, rng=rng), PLAIN)


def picture(side, poses):
    """What the camera sees of markers lying at those poses, and nothing else."""
    image = np.full((480, 640), 180, np.uint8)
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    for number, pose in poses.items():
        tile = cv2.copyMakeBorder(
            cv2.aruco.generateImageMarker(dictionary, number, 240), *[40] * 4, cv2.BORDER_CONSTANT, value=255
        )
        border = side / 2 * 320 / 240
        corners = np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]]) * border
        target = seen(transform(pose, corners)).astype(np.float32)
        source = np.array([[-0.5, -0.5], [319.5, -0.5], [319.5, 319.5], [-0.5, 319.5]], np.float32)
        warp = cv2.getPerspectiveTransform(source, target)
        drawn = cv2.warpPerspective(tile, warp, (640, 480), flags=cv2.INTER_AREA)
        image = np.where(cv2.warpPerspective(np.full_like(tile, 255), warp, (640, 480)) > 127, drawn, image)
    return np.repeat(image[..., None], 3, axis=2)


def lying(x, y, z=-0.2, turn=0.0):
    return rigid(Rotation.from_euler("z", turn) * Rotation.from_euler("y", 0.35), np.array([x, y, z]))


def test_markers_give_the_camera():
    markers = {3: lying(0.35, -0.15), 7: lying(0.42, 0.16, -0.1, 0.4)}
    points, pixels = marker_points(picture(0.12, {**markers, 9: lying(0.4, 0.0)}), markers, 0.12)
    assert len(points) == 8, "number 9 is in the picture, but nobody says where it lies"
    result = estimate_extrinsics(points, pixels, PLAIN)
    distance, angle = difference(result.camera_pose, CAMERA)
    assert distance < 0.01 and angle < np.deg2rad(0.7) and result.rms < 0.5


def test_an_image_without_markers_gives_no_points():
    points, pixels = marker_points(np.full((480, 640, 3), 120, np.uint8), {1: np.eye(4)}, 0.1)
    assert points.shape == (0, 3) and pixels.shape == (0, 2)

"""Registration of depth to colour."""

import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_core.geometry import camera
from keypoint_core.geometry.registration import DepthRegistration, register_depth
from keypoint_core.types import Intrinsics

COLOR = Intrinsics(1280, 720, 607.0, 607.0, 638.0, 366.0, (0.437, -2.586, 0.0007, -0.0003, 1.49, 0.317, -2.412, 1.418))
DEPTH = Intrinsics(640, 576, 504.0, 504.0, 320.0, 329.0, (5.2, 3.4, 1e-4, -2e-5, 0.17, 5.5, 5.2, 0.9))


def extrinsics(angle: float = 0.1) -> np.ndarray:
    """Depth beside the colour camera and tilted, about as in the Azure Kinect."""
    c, s = np.cos(angle), np.sin(angle)
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, c, -s], [0, s, c]]
    pose[:3, 3] = [-0.032, -0.002, 0.004]
    return pose


def wall(intrinsics: Intrinsics, pose: np.ndarray, normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth image of the plane normal . X = distance, given in the colour frame, by a camera at that pose."""
    v, u = np.mgrid[0 : intrinsics.height, 0 : intrinsics.width]
    rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1), intrinsics)
    depth = (distance - normal @ pose[:3, 3]) / (rays @ pose[:3, :3].T @ normal)
    return depth.reshape(u.shape).astype(np.float32)


def test_same_camera_changes_nothing():
    plain = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
    depth = np.random.default_rng(0).uniform(0.5, 2, (48, 64)).astype(np.float32)
    depth[10:20, 10:20] = np.nan
    depth[30, 30] = 0
    expected = np.where(depth > 0, depth, np.nan)
    np.testing.assert_allclose(register_depth(depth, plain, plain, np.eye(4)), expected, rtol=1e-6)


@pytest.mark.parametrize("normal", [[0.0, 0.0, 1.0], [0.3, -0.2, 0.93]], ids=["facing", "slanted"])
def test_a_wall_is_where_the_colour_camera_would_measure_it(normal):
    unit = np.array(normal) / np.linalg.norm(normal)
    measured = wall(DEPTH, extrinsics(), unit, 0.9)
    registered = register_depth(measured, DEPTH, COLOR, extrinsics())
    truth = wall(COLOR, np.eye(4), unit, 0.9)
    covered = np.isfinite(registered)
    assert covered[250:450, 440:840].all()  # no holes where both cameras look
    np.testing.assert_allclose(registered[covered], truth[covered], atol=0.004)


def test_nearest_wins():
    measured = wall(DEPTH, extrinsics(), np.array([0.0, 0.0, 1.0]), 1.5)
    measured[250:350, 270:370] = 0.6
    registered = register_depth(measured, DEPTH, COLOR, extrinsics())
    centre = camera.project(camera.transform(extrinsics(), [[0.0, -0.03, 0.6]]), COLOR)[0].astype(int)
    patch = registered[centre[1] - 30 : centre[1] + 30, centre[0] - 30 : centre[0] + 30]
    assert np.nanmax(patch) < 0.7


def test_behind_a_near_object_is_a_shadow():
    """The two cameras see past an edge differently; what only colour sees has no depth."""
    apart = np.eye(4)
    apart[0, 3] = -0.1
    plain = Intrinsics(200, 100, 150.0, 150.0, 99.5, 49.5)
    measured = np.full((100, 200), 2.0, np.float32)
    measured[:, :100] = 0.5
    registered = register_depth(measured, plain, plain, apart)
    row = registered[50]
    assert np.isnan(row[75:85]).all()
    assert row[40] == pytest.approx(0.5)
    assert row[120] == pytest.approx(2.0)


def test_a_cropped_colour_image_is_a_crop_of_the_whole():
    measured = wall(DEPTH, extrinsics(), np.array([0.1, 0.0, 0.995]), 0.9)
    whole = register_depth(measured, DEPTH, COLOR, extrinsics())
    part = register_depth(measured, DEPTH, camera.crop(COLOR, 320, 120, 640, 480), extrinsics())
    np.testing.assert_allclose(part[2:-2, 2:-2], whole[122:598, 322:958], atol=1e-3)


def test_nothing_measured_gives_nothing():
    registration = DepthRegistration(DEPTH, COLOR, extrinsics())
    for value in (0.0, np.nan):
        assert np.isnan(registration.register(np.full((576, 640), value, np.float32))).all()


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match=r"\(576, 640\)"):
        register_depth(np.zeros((480, 640), np.float32), DEPTH, COLOR, np.eye(4))
    with pytest.raises(InputError, match=r"\[4, 4\]"):
        DepthRegistration(DEPTH, COLOR, np.full((4, 4), np.nan))

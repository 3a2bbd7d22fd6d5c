"""Crop and rectification."""

import numpy as np
import pytest

from keypoint_camera.parameters import CameraParameters
from keypoint_camera.view import Region, View
from keypoint_core.errors import InputError
from keypoint_core.geometry import camera
from keypoint_core.types import Frame, Intrinsics

LENS = (0.5, -2.6, 0.0007, -0.0002, 1.5, 0.38, -2.4, 1.4)  # as an Azure Kinect's colour camera
FULL = Intrinsics(1280, 720, 607.0, 606.0, 638.0, 366.0, LENS)
VIEW = View.from_parameters(CameraParameters())


def dots(pixels, intrinsics):
    """An image [H, W, 3] with a soft dot at each pixel [N, 2]."""
    v, u = np.mgrid[0 : intrinsics.height, 0 : intrinsics.width]
    image = np.zeros(u.shape)
    for x, y in pixels:
        image = np.maximum(image, 255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 8))
    return np.repeat(image.astype(np.uint8)[..., None], 3, axis=2)


def centre(image, near):
    """Brightness-weighted centre (u, v) of the dot near a pixel."""
    x, y = np.round(near).astype(int)
    patch = image[y - 8 : y + 9, x - 8 : x + 9, 0].astype(float)
    v, u = np.mgrid[y - 8 : y + 9, x - 8 : x + 9]
    return np.array([(patch * u).sum(), (patch * v).sum()]) / patch.sum()


def test_the_crop_shifts_the_principal_point_and_nothing_else():
    target = View(Region(320, 120, 640, 480), rectify=False).intrinsics(FULL)
    assert target == Intrinsics(640, 480, 607.0, 606.0, 318.0, 246.0, LENS)
    assert VIEW.intrinsics(FULL) == Intrinsics(640, 480, 607.0, 606.0, 318.0, 246.0)


def test_points_appear_where_the_pinhole_projects_them():
    points = np.array([[-0.2, -0.12, 0.5], [0.1, 0.13, 0.6], [0.3, -0.2, 0.8], [0.0, 0.0, 1.0]])
    image = dots(camera.project(points, FULL), FULL)
    frame = VIEW.apply(Frame(7, image, None, FULL))
    assert frame.color.shape == (480, 640, 3)
    for expected in camera.project(points, frame.intrinsics):
        assert np.linalg.norm(centre(frame.color, expected) - expected) < 0.1


def test_without_rectification_pixels_are_copied():
    rng = np.random.default_rng(1)
    color = rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    depth = rng.random((720, 1280), dtype=np.float32)
    frame = View(Region(320, 120, 640, 480), rectify=False).apply(Frame(7, color, depth, FULL))
    np.testing.assert_array_equal(frame.color, color[120:600, 320:960])
    np.testing.assert_array_equal(frame.depth, depth[120:600, 320:960])


def test_depth_is_taken_from_one_pixel_never_mixed():
    depth = np.where(np.arange(1280) < 640, np.float32(0.5), np.float32(1.5)) * np.ones((720, 1), np.float32)
    depth[300:310] = np.nan
    frame = VIEW.apply(Frame(7, np.zeros((720, 1280, 3), np.uint8), depth.astype(np.float32), FULL))
    assert set(np.unique(frame.depth[np.isfinite(frame.depth)])) == {0.5, 1.5}
    assert 0.01 < np.isnan(frame.depth).mean() < 0.03


def test_what_the_lens_did_not_see_is_black_and_without_depth():
    barrel = Intrinsics(
        64, 48, 30.0, 30.0, 31.5, 23.5, (1.0, 0.0, 0.0, 0.0)
    )  # the pinhole would see less: looks beyond
    frame = View(None, True).apply(Frame(7, np.full((48, 64, 3), 255, np.uint8), np.ones((48, 64), np.float32), barrel))
    assert (frame.color[0, 0] == 0).all()
    assert np.isnan(frame.depth[0, 0])
    assert frame.depth[24, 32] == 1.0


def test_a_view_applied_twice_is_the_same_as_once():
    frame = VIEW.apply(Frame(7, np.zeros((720, 1280, 3), np.uint8), None, FULL))
    assert VIEW.apply(frame) is frame


def test_a_region_outside_the_image_is_refused():
    small = Frame(7, np.zeros((100, 100, 3), np.uint8), None, Intrinsics(100, 100, 50, 50, 50, 50))
    with pytest.raises(InputError, match="not inside the 100x100 image"):
        VIEW.apply(small)
    with pytest.raises(InputError, match="both be 0 or both be positive"):
        CameraParameters(roi_width=0)
    assert View.from_parameters(CameraParameters(roi_width=0, roi_height=0)).apply(small) is small

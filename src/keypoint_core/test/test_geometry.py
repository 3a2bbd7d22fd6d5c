"""Projection, distortion, cropping and lifting."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypoint_core.errors import InputError
from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import LiftingSettings, depth_at, lift
from keypoint_core.types import Intrinsics

# Typical coefficients of the Azure Kinect's colour camera (strong terms that nearly cancel).
KINECT = (0.437, -2.586, 0.0007, -0.0003, 1.49, 0.317, -2.412, 1.418)
PLAIN = Intrinsics(640, 480, 607.0, 605.0, 318.2, 241.7)
DISTORTED = Intrinsics(1280, 720, 607.0, 605.0, 638.2, 361.7, KINECT)
MILD = Intrinsics(1280, 720, 607.0, 605.0, 638.2, 361.7, (0.1, -0.2, 1e-3, -1e-3, 0.05))

CAMERAS = pytest.mark.parametrize("intrinsics", [PLAIN, MILD, DISTORTED], ids=["plain", "mild", "kinect"])
unit = st.floats(0, 1)


@CAMERAS
@given(unit, unit, st.floats(0.1, 5))
def test_pixel_to_point_and_back(intrinsics, a, b, depth):
    pixel = np.array([[a * (intrinsics.width - 1), b * (intrinsics.height - 1)]])
    point = camera.deproject(pixel, depth, intrinsics)
    assert point[0, 2] == pytest.approx(depth)
    np.testing.assert_allclose(camera.project(point, intrinsics), pixel, atol=1e-6)


@CAMERAS
@given(st.floats(-0.5, 0.5), st.floats(-0.4, 0.4), st.floats(0.8, 4))
def test_point_to_pixel_and_back(intrinsics, x, y, z):
    point = np.array([[x, y, z]])
    pixel = camera.project(point, intrinsics)
    np.testing.assert_allclose(camera.deproject(pixel, [z], intrinsics), point, atol=1e-6)


@CAMERAS
def test_projection_is_opencvs(intrinsics):
    points = np.random.default_rng(0).uniform([-0.6, -0.4, 0.8], [0.6, 0.4, 2.0], (200, 3))
    coefficients = np.array(intrinsics.distortion or (0.0,) * 4)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), intrinsics.matrix, coefficients)
    np.testing.assert_allclose(camera.project(points, intrinsics), expected[:, 0], atol=1e-9)


def test_points_without_an_image_are_nan():
    points = [[0, 0, 1], [0, 0, 0], [0, 0, -1], [np.nan, 0, 1]]
    assert np.isnan(camera.project(points, PLAIN)).all(axis=1).tolist() == [False, True, True, True]
    assert np.isnan(camera.deproject([[10, np.nan]], 1.0, PLAIN)).all()


@CAMERAS
@given(st.integers(0, 300), st.integers(0, 200))
def test_crop_sees_the_same_rays(intrinsics, left, top):
    region = camera.crop(intrinsics, left, top, 320, 240)
    pixels = np.array([[5.0, 7.0], [319.0, 239.0]])
    np.testing.assert_allclose(camera.rays(pixels, region), camera.rays(pixels + [left, top], intrinsics), atol=1e-9)


@pytest.mark.parametrize("region", [(-1, 0, 10, 10), (0, 0, 641, 10), (600, 400, 41, 10), (0, 0, 0, 10)])
def test_crop_outside_is_refused(region):
    with pytest.raises(InputError, match="not inside the 640x480 image"):
        camera.crop(PLAIN, *region)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match=r"\[N, 3\]"):
        camera.project(np.zeros((4, 2)), PLAIN)
    with pytest.raises(InputError, match=r"\[N, 2\]"):
        camera.rays(np.zeros(2), PLAIN)
    with pytest.raises(InputError, match="depths"):
        camera.deproject(np.zeros((3, 2)), np.ones(2), PLAIN)
    with pytest.raises(InputError, match=r"\[4, 4\]"):
        camera.transform(np.eye(3), np.zeros((1, 3)))


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_transform_and_its_inverse(rotation, translation):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(np.array(rotation))[0], translation
    points = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(camera.transform(np.linalg.inv(pose), camera.transform(pose, points)), points, atol=1e-9)


def plane(step_at: int | None = None) -> np.ndarray:
    depth = np.full((480, 640), 0.9, np.float32)
    if step_at is not None:
        depth[:, step_at:] = 1.2
    return depth


def test_depth_is_the_median_of_the_disc():
    depth = plane()
    depth[100, 201] = 3.0  # a flying pixel
    depth[102, 200] = np.nan
    assert depth_at(depth, np.array([[200.3, 100.2]]))[0] == pytest.approx(0.9)


def test_depth_in_a_small_hole_is_that_around_it():
    depth = plane()
    depth[99:102, 199:202] = np.nan
    assert depth_at(depth, np.array([[200.0, 100.0]]))[0] == pytest.approx(0.9)


@pytest.mark.parametrize("u", [199.0, 200.0, 201.0])
def test_depth_at_an_edge_is_unknown_or_its_own(u):
    """Never the depth of the other side, and never a mean of both."""
    found = depth_at(plane(step_at=201), np.array([[u, 100.0]]))[0]
    own = 0.9 if u < 201 else 1.2
    assert np.isnan(found) or found == pytest.approx(own)


def test_depth_on_the_edge_is_unknown():
    assert np.isnan(depth_at(plane(step_at=201), np.array([[200.6, 100.0]]))[0])


def test_depth_of_a_pixel_that_disagrees_with_its_surroundings_is_unknown():
    depth = plane()
    depth[100, 200] = 0.7
    assert np.isnan(depth_at(depth, np.array([[200.0, 100.0]]))[0])


def test_depth_in_a_large_hole_or_outside_is_unknown():
    depth = plane()
    depth[90:111, 190:211] = np.nan
    pixels = np.array([[200.0, 100.0], [-1.0, 5.0], [700.0, 5.0], [np.nan, 5.0]])
    assert np.isnan(depth_at(depth, pixels)).all()


@given(st.integers(0, 2**31), st.integers(1, 4))
def test_median_is_numpys(seed, radius):
    rng = np.random.default_rng(seed)
    depth = (0.9 + rng.uniform(-0.005, 0.005, (20, 20))).astype(np.float32)
    depth[rng.random((20, 20)) < 0.3] = np.nan
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = u**2 + v**2 <= (radius + 0.5) ** 2
    values = depth[10 + v[disc], 10 + u[disc]]
    found = depth_at(depth, np.array([[10.0, 10.0]]), LiftingSettings(radius=radius))[0]
    if np.isfinite(values).mean() >= 0.5:
        assert found == pytest.approx(np.nanmedian(values.astype(np.float64)))
    else:
        assert np.isnan(found)


def test_lift_gives_points_or_nan():
    pixels = np.array([[318.2, 241.7], [100.0, 100.0]], np.float32)
    np.testing.assert_allclose(lift(plane(), pixels, PLAIN)[0], [0, 0, 0.9], atol=1e-6)
    assert np.isnan(lift(None, pixels, PLAIN)).all()
    with pytest.raises(InputError, match="size"):
        lift(plane()[:-1], pixels, PLAIN)

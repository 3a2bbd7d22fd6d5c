"""Keypoints seen by a camera that stands elsewhere become those of the training's camera."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import project, transform
from keypoint_core.geometry.pose import Pose, difference, inverse, rigid
from keypoint_core.geometry.view import TrainingView, training_view
from keypoint_core.types import Intrinsics, Keypoints, KeypointStatus

K = Intrinsics(640, 480, 607.0, 607.0, 318.0, 246.0)
OTHER = Intrinsics(640, 480, 612.0, 610.0, 323.0, 241.0)
LENS = Intrinsics(640, 480, 607.0, 607.0, 318.0, 246.0, (0.08, -0.05, 0.0006, -0.0003, 0.01))
CAMERA = rigid(Rotation.from_matrix([[0, 0.477, -0.879], [1, 0, 0], [0, -0.879, -0.477]]), np.array([1.1, 0, 0.32]))
OBJECT = np.array([[0.02 * x, 0.09 * y, 0.05 * z] for x in (0, 1) for y in (-1, 0, 1) for z in (-1, 1)]) + (
    0.4,
    0,
    -0.1,
)
VISIBLE, OCCLUDED = int(KeypointStatus.VISIBLE), int(KeypointStatus.OCCLUDED)


def elsewhere(shift=(0.02, -0.015, 0.01), turn=(0.03, -0.02, 0.025)):
    return CAMERA @ rigid(Rotation.from_rotvec(turn), np.array(shift))


def seen(camera, intrinsics=K, points=OBJECT, hidden=(), depthless=(), stamp=1, told=True):
    """What a tracker says of these points [N, 3] of the base frame."""
    optical = transform(inverse(camera), points)
    n = len(points)
    status, depth = np.zeros(n, np.uint8), optical.copy()
    status[list(hidden)] = OCCLUDED
    depth[[*hidden, *depthless]] = np.nan
    pixels = project(optical, intrinsics).astype(np.float32)
    ones = np.ones(n, np.float32)
    pose = camera if told else None
    return Keypoints(stamp, np.arange(n, dtype=np.int32), pixels, ones, status, depth.astype(np.float32), pose)


def view(intrinsics=K, **more):
    return TrainingView(CAMERA, intrinsics, **more)


WANTED = seen(CAMERA).pixels


@pytest.mark.parametrize(
    "keypoints",
    [seen(elsewhere(), told=False), seen(CAMERA), seen(elsewhere((0.002, 0, 0), (0.002, 0, 0)))],
    ids=["unknown", "same", "as good as the same"],
)
def test_nothing_is_changed_without_need(keypoints):
    assert view().apply(keypoints) is keypoints


@pytest.mark.parametrize(("live", "training"), [(K, K), (OTHER, K), (LENS, K), (K, LENS)])
def test_measured_points_land_where_the_training_saw_them(live, training):
    result = view(training).apply(seen(elsewhere(), live))
    np.testing.assert_allclose(result.pixels, seen(CAMERA, training).pixels, atol=2e-3)
    np.testing.assert_allclose(result.points, seen(CAMERA).points, atol=1e-5)
    np.testing.assert_array_equal(result.camera_pose, CAMERA)
    assert result.visible.all() and result.stamp == 1


@given(*[st.tuples(*[st.floats(-limit, limit)] * 3) for limit in (0.03, 0.05)])
def test_any_camera_within_reach_is_put_back(shift, turn):
    keypoints = seen(elsewhere(shift, turn))
    result = view().apply(keypoints)
    np.testing.assert_allclose(result.pixels, WANTED, atol=6 if result is keypoints else 5e-3)
    distance, angle = difference(CAMERA, elsewhere(shift, turn))
    assert (result is keypoints) == (distance <= 0.003 and angle <= np.deg2rad(0.25))


@pytest.mark.parametrize("live", [K, OTHER])
def test_a_point_without_depth_takes_that_of_its_surroundings(live):
    keypoints = seen(elsewhere(), live, depthless=(0, 7))
    result = view().apply(keypoints)
    assert np.abs(result.pixels - WANTED).max() < 1.5
    assert np.abs(keypoints.pixels - WANTED).max() > 20
    assert np.isnan(result.points[[0, 7]]).all(), "a stand-in is not a measurement"


def test_a_point_without_depth_keeps_its_last_one():
    transformer = view()
    transformer.apply(seen(elsewhere()))
    later = transformer.apply(seen(elsewhere(), depthless=(0, 7), stamp=2))
    np.testing.assert_allclose(later.pixels, WANTED, atol=1e-2)


def test_a_depth_of_what_is_far_behind_is_not_believed():
    keypoints = seen(elsewhere())
    keypoints.points[4] *= 1.8
    assert np.abs(view().apply(keypoints).pixels - WANTED).max() < 1.5


def test_without_any_depth_that_of_the_training_serves():
    everything = range(len(OBJECT))
    keypoints = seen(elsewhere(), depthless=everything)
    result = view(depth=0.8).apply(keypoints)
    assert np.abs(result.pixels - WANTED).max() < 3
    assert view().apply(keypoints) is keypoints, "nothing is known: better the old pixels than invented ones"


def test_a_hidden_point_stays_where_it_was_while_the_camera_moves():
    transformer = view()
    first = seen(CAMERA)
    assert transformer.apply(first) is first
    moved = seen(elsewhere(), hidden=(2, 5), stamp=2)
    moved.pixels[[2, 5]] = first.pixels[[2, 5]]  # the tracker keeps the last pixel that it trusted
    result = transformer.apply(moved)
    np.testing.assert_array_equal(result.pixels[[2, 5]], first.pixels[[2, 5]])
    assert np.abs(result.pixels - WANTED).max() < 1e-2
    assert result.status.tolist() == moved.status.tolist()


def test_a_camera_back_at_the_limit_does_not_make_keypoints_jump():
    transformer = view()
    transformer.apply(seen(elsewhere()))
    near = seen(elsewhere((0.002, 0, 0), (0, 0, 0)), stamp=2)
    assert np.abs(transformer.apply(near).pixels - WANTED).max() < 1e-2
    transformer.reset()
    assert transformer.apply(near) is near


def test_what_the_training_would_not_have_seen_is_out_of_view():
    away = OBJECT.copy()
    away[3] = transform(CAMERA, np.array([[0.0, 0.34, 0.8]]))[0]  # just below the training's image
    result = view().apply(seen(elsewhere((0, 0.03, 0), (-0.02, 0, 0)), points=away))
    assert result.status[3] == KeypointStatus.OUT_OF_VIEW and result.visible.sum() == len(OBJECT) - 1
    assert result.pixels[3, 1] == 479 and np.isfinite(result.pixels).all()


def test_other_keypoints_are_another_track():
    transformer = view()
    transformer.apply(seen(elsewhere()))
    fewer = seen(elsewhere(), points=OBJECT[:5], depthless=(1,))
    assert len(transformer.apply(fewer)) == 5


def test_equal_keypoints_give_equal_bits():
    keypoints = seen(elsewhere(), depthless=(0, 3), hidden=(5,))
    first, second = view().apply(keypoints), view().apply(replace(keypoints, pixels=keypoints.pixels.copy()))
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_bad_poses_are_refused():
    with pytest.raises(InputError, match=r"\[4, 4\]"):
        TrainingView(np.eye(3), K)
    with pytest.raises(InputError, match=r"camera_pose must be \[4, 4\]"):
        replace(seen(CAMERA), camera_pose=np.eye(3))


@given(st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-1, 1)] * 3))
def test_a_pose_keeps_its_matrix(turn, place):
    matrix = rigid(Rotation.from_rotvec(turn), np.array(place))
    pose = Pose.from_matrix(matrix)
    np.testing.assert_allclose(pose.matrix, matrix, atol=1e-12)
    np.testing.assert_array_equal(pose.matrix, Pose(pose.position, pose.quaternion).matrix)
    np.testing.assert_allclose(inverse(matrix) @ matrix, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (np.nan, 0, 0, 1)])
def test_a_quaternion_that_is_none_is_refused(quaternion):
    with pytest.raises(InputError, match="quaternion that is not 0"):
        Pose((0, 0, 0), quaternion)


def test_a_checkpoint_knows_its_view():
    checkpoint = load_checkpoint(Path(__file__).parents[3] / "models/clock_button/atk")
    transformer = training_view(checkpoint)
    camera = np.array(checkpoint.card.camera_pose)
    keypoints = seen(camera @ rigid(Rotation.from_rotvec((0.02, 0.03, 0)), np.zeros(3)), depthless=range(len(OBJECT)))
    assert np.abs(transformer.apply(keypoints).pixels - seen(camera).pixels).max() < 1, "a turn alone needs no depth"

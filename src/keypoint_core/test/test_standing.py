"""The table, and poses that keep upright what stands on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keypoint_core.correspondence.pose_fit import Observations, fit_pose
from keypoint_core.correspondence.standing import Ground, Standing, along, distinct
from keypoint_core.geometry import camera
from keypoint_core.geometry.pose import inverse, rigid
from keypoint_core.geometry.table import Table
from keypoint_core.types import Frame

MOVED = (0.06, -0.05, 0.5)


@pytest.fixture(scope="module")
def standing(scene) -> Standing:
    return Standing(scene.reference()[0])


@pytest.fixture(scope="module")
def live(scene) -> Frame:
    return scene.render(scene.pose(*MOVED), table=2)


@pytest.fixture(scope="module")
def ground(live) -> Ground:
    return Ground.of(live)


@pytest.fixture(scope="module")
def true_pose(scene) -> np.ndarray:
    """live_from_reference of the box."""
    return (
        scene.camera_from_world @ scene.pose(*MOVED).matrix() @ inverse(scene.pose().matrix()) @ scene.world_from_camera
    )


def leaned(pose: np.ndarray, scene, tilt: float, shift: tuple[float, float, float]) -> np.ndarray:
    """The pose tilted by an angle [rad] about the box's middle and shifted [m]."""
    middle = camera.transform(scene.camera_from_world, np.array([[MOVED[0], MOVED[1], 0.065]]))[0]
    turn = Rotation.from_rotvec([tilt, 0, 0])
    return rigid(turn, middle - turn.apply(middle) + shift) @ pose


class TestTable:
    def test_it_is_the_plane_under_the_box(self, scene):
        frame = scene.render(scene.pose())
        table = Table.of(frame.depth, frame.intrinsics)
        np.testing.assert_allclose(table.normal, scene.camera_from_world[:3, 2], atol=1e-4)
        assert table.offset == pytest.approx(0.62, abs=1e-4)
        points = np.array([[0.1, 0.2, 0.0], [-0.2, 0.1, 0.05]])
        seen = camera.transform(scene.camera_from_world, points)
        np.testing.assert_allclose(table.height(seen), points[:, 2], atol=1e-4)
        np.testing.assert_allclose(camera.transform(table.from_camera, seen)[:, 2], points[:, 2], atol=1e-4)
        np.testing.assert_allclose(table.to_camera @ table.from_camera, np.eye(4), atol=1e-12)

    def test_it_is_found_with_noise_and_holes_and_not_without_depth(self, scene):
        frame, rng = scene.render(scene.pose()), np.random.default_rng(0)
        depth = frame.depth + rng.normal(0, 0.002, frame.depth.shape).astype(np.float32)
        depth[rng.random(depth.shape) < 0.3] = np.nan
        table = Table.of(depth, frame.intrinsics)
        assert np.arccos(table.normal @ scene.camera_from_world[:3, 2]) < np.deg2rad(0.3)
        assert table.offset == pytest.approx(0.62, abs=0.002)
        assert Table.of(np.full_like(depth, np.nan), frame.intrinsics) is None


class TestStanding:
    def test_how_much_a_pose_leans_and_raises(self, scene, standing, ground, true_pose):
        tilted = leaned(true_pose, scene, 0.2, (0, 0, 0))
        up = 0.03 * ground.table.normal
        poses = np.array([true_pose, tilted, leaned(true_pose, scene, 0.0, up)])
        np.testing.assert_allclose(standing.leaning(ground, poses), [0, 0.2, 0], atol=2e-3)
        points = camera.transform(scene.camera_from_world, np.array([[0.0, 0.0, 0.1], [0.03, 0.0, 0.02]]))
        raised = standing.raised(ground, poses, points)
        np.testing.assert_allclose(raised[[0, 2]], [[0, 0], [0.03, 0.03]], atol=1e-3)
        assert abs(raised[1]).max() > 0.002

    def test_upright_keeps_the_middle_in_the_image(self, scene, standing, ground, true_pose):
        middle = camera.transform(scene.camera_from_world, np.array([[0.0, 0.0, 0.065]]))
        away = leaned(true_pose, scene, 0.25, (0.0, 0.0, 0.04))  # and too far along the line of sight
        found = standing.upright(ground, away[None], middle)
        assert len(found) == 1
        assert standing.leaning(ground, found)[0] < 1e-6
        assert abs(standing.raised(ground, found, middle)[0, 0]) < 1e-6
        intrinsics = scene.reference()[0].intrinsics
        before, after = (camera.project(camera.transform(p, middle), intrinsics)[0] for p in (away, found[0]))
        np.testing.assert_allclose(before, after, atol=1e-6)

    def test_what_leans_much_or_explains_nothing_stays(self, scene, standing, ground, true_pose):
        middle = camera.transform(scene.camera_from_world, np.array([[0.0, 0.0, 0.065]]))
        poses = np.array([leaned(true_pose, scene, 0.8, (0, 0, 0)), true_pose])
        assert standing.upright(ground, poses, np.stack([middle[0], [np.nan] * 3])).shape == (0, 4, 4)

    def test_a_shape_is_laid_where_the_thing_stands(self, scene, standing, ground, true_pose):
        """However its print repeats itself: the box's ends tell where it is."""
        [thing] = standing.shapes
        axes = ground.table.axes
        turn = Rotation.from_rotvec(0.1 * ground.table.normal)
        middle = camera.transform(scene.camera_from_world, np.array([[MOVED[0], MOVED[1], 0.065]]))[0]
        off = rigid(turn, middle - turn.apply(middle) + 0.01 * axes[0] - 0.008 * axes[1]) @ true_pose
        found = standing.laid(ground, off[None], thing)
        points = camera.transform(scene.camera_from_world, np.array([[0.07, 0.02, 0.1], [-0.07, -0.02, 0.1]]))
        error = [
            np.linalg.norm(camera.transform(p, points) - camera.transform(true_pose, points), axis=1).max()
            for p in (off, found[0])
        ]
        assert error[0] > 0.012 and error[1] < 0.004
        assert standing.leaning(ground, found)[0] < 1e-3

    def test_a_plane_that_nothing_stands_on_is_no_ground(self, scene, standing, live, true_pose):
        assert standing.ground(live, true_pose[None]) is not None
        assert standing.ground(live, leaned(true_pose, scene, 0.6, (0, 0, 0))[None]) is None
        assert standing.ground(dataclasses.replace(live, depth=None), true_pose[None]) is None


def test_a_pose_fitted_along_the_table_stays_upright(scene, standing, ground, true_pose):
    rng = np.random.default_rng(0)
    box = np.array([[0, 0, 0.065]]) + rng.uniform(-1, 1, (30, 3)) * (0.07, 0.03, 0.06)
    points = camera.transform(scene.camera_from_world, box)
    intrinsics = scene.reference()[0].intrinsics
    pixels = camera.project(camera.transform(true_pose, points), intrinsics) + rng.normal(0, 1, (30, 2))
    nowhere = np.full(30, np.nan)
    seen = Observations(points, pixels, np.ones(30), nowhere, intrinsics)
    start = rigid(Rotation.identity(), 0.01 * ground.table.axes[0]) @ true_pose
    fits = {"upright": along(ground.table), "free": None}
    poses = {name: fit_pose(seen, start, 0.005, free)[0] for name, free in fits.items()}
    error = {
        name: np.linalg.norm(camera.transform(pose, points) - camera.transform(true_pose, points), axis=1).max()
        for name, pose in poses.items()
    }
    assert standing.leaning(ground, poses["upright"][None])[0] < 1e-3 < standing.leaning(ground, poses["free"][None])[0]
    assert error["upright"] < 0.002 < error["free"]


def test_distinct_poses_are_kept_in_order():
    places = np.array([[[0.0, 0.0]], [[0.2, 0.0]], [[5.0, 0.0]], [[np.nan, 0.0]], [[5.2, 0.1]]])
    assert distinct(places, 0.3).tolist() == [0, 2, 3]

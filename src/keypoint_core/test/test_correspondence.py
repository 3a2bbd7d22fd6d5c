"""Correspondence: the contract of every back end, SIFT + PnP in particular, and the choice of keypoints."""

import dataclasses
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.sift_pnp import SiftPnp, SiftPnpSettings
from keypoint_core.errors import CorrespondenceError, InputError, MissingDependencyError
from keypoint_core.types import Frame, KeypointStatus


def pose_of(scene, seed):
    """Anywhere on 20 x 25 cm, turned up to 45 degrees."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 5]))
    return scene.pose(rng.uniform(-0.1, 0.1), rng.uniform(-0.125, 0.125), rng.uniform(-np.pi / 4, np.pi / 4))


@pytest.fixture(scope="module", params=list(CORRESPONDENCES))
def backend(request, scene):
    """Every registered back end on the same reference."""
    try:
        return CORRESPONDENCES.create(request.param, scene.reference()[0])
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def sift(scene) -> SiftPnp:
    return SiftPnp(scene.reference()[0])


class TestContract:
    """What holds for every back end."""

    def test_the_reference_itself(self, backend, scene):
        reference, _ = scene.reference()
        frame = Frame(42, reference.color, reference.depth, reference.intrinsics)
        found = backend.locate(frame)
        assert found.stamp == 42
        assert found.ids.tolist() == reference.ids.tolist()
        assert found.visible.all()
        np.testing.assert_allclose(found.pixels, reference.pixels, atol=1.0)

    def test_accepted_keypoints_are_right_in_another_pose_light_and_texture(self, backend, scene):
        _, local = scene.reference()
        for seed in range(4):
            pose = pose_of(scene, seed)
            found = backend.locate(scene.render(pose, light=seed + 1, table=seed + 2))
            error = np.linalg.norm(found.pixels - scene.pixels(pose, local), axis=1)
            assert np.median(error) < 3
            assert error[found.visible].max() < 5
            assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
            assert set(found.status.tolist()) <= {KeypointStatus.VISIBLE, KeypointStatus.LOST}

    def test_points_are_where_they_are(self, backend, scene):
        _, local = scene.reference()
        pose = scene.pose(0.05, 0.05, 0.3)
        found = backend.locate(scene.render(pose))
        truth = (scene.camera_from_world @ pose.matrix() @ np.column_stack([local, np.ones(len(local))]).T).T[:, :3]
        known = np.isfinite(found.points).all(axis=1)
        assert known.sum() >= 6
        assert np.linalg.norm(found.points - truth, axis=1)[known].max() < 0.02

    def test_an_empty_scene_is_refused_with_numbers(self, backend, scene):
        with pytest.raises(CorrespondenceError, match=r"located \d+ of 12 keypoints, 4 needed"):
            backend.locate(scene.render(scene.pose(9.0, 9.0)))

    def test_a_blank_frame_is_refused(self, backend, scene):
        reference, _ = scene.reference()
        blank = Frame(0, np.full_like(reference.color, 90), None, reference.intrinsics)
        with pytest.raises(CorrespondenceError, match="located 0 of 12"):
            backend.locate(blank)

    def test_the_same_frame_gives_the_same_bits(self, backend, scene):
        frame = scene.render(pose_of(scene, 3), light=3, table=4)
        first, second = backend.locate(frame), backend.locate(frame)
        for name in ("ids", "pixels", "confidence", "status", "points"):
            assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_score_is_low_where_something_is_in_front(sift, scene):
    _, local = scene.reference()
    pose = scene.pose(0.02, 0.0, 0.2)
    frame = scene.render(pose, light=4, table=4, occluder=0.45)
    found = sift.locate(frame)
    pixels = np.round(scene.pixels(pose, local)).astype(int)
    covered = frame.depth[pixels[:, 1], pixels[:, 0]] < 0.55
    assert 2 <= covered.sum() <= 10
    assert (found.status[covered] == KeypointStatus.LOST).all()
    assert found.confidence[covered].max() < 0.3
    assert found.visible[~covered].mean() >= 0.6


def test_works_without_live_depth(sift, scene):
    _, local = scene.reference()
    pose = scene.pose(-0.04, 0.06, -0.4)
    frame = dataclasses.replace(scene.render(pose, light=2, table=3), depth=None)
    found = sift.locate(frame)
    assert np.median(np.linalg.norm(found.pixels - scene.pixels(pose, local), axis=1)) < 3
    assert np.isnan(found.points).all()


def test_the_table_around_the_object_does_not_win(sift, scene):
    """With the very table of the reference, features beside the object agree on the pose that changes nothing."""
    _, local = scene.reference()
    pose = scene.pose(0.09, -0.1, 0.6)
    found = sift.locate(scene.render(pose, table=1))
    assert np.median(np.linalg.norm(found.pixels - scene.pixels(pose, local), axis=1)) < 3


def test_a_covered_object_is_refused_not_guessed(sift, scene):
    with pytest.raises(CorrespondenceError, match="located [0-3] of 12"):
        sift.locate(scene.render(scene.pose(0.0, 0.0, 0.2), occluder=1.1))


def test_other_processes_and_thread_counts_give_the_same_bits(sift, scene):
    frame = scene.render(pose_of(scene, 1), light=2, table=3)
    program = (
        "import importlib.util, sys, cv2\n"
        "cv2.setNumThreads(2)\n"
        f"spec = importlib.util.spec_from_file_location('scene', {scene.source!r})\n"
        "module = sys.modules['scene'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "from keypoint_core.correspondence.sift_pnp import SiftPnp\n"
        "scene = module.BoxScene()\n"
        f"frame = scene.render(module.Pose(*{dataclasses.astuple(pose_of(scene, 1))!r}), light=2, table=3)\n"
        "found = SiftPnp(scene.reference()[0]).locate(frame)\n"
        "print((found.pixels.tobytes() + found.confidence.tobytes()).hex())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        found = sift.locate(frame)
    finally:
        cv2.setNumThreads(threads)
    assert done.stdout.strip() == (found.pixels.tobytes() + found.confidence.tobytes()).hex()


def test_needs_depth_in_the_reference(scene):
    reference, _ = scene.reference()
    with pytest.raises(InputError, match="depth"):
        SiftPnp(dataclasses.replace(reference, depth=None))
    holes = np.full_like(reference.depth, np.nan)
    with pytest.raises(InputError, match="0 of the reference's 12 keypoints"):
        SiftPnp(dataclasses.replace(reference, depth=holes))


def test_min_located_is_kept(scene):
    strict = SiftPnp(scene.reference()[0], SiftPnpSettings(min_located=12))
    with pytest.raises(CorrespondenceError, match="12 needed"):
        strict.locate(scene.render(scene.pose(0.0, 0.0, 0.7), occluder=0.3))


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": np.full((12, 2), 700, np.float32)},
        {"pixels": np.full((12, 2), np.nan, np.float32)},
        {"pixels": np.zeros((3, 2), np.float32)},
        {"ids": np.zeros(12, np.int32)},
        {"color": np.zeros((10, 10, 3), np.uint8)},
        {"depth": np.zeros((480, 640), np.float64)},
    ],
    ids=["outside", "nan", "too few", "ids twice", "colour size", "depth type"],
)
def test_a_reference_that_does_not_fit_is_refused(scene, change):
    reference, _ = scene.reference()
    with pytest.raises(InputError):
        Reference(**{**{f.name: getattr(reference, f.name) for f in dataclasses.fields(reference)}, **change})


def test_corners_are_in_the_mask_textured_and_spread(scene):
    mask = scene.mask(scene.pose())
    frame = scene.render(scene.pose())
    pixels = spread_corners(frame.color, mask, 12)
    column, row = np.round(pixels).astype(int).T
    assert pixels.shape == (12, 2) and mask[row, column].all()
    gray = cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY)
    strength = cv2.cornerMinEigenVal(gray, 5)
    assert np.median(strength[row, column]) > 3 * np.median(strength[mask])
    distances = np.linalg.norm(pixels[:, None] - pixels, axis=2) + 1e9 * np.eye(12)
    assert distances.min() > 8


def test_corners_of_a_plain_region_are_refused():
    with pytest.raises(InputError, match="12 were asked for"):
        spread_corners(np.full((50, 50, 3), 90, np.uint8), np.ones((50, 50), bool), 12)
    with pytest.raises(InputError, match="mask"):
        spread_corners(np.full((50, 50, 3), 90, np.uint8), np.ones((40, 50), bool), 12)

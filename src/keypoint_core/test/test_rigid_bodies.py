"""Keypoints on several bodies, and the stages that find them: poses, surfaces, patches, symmetries, dense features."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.correspondence.feature_backends import FeatureCorrespondence, FeatureSettings
from keypoint_core.correspondence.feature_matcher import FeatureMatcher, FeatureMatcherSettings
from keypoint_core.correspondence.hypotheses import HypothesisSettings, find_hypotheses
from keypoint_core.correspondence.matches import JoinedMatcher, Matches
from keypoint_core.correspondence.patches import LiveImage, Patches
from keypoint_core.correspondence.pose_fit import Observations, fit_pose
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.round_things import turned_alike
from keypoint_core.correspondence.sift_matcher import SiftMatcher, SiftSettings
from keypoint_core.correspondence.sift_pnp import SiftPnp
from keypoint_core.correspondence.surfaces import surfaces_at
from keypoint_core.correspondence.symmetry import self_similarities
from keypoint_core.errors import CorrespondenceError
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.geometry import camera
from keypoint_core.types import Frame, Intrinsics

KEYPOINTS = 8  # per box
LEFT, RIGHT = (-0.12, 0.0), (0.10, 0.0)  # where the boxes stand in the reference
K = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)


class TwoBoxes:
    """Two boxes with different prints on one table."""

    def __init__(self, scene) -> None:
        spec = importlib.util.spec_from_file_location("box_scene", scene.source)
        module = sys.modules["box_scene"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.first, self.second = scene, module.BoxScene()
        self.second._faces = [module.texture(50 + i) for i in range(6)]
        self.start = [scene.pose(*LEFT), scene.pose(*RIGHT)]
        frame = self.render(self.start, table=1)
        masks = [self.first.mask(pose) for pose in self.start]
        pixels = np.concatenate([spread_corners(frame.color, mask, KEYPOINTS) for mask in masks])
        ids = np.arange(2 * KEYPOINTS, dtype=np.int32)
        self.reference = Reference(frame.color, frame.depth, frame.intrinsics, ids, pixels)
        groups = np.split(pixels, 2)
        self.local = [self.first.local(frame, p, group) for p, group in zip(self.start, groups, strict=True)]

    def render(self, poses, table: int = 3, gain: float = 1.0) -> Frame:
        """Boxes at poses; None leaves one out."""
        image, depth = self.first._table(table)
        for scene, pose in zip((self.first, self.second), poses, strict=True):
            if pose is not None:
                scene._box(image, depth, pose, np.array([0.2, -0.6, 0.8]) / np.sqrt(1.04))
        rng = np.random.default_rng(table)
        color = np.clip(image * gain + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        return Frame(7, color, depth, self.first.reference()[0].intrinsics)

    def truth(self, poses) -> np.ndarray:
        """[N, 2]; NaN for a box that is left out."""
        absent = np.full((KEYPOINTS, 2), np.nan)
        return np.concatenate(
            [absent if p is None else self.first.pixels(p, x) for p, x in zip(poses, self.local, strict=True)]
        )


@pytest.fixture(scope="module")
def boxes(scene) -> TwoBoxes:
    return TwoBoxes(scene)


@pytest.fixture(scope="module")
def located(boxes) -> SiftPnp:
    return SiftPnp(boxes.reference)


class TestBodiesThatMovedApart:
    """Never one pose over bodies that move by themselves."""

    @pytest.mark.parametrize(
        "moves",
        [
            ((-0.15, 0.05, 0.5), (0.12, -0.06, -0.4)),
            ((0.10, 0.02, -0.3), (-0.12, -0.04, 0.35)),
            (LEFT, (0.16, 0.05, 0.6)),
        ],
        ids=["apart", "changed sides", "one stayed"],
    )
    def test_each_keypoint_follows_its_body(self, boxes, located, moves):
        poses = [boxes.first.pose(*move) for move in moves]
        found = located.locate(boxes.render(poses, gain=0.8))
        error = np.linalg.norm(found.pixels - boxes.truth(poses), axis=1)
        accepted = found.visible.reshape(2, KEYPOINTS)
        assert (accepted.sum(axis=1) >= 5).all()
        assert error[found.visible].max() < 4

    def test_the_keypoints_of_a_body_that_is_gone_are_refused(self, boxes, located):
        for gone in (0, 1):
            poses = [boxes.first.pose(-0.02, 0.04, 0.4)] * 2
            poses[gone] = None
            found = located.locate(boxes.render(poses))
            visible = found.visible.reshape(2, KEYPOINTS)
            assert not visible[gone].any()
            assert visible[1 - gone].sum() >= 5

    def test_nothing_there_is_refused_with_the_reason(self, boxes, located):
        with pytest.raises(CorrespondenceError, match=r"located \d of 16 keypoints, 4 needed: .* matches"):
            located.locate(boxes.render([None, None]))


def synthetic(poses, count: int, outliers: int, noise: float, seed: int = 0):
    """Matches of `count` points on each of several bodies and wrong ones among them; a frame with no depth."""
    rng = np.random.default_rng(seed)
    points = [np.array([0.2 * k, 0.0, 1.0]) + rng.uniform(-0.04, 0.04, (count, 3)) for k in range(len(poses))]
    pixels = [camera.project(camera.transform(p, x), K) for p, x in zip(poses, points, strict=True)]
    wrong = np.column_stack(
        [rng.uniform(-0.1, 0.3, outliers), rng.uniform(-0.1, 0.1, outliers), np.full(outliers, 1.0)]
    )
    points = np.concatenate([*points, wrong])
    pixels = np.concatenate([*pixels, rng.uniform([0, 0], [640, 480], (outliers, 2))])
    pixels += rng.normal(0, noise, pixels.shape)
    frame = Frame(0, np.zeros((480, 640, 3), np.uint8), None, K)
    return Matches(points, camera.project(points, K), pixels, np.ones(len(points))), frame


def pose(turn, shift) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), shift
    return matrix


class TestHypotheses:
    """Poses from matches."""

    def test_two_bodies_among_wrong_matches(self):
        poses = [pose([0.1, 0.3, -0.2], [-0.1, 0.05, 0.1]), pose([0.0, -0.2, 0.5], [0.05, -0.1, 0.2])]
        matches, frame = synthetic(poses, 25, 60, 0.5)
        found = find_hypotheses(matches, frame, HypothesisSettings())
        for k, truth in enumerate(poses):
            mine = np.zeros(len(matches), bool)
            mine[25 * k : 25 * (k + 1)] = True
            best = max(found, key=lambda h: (h.inliers & mine).sum())
            assert (best.inliers & mine).sum() >= 22
            at = matches.points[mine]
            assert np.abs(camera.transform(best.matrix, at) - camera.transform(truth, at)).max() < 0.015
            assert best.rms < 1.5

    def test_a_small_body_beside_a_large_one(self):
        large, small = pose([0, 0, 0.2], [0.0, 0.0, 0.1]), pose([0, 0.1, -0.4], [0.02, 0.03, 0.0])
        matches, frame = synthetic([large, small], 80, 20, 0.4)
        kept = np.r_[0:80, 80:90, 160:180]
        matches = matches.take(kept)
        found = find_hypotheses(matches, frame, HypothesisSettings())
        assert max(h.inliers[80:90].sum() for h in found) >= 8

    def test_too_few_matches_are_no_pose(self):
        matches, frame = synthetic([np.eye(4)], 3, 0, 0.0)
        assert find_hypotheses(matches, frame, HypothesisSettings()) == []
        assert find_hypotheses(Matches.none(), frame, HypothesisSettings()) == []

    def test_the_fit_finds_the_pose_and_ignores_a_wrong_point(self):
        truth = pose([0.2, -0.1, 0.4], [0.03, -0.02, 0.15])
        rng = np.random.default_rng(3)
        points = np.array([0, 0, 0.9]) + rng.uniform(-0.05, 0.05, (12, 3))
        moved = camera.transform(truth, points)
        pixels = camera.project(moved, K)
        pixels[0] += 60
        seen = Observations(points, pixels, np.ones(12), moved[:, 2], K)
        start = pose([0.0, 0.0, 0.3], [0.0, 0.0, 0.1])
        found, cost = fit_pose(seen, start, 0.005)
        np.testing.assert_allclose(found, truth, atol=2e-4)
        assert cost < fit_pose(dataclasses.replace(seen, pixels=pixels + rng.normal(0, 3, (12, 2))), start, 0.005)[1]


class TestSurfaces:
    """Where a pixel of the reference is in space."""

    def test_the_tangents_are_those_of_the_table(self, scene):
        frame = scene.render(scene.pose(9, 9))
        reference = Reference(
            frame.color, frame.depth, frame.intrinsics, np.arange(1), np.array([[300, 300]], np.float32)
        )
        found = surfaces_at(reference, np.array([[300.0, 300.0]]))
        steps = np.array([[304.0, 300.0], [300.0, 304.0]])
        depth = frame.depth[steps[:, 1].astype(int), steps[:, 0].astype(int)]
        expected = camera.deproject(steps, depth, frame.intrinsics) - found.points
        np.testing.assert_allclose(found.tangents[0].T * 4, expected, atol=2e-4)
        assert found.sure.all()

    def test_an_edge_has_two_candidates_and_a_hole_none(self, scene):
        frame = scene.render(scene.pose())
        depth = frame.depth.copy()
        depth[100:300, 100:200], depth[100:300, 200:300] = 0.5, 0.8
        depth[300:400, 100:200] = np.nan
        depth[0:60] = np.nan
        pixels = np.array([[200, 200], [150, 30]], np.float32)
        reference = Reference(frame.color, depth, frame.intrinsics, np.arange(2), pixels)
        found = surfaces_at(reference, pixels.astype(float))
        assert found.owners.tolist() == [0, 0] and not found.sure.any()
        assert sorted(np.round(found.points[:, 2], 2).tolist()) == [0.5, 0.8]


def test_patches_find_a_shift_to_a_fraction_of_a_pixel(scene):
    reference, _ = scene.reference()
    surfaces = surfaces_at(reference, reference.pixels.astype(float))
    matrix = np.array([[1, 0, 1.3], [0, 1, -0.6]])
    color = cv2.warpAffine(reference.color, matrix, (640, 480), flags=cv2.INTER_CUBIC)
    live = LiveImage.of(Frame(0, color, reference.depth, reference.intrinsics))
    evidence = Patches(reference, surfaces, 7).examine(live, np.eye(4)[None], 3)
    offset = (evidence.pixels - evidence.predicted)[0]
    assert np.nanmin(evidence.correlation) > 0.9
    np.testing.assert_allclose(np.median(offset, axis=0), [1.3, -0.6], atol=0.1)
    assert (evidence.agree[0] > 0.8).mean() > 0.7 and evidence.nearer.max() < 0.3


def test_a_repeated_print_is_a_symmetry(scene):
    """A strip of five equal tiles on the table's plane looks the same one tile further."""
    rng = np.random.default_rng(2)
    tile = cv2.resize(rng.integers(0, 255, (8, 8, 3)).astype(np.float32), (48, 48), interpolation=cv2.INTER_CUBIC)
    color = np.full((480, 640, 3), 128, np.uint8)
    for k in range(5):
        color[200:248, 150 + 48 * k : 198 + 48 * k] = tile.clip(0, 255)
    reference = Reference(
        color, np.full((480, 640), 0.9, np.float32), K, np.arange(1), np.array([[270, 220]], np.float32)
    )
    mask = np.zeros((480, 640), np.uint8)
    mask[195:253, 145:395] = 255
    found = self_similarities(reference, mask)
    shifts = found[:, 0, 3] * K.fx / 0.9
    assert any(abs(abs(shift) - 48) < 1.5 for shift in shifts)
    plain = dataclasses.replace(reference, color=np.full((480, 640, 3), 128, np.uint8))
    assert len(self_similarities(plain, mask)) == 0


def dish(print_of) -> tuple[Reference, Patches]:
    """A round thing 2 cm high on a plane, seen from above, with a print [60, 120] of angle and radius; its corners."""
    v, u = np.mgrid[:480, :640].astype(np.float32)
    radius, angle = np.hypot(u - 320, v - 240), np.arctan2(v - 240, u - 320)
    around = cv2.remap(
        print_of, (angle + np.pi) * 120 / (2 * np.pi), radius, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    inside = radius < 58
    color = np.where(inside[..., None], around[..., None], 90).astype(np.uint8).repeat(3, axis=2)
    depth = np.where(inside, 0.88, 0.9).astype(np.float32)
    ids, pixels = np.arange(4, dtype=np.int32), np.array([[300, 240], [340, 240], [320, 220], [320, 260]], np.float32)
    reference = Reference(color, depth, K, ids, pixels)
    corners = cv2.goodFeaturesToTrack(color[..., 0], 60, 0.02, 5, mask=(radius < 50).astype(np.uint8))[:, 0]
    return reference, Patches(reference, surfaces_at(reference, corners.astype(float)), 5)


def test_a_dish_with_an_even_print_looks_the_same_turned_and_one_with_a_picture_does_not():
    rng = np.random.default_rng(4)
    sector = cv2.resize(rng.uniform(0, 255, (15, 8)).astype(np.float32), (20, 60), interpolation=cv2.INTER_CUBIC)
    picture = cv2.resize(rng.uniform(0, 255, (15, 48)).astype(np.float32), (120, 60), interpolation=cv2.INTER_CUBIC)
    turns = turned_alike(*dish(np.tile(sector, (1, 6)).clip(0, 255)))
    assert len(turns) >= 4
    angles = np.rad2deg(Rotation.from_matrix(turns[:, :3, :3]).magnitude())
    assert np.abs((angles + 30) % 60 - 30).max() <= 15  # sixths of a turn, as near as they are tried
    assert len(turned_alike(*dish(picture.clip(0, 255)))) == 0


def lid_on_a_pot(turn: float, picture: bool) -> Frame:
    """A lid with six equal sectors, seen from above on a pot with a picture around it, or with equal sectors too."""
    rng = np.random.default_rng(4)
    sector, edge = (
        cv2.resize(rng.uniform(0, 255, cells).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        for cells, size in (((12, 5), (20, 60)), ((10, 48), (120, 50)))
    )
    print_of = np.concatenate([np.tile(sector, (1, 6)), edge if picture else np.tile(edge[:, :20], (1, 6))])
    v, u = np.mgrid[:480, :640].astype(np.float32)
    radius, angle = np.hypot(u - 320, v - 240), np.mod(np.arctan2(v - 240, u - 320) - turn, 2 * np.pi)
    around = cv2.remap(print_of, angle * 60 / np.pi, radius, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    inside = radius < 108
    color = np.where(inside, around, 90)[..., None].repeat(3, axis=2) + rng.normal(0, 3, (480, 640, 3))
    depth = np.where(inside, 0.88, 0.9).astype(np.float32)
    return Frame(0, color.clip(0, 255).astype(np.uint8), depth, K)


@pytest.mark.parametrize("turn", [0.5, 2.5])
def test_a_lid_that_looks_the_same_turned_is_told_by_its_pot(turn):
    angles = np.arange(6) + 0.2

    def around(by: float) -> np.ndarray:
        return np.array([320.0, 240.0]) + 30 * np.column_stack([np.cos(angles + by), np.sin(angles + by)])

    def lid(picture: bool) -> SiftPnp:
        frame = lid_on_a_pot(0.0, picture)
        ids, pixels = np.arange(6, dtype=np.int32), around(0.0).astype(np.float32)
        return SiftPnp(Reference(frame.color, frame.depth, K, ids, pixels))

    found = lid(picture=True).locate(lid_on_a_pot(turn, picture=True))
    assert found.visible.all()
    assert np.linalg.norm(found.pixels - around(turn), axis=1).max() < 2
    with pytest.raises(CorrespondenceError, match=r"located \d of 6 keypoints"):
        lid(picture=False).locate(lid_on_a_pot(turn, picture=False))


class Surroundings:
    """A small hand-made extractor: what 5 x 5 cells of 4 px look like around each, less their mean."""

    def extract(self, image: np.ndarray) -> FeatureMap:
        height, width = (size // 4 * 4 for size in image.shape[:2])
        smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.0)[:height, :width]
        cells = cv2.resize(smooth, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        cells = cells - cv2.blur(cells, (9, 9))
        wide = cv2.copyMakeBorder(cells, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
        shifted = [wide[v : v + cells.shape[0], u : u + cells.shape[1]] for v in range(5) for u in range(5)]
        return FeatureMap(np.concatenate(shifted, axis=2).astype(np.float32), 4.0, (1.5, 1.5))


class TestFeatureMatcher:
    """Matches by dense features."""

    def test_the_points_are_found_where_they_are(self, scene):
        reference, _ = scene.reference()
        pose_ = scene.pose(0.03, -0.02, 0.15)
        matcher = FeatureMatcher(reference, Surroundings(), FeatureMatcherSettings())
        matches = matcher.match(scene.render(pose_, table=4))
        world = camera.transform(np.linalg.inv(scene.camera_from_world @ scene.pose().matrix()), matches.points)
        on_box = (np.abs(world) < [0.08, 0.035, 0.07]).all(axis=1)
        error = np.linalg.norm(matches.pixels - scene.pixels(pose_, world), axis=1)[on_box]
        assert on_box.sum() >= 30
        assert np.median(error) < 2.5 and (error < 5).mean() > 0.5
        assert (np.diff(matches.score) <= 0).all()

    def test_the_whole_chain_locates_by_any_extractor(self, scene):
        reference, local = scene.reference()
        chain = FeatureCorrespondence(reference, FeatureSettings(), Surroundings())
        pose_ = scene.pose(0.04, 0.03, -0.2)
        found = chain.locate(scene.render(pose_, light=2, table=3))
        error = np.linalg.norm(found.pixels - scene.pixels(pose_, local), axis=1)
        assert found.visible.sum() >= 8 and error[found.visible].max() < 4

    def test_a_plain_picture_is_refused(self, scene):
        reference, _ = scene.reference()
        blank = Frame(0, np.full_like(reference.color, 90), None, reference.intrinsics)
        with pytest.raises(CorrespondenceError, match="located 0 of 12"):
            FeatureCorrespondence(reference, FeatureSettings(), Surroundings()).locate(blank)

    def test_joined_matchers_give_the_matches_of_both(self, scene):
        reference, _ = scene.reference()
        frame = scene.render(scene.pose(0.02, 0.02, 0.1), table=4)
        parts = [
            SiftMatcher(reference, SiftSettings()),
            FeatureMatcher(reference, Surroundings(), FeatureMatcherSettings()),
        ]
        joined = JoinedMatcher(parts)
        assert len(joined) == sum(len(part) for part in parts)
        assert len(joined.match(frame)) == sum(len(part.match(frame)) for part in parts)

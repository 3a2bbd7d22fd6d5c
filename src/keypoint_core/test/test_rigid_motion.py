"""Rigid motions from pixels, and the bodies that share them."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from keypoint_core.tracking.consensus import Bodies, Cloud, ConsensusSettings
from keypoint_core.tracking.relocation import part_or_move
from keypoint_core.tracking.rigid_motion import (
    Motion,
    MotionSettings,
    Sightings,
    errors,
    fit,
    patch_warps,
    tangents,
    turned,
)

FOCAL = 600.0


def cloud(rng: np.random.Generator, count: int, middle=(0.0, 0.0, 0.9)) -> np.ndarray:
    """Points [count, 3] within some 6 cm."""
    return rng.uniform(-0.06, 0.06, (count, 3)) + middle


def motion_about(points: np.ndarray, turn, shift) -> Motion:
    """A turn [rad] about the points' middle, then a shift [m]."""
    rotation, middle = Rotation.from_rotvec(turn).as_matrix(), points.mean(axis=0)
    return Motion(rotation, middle - rotation @ middle + np.asarray(shift))


def seen_at(places: np.ndarray, depth: np.ndarray | None = None) -> Sightings:
    return Sightings(places, np.full(len(places), np.nan) if depth is None else depth)


def rays(points: np.ndarray) -> np.ndarray:
    return points[:, :2] / points[:, 2:]


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_motion_is_found_although_a_quarter_is_wrong(seed):
    rng = np.random.default_rng(seed)
    points = cloud(rng, 16)
    truth = motion_about(points, rng.uniform(-0.15, 0.15, 3), rng.uniform(-0.012, 0.012, 3))
    seen = rays(truth.apply(points)) + rng.normal(0, 0.2 / FOCAL, (16, 2))
    seen[:4] += rng.uniform(10, 30, (4, 2)) * rng.choice([-1, 1], (4, 2)) / FOCAL
    found = fit(Motion.none(), points, seen_at(seen), FOCAL, MotionSettings())
    assert errors(found, points[4:], rays(truth.apply(points[4:])), FOCAL).max() < 1.0


def test_what_a_single_point_leaves_open_stays_as_it_was():
    points = cloud(np.random.default_rng(0), 8)
    seen = rays(points[:1]) + [[12 / FOCAL, 0]]
    found = fit(Motion.none(), points[:1], seen_at(seen), FOCAL, MotionSettings(iterations=20))
    assert np.abs(Rotation.from_matrix(found.rotation).as_rotvec()).max() < 1e-3
    moved = FOCAL * (rays(found.apply(points)) - rays(points))
    np.testing.assert_allclose(moved, np.tile([12.0, 0.0], (8, 1)), atol=1.5)


def test_depth_keeps_a_small_body_from_coming_nearer():
    """Five points within 3 cm: with pixels alone their distance is hardly known."""
    rng = np.random.default_rng(2)
    points = rng.uniform(-0.015, 0.015, (5, 3)) * [1, 1, 0.2] + [0, 0, 0.9]
    truth = motion_about(points, [0.0, 0.0, 0.2], [0.02, 0.01, 0.0])
    now = truth.apply(points)
    seen = rays(now) + rng.normal(0, 0.8 / FOCAL, (5, 2))
    depth = now[:, 2] + rng.normal(0, 0.002, 5)
    depth[0] -= 0.3  # a depth of something else
    found = fit(Motion.none(), points, seen_at(seen, depth), FOCAL, MotionSettings(iterations=30))
    assert abs(found.apply(points)[:, 2].mean() - now[:, 2].mean()) < 0.004


def test_warps_are_the_slopes_of_the_projection():
    rng = np.random.default_rng(3)
    plane = np.array([0.2, -0.5, 1.1])  # 1 / z = plane @ ray
    sides = rng.uniform(-0.2, 0.2, (5, 2))
    depth = 1 / (np.column_stack([sides, np.ones(5)]) @ plane)
    points = np.column_stack([sides, np.ones(5)]) * depth[:, None]
    motion = motion_about(points, [0.2, -0.3, 0.4], [0.05, 0.0, -0.1])
    warps = patch_warps(motion, points, tangents(sides, depth, np.tile(plane, (5, 1)), FOCAL), FOCAL)
    for axis in range(2):
        step = np.eye(2)[axis] * 0.01 / FOCAL
        beside = np.column_stack([sides + step, np.ones(5)])
        beside *= (1 / (beside @ plane))[:, None]
        slope = (rays(motion.apply(beside)) - rays(motion.apply(points))) * FOCAL / 0.01
        np.testing.assert_allclose(warps[:, :, axis], slope, atol=1e-3)


def test_a_turned_motion_puts_its_point_where_it_was_found():
    points = cloud(np.random.default_rng(1), 6)
    found = turned(Motion.none(), points[2], np.array([0.1, -0.05]), 0.5)
    np.testing.assert_allclose(rays(found.apply(points[2:3]))[0], [0.1, -0.05], atol=1e-12)
    angle = Rotation.from_matrix(found.rotation).magnitude()
    assert angle == pytest.approx(0.5)


class TestBodies:
    """Points sorted by the motion they share."""

    def scene(self, count: int = 10) -> tuple[Cloud, Bodies]:
        rng = np.random.default_rng(5)
        points = np.concatenate([cloud(rng, count), cloud(rng, count, (0.2, 0.0, 1.0))])
        bodies = Bodies(ConsensusSettings(), FOCAL)
        body = np.full(2 * count, bodies.open(1), np.int32)
        return Cloud(points, np.ones(2 * count, np.int32), body, np.zeros(2 * count, np.int32)), bodies

    def follow(self, points: Cloud, bodies: Bodies, seen: np.ndarray, good: np.ndarray) -> None:
        """What the tracker does in a frame, without looking at patches."""
        bodies.update(points, seen_at(seen), good)
        stray = np.flatnonzero(good & (bodies.errors(points, seen) > 1.5))
        guess = bodies.guess(points, seen_at(seen), stray) if len(stray) >= 4 else None
        if guess is not None:
            joined = stray[errors(guess, points.points[stray], seen[stray], FOCAL) <= 1.5]
            bodies.found(points, guess, joined, ~good)

    def test_two_that_part_never_share_a_motion(self):
        points, bodies = self.scene()
        for step in range(1, 30):
            first = motion_about(points.points[:10], [0, 0, 0.02 * step], [0.004 * step, 0, 0])
            second = motion_about(points.points[10:], [0, 0, -0.01 * step], [0, -0.003 * step, 0])
            seen = rays(np.concatenate([first.apply(points.points[:10]), second.apply(points.points[10:])]))
            self.follow(points, bodies, seen, np.ones(20, bool))
        assert len(np.unique(points.body[:10])) == len(np.unique(points.body[10:])) == 1
        assert points.body[0] != points.body[10]
        assert bodies.errors(points, seen).max() < 0.5

    def test_one_dragged_point_is_on_its_own(self):
        points, bodies = self.scene()
        for step in range(20):
            seen = rays(points.points)
            seen[3] += [step * 2 / FOCAL, 0]
            bodies.update(points, seen_at(seen), np.ones(20, bool))
        error = bodies.errors(points, seen)
        assert error[3] == pytest.approx(38, abs=1) and np.delete(error, 3).max() < 0.1
        assert len(list(bodies)) == 1

    def test_too_few_points_move_nothing(self):
        points, bodies = self.scene()
        good = np.arange(20) < 2
        bodies.update(points, seen_at(rays(points.points) + 0.02), good)
        np.testing.assert_array_equal(bodies.motion(0).shift, 0)

    def test_a_hidden_point_goes_with_its_neighbours(self):
        points, bodies = self.scene()
        shown = np.arange(20) != 14
        second = motion_about(points.points[10:], [0, 0, 0], [0.05, 0, 0])
        seen = rays(np.concatenate([points.points[:10], second.apply(points.points[10:])]))
        self.follow(points, bodies, seen, shown)
        assert points.body[14] == points.body[13] != points.body[0]
        assert bodies.errors(points, seen)[14] < 0.5

    def lifted(self, parts: bool = True) -> tuple[Cloud, Bodies, np.ndarray]:
        """Ten points that rest, ten on a body that has moved away from there; where all are seen."""
        points, bodies = self.scene()
        points.body[10:] = bodies.open(1)
        points.part[:] = np.repeat([1, 2], 10) if parts else 0
        bodies.put(1, motion_about(points.points[10:], [0, 0, 0], [0.05, 0, 0]))
        return points, bodies, rays(bodies.moved(points))

    @pytest.mark.parametrize("parts", [True, False])
    def test_what_looks_like_a_point_where_it_was_does_not_part_it_from_its_surface(self, parts):
        points, bodies, seen = self.lifted(parts)
        seen[14] = rays(points.points[14:15])[0]  # the point itself is hidden
        bodies.update(points, seen_at(seen), np.ones(20, bool))
        assert (points.body[14] == points.body[13]) == parts
        assert (points.body[10:14] == 1).all() and (points.body[:10] == 0).all()

    def test_three_of_a_surface_go_back_together(self):
        points, bodies, seen = self.lifted()
        seen[14:17] = rays(points.points[14:17])
        bodies.update(points, seen_at(seen), np.ones(20, bool))
        assert (points.body[14:17] == 0).all() and (points.body[17:] == 1).all()

    @pytest.mark.parametrize(("left", "comes"), [(2, True), (3, False)])
    def test_few_points_left_on_a_lost_body_go_with_their_surface(self, left, comes):
        points, bodies, seen = self.lifted()
        lost = 10 + np.arange(left)
        points.body[lost] = bodies.open(1)
        good = np.ones(20, bool)
        good[lost] = False
        bodies.update(points, seen_at(seen), good)
        assert (points.body[lost] == 1).all() == comes

    @pytest.mark.parametrize("parts", [True, False])
    def test_a_hidden_point_comes_along_with_its_surface(self, parts):
        """Its nearest neighbours are on another one, which rests."""
        points, bodies = self.scene()
        points.points[14] = points.points[3] + [0.001, 0, 0]
        points.part[:] = np.repeat([1, 2], 10) if parts else 0
        second = motion_about(points.points[10:], [0, 0, 0], [0.05, 0, 0])
        joined = np.array([10, 11, 12, 13, 15, 16, 17, 18, 19])
        bodies.found(points, second, joined, np.arange(20) == 14)
        assert (points.body[14] == points.body[13]) == parts

    def test_what_has_left_as_a_whole_is_one_thing(self):
        points, bodies, _ = self.lifted()
        some = np.arange(14, 18)
        assert bodies.whole(points, some) == 1
        assert bodies.whole(points, some - 10) is None  # on the body from which all things part
        points.body[12:] = 0
        assert bodies.whole(points, np.array([10, 11])) is None  # most of their surface is elsewhere
        points.body[12:], points.part[:] = 1, 0
        assert bodies.whole(points, some) is None  # no depth tells things apart

    @pytest.mark.parametrize(("many", "moves"), [(6, True), (4, False)])
    def test_what_has_left_as_a_whole_moves_as_a_whole_or_not_at_all(self, many, moves):
        points, bodies, _ = self.lifted()
        agreeing, some = np.arange(20) >= 15, 10 + np.arange(many)
        motion = motion_about(points.points[10:], [0, 0, 0], [0.1, 0, 0])
        tracks = SimpleNamespace(cloud=points, body=points.body)
        part_or_move(tracks, bodies, motion, some, ~agreeing)
        assert (bodies.motion(1) is motion) == moves
        assert list(bodies) == [0, 1] and (points.body[10:] == 1).all()

    def test_what_parts_from_the_rest_begins_a_body(self):
        points, bodies = self.scene()
        motion = motion_about(points.points[10:], [0, 0, 0], [0.1, 0, 0])
        tracks = SimpleNamespace(cloud=points, body=points.body)
        part_or_move(tracks, bodies, motion, np.arange(10, 16), np.arange(20) >= 10)
        assert (points.body[10:] == 1).all() and (points.body[:10] == 0).all()

    def test_bodies_without_points_are_forgotten(self):
        points, bodies = self.scene()
        points.body[10:] = bodies.open(1)
        points.body[10:] = 0
        bodies.update(points, seen_at(rays(points.points)), np.ones(20, bool))
        assert list(bodies) == [0]

"""Corners that bear witness for poses, and keypoints on the rim between two things."""

from __future__ import annotations

import numpy as np

from keypoint_core.correspondence import rivals
from keypoint_core.correspondence.anchors import anchor_surfaces, diverse, looks, same_thing, share
from keypoint_core.correspondence.patches import LiveImage, Patches
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.surfaces import surfaces_at
from keypoint_core.types import Frame, Intrinsics

K = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
LARGE, SMALL = (slice(100, 300), slice(60, 360)), (slice(150, 180), slice(500, 530))


def two_things() -> Reference:
    """A large thing with much print and a small one with little, 2 cm high on a plane; a keypoint on each."""
    rng = np.random.default_rng(3)
    color, depth = np.full((480, 640, 3), 128, np.uint8), np.full((480, 640), 0.9, np.float32)
    for thing, contrast in ((LARGE, 120), (SMALL, 40)):
        depth[thing] = 0.88
        cells = rng.integers(-contrast, contrast, [1 + (s.stop - s.start) // 6 for s in thing])
        print_of = np.kron(cells, np.ones((6, 6)))[: thing[0].stop - thing[0].start, : thing[1].stop - thing[1].start]
        color[thing] = (128 + print_of[..., None]).astype(np.uint8)
    pixels = np.array([[210.0, 200.0], [515.0, 165.0]], np.float32)
    return Reference(color, depth, K, np.arange(2, dtype=np.int32), pixels)


def test_a_small_faint_thing_has_its_share_of_corners():
    corners = anchor_surfaces(two_things(), radius=30, most=40).pixels
    small = corners[:, 0] > 450
    assert len(corners) <= 40
    assert small.sum() >= 8
    assert (~small).sum() >= 20
    assert np.ptp(corners[~small], axis=0).min() > 100, "corners all over the thing, not only near its keypoint"


def test_what_a_pose_turns_away_or_hides_does_not_count_against_it():
    reference = two_things()
    anchors = Patches(reference, anchor_surfaces(reference, radius=30, most=40), 5)
    hidden = reference.depth.copy()
    hidden[:, :210] = 0.5
    live = LiveImage.of(Frame(0, reference.color, hidden, K))
    seen, alike = looks(anchors.examine(live, np.eye(4)[None], 1))
    left = anchors.surfaces.pixels[:, 0] < 200
    assert not seen[0, left].any()
    assert seen[0, ~left].all()
    everything = np.ones((1, len(anchors)))
    assert share(alike, seen, everything)[0, 0] > 0.9
    assert share(alike, np.ones_like(seen), everything)[0, 0] < 0.8


def test_a_small_thing_keeps_its_place_among_the_look_alikes_of_a_large_one():
    alike = np.zeros((9, 36), dtype=bool)
    alike[:8, :30] = True
    alike[8, 30:] = True
    assert diverse(alike, 3) == [0, 1, 8]
    assert diverse(alike, 20) == [0, 1, 8, 2, 3, 4, 5, 6, 7]
    assert diverse(alike[:, :4], 5) == []


def test_corners_and_keypoints_of_one_thing_belong_together():
    reference = two_things()
    corners = anchor_surfaces(reference, radius=30, most=40).pixels
    right = corners[:, 0] > 450
    assert (same_thing(reference, reference.pixels.astype(float), corners) == [~right, right]).all()


def test_the_whole_thing_tells_places_apart_that_look_alike():
    places, owners = np.array([[[100.0, 100.0]], [[130.0, 100.0]]]), np.zeros(1, dtype=np.int64)
    alike, whole, many, few = np.full((2, 1), 0.9), np.array([[0.8], [0.6]]), np.full(1, 70.0), np.full(1, 10.0)
    right, wrong = rivals.undecided(places, alike, whole, many, owners)[:, 0]
    assert right < 0.05 and wrong == 1.0
    assert (rivals.undecided(places, alike, whole[::-1], many, owners)[:, 0] == [wrong, right]).all()
    assert (rivals.undecided(places, alike, np.full((2, 1), 0.8), many, owners) == 1.0).all(), "a tie decides nothing"
    assert (rivals.undecided(places, alike, whole, few, owners) == 1.0).all(), "nor do a few corners"
    moved = np.array([[0.6], [0.9]])  # by itself, from where the rest would have it
    assert (rivals.undecided(places, moved, whole, many, owners) == 1.0).all()
    near = np.array([[[100.0, 100.0]], [[103.0, 100.0]]])
    assert (rivals.undecided(near, alike, whole, many, owners) == 1.0).all(), "nearly the same place is no rival"


def test_the_most_that_speaks_for_another_place():
    places = np.array([[[100.0, 100.0], [101.0, 100.0]], [[140.0, 100.0], [np.nan, np.nan]]])
    values = np.array([[[0.5, 0.7], [0.2, 0.0]]])
    one = rivals.most_elsewhere(values, places, np.zeros(2, dtype=np.int64))[0]
    np.testing.assert_allclose(one, [[0.2, 0.2], [0.7, 0.7]])
    two = rivals.most_elsewhere(values, places, np.arange(2))[0]
    np.testing.assert_allclose(two, [[0.2, 0.0], [0.5, 0.7]])
    share = rivals.share_elsewhere(np.array([[8.0, 0.0], [2.0, 0.0]]), places, np.arange(2))
    np.testing.assert_allclose(share, [[0.25, 0.0], [1.0, 0.0]])


def test_a_place_is_equalled_by_one_that_is_nearly_as_likely_elsewhere():
    places = np.array([[[100.0, 100.0]], [[140.0, 100.0]], [[102.0, 100.0]], [[np.nan, np.nan]]])
    one, first = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for odds, expected in (([3.0, 2.8, 0, 9], True), ([3.0, 2.0, 0, 9], False), ([3.0, -9, 2.9, 9], False)):
        assert rivals.equalled(places, np.array(odds)[:, None], one, first, one).tolist() == [expected]
    assert rivals.equalled(places, np.full((4, 1), 3.0), one, first, np.array([-1])).tolist() == [False]


def test_surfaces_of_a_rim_that_moved_apart_leave_it_open_whose_the_keypoint_was():
    apart = np.array([[[100.0, 100.0], [101.0, 100.0]], [[140.0, 100.0], [141.0, 100.0]]])
    door, body = np.array([[3.0, 1.0], [-1.0, 0.0]]), np.array([[3.0, 0.0], [-1.0, 1.0]])
    told, untold = np.array([[9.0, 0.0], [0.0, 4.0]]), np.array([[9.0, 0.0], [0.0, 0.1]])

    def away(near, odds):
        one = np.zeros(2, dtype=np.int64)
        return rivals.leading_away(apart, near, odds, one, np.array([0]), np.array([[100.0, 100.0]])).tolist()

    assert away(told, door) == [1], "matches say so"
    assert away(untold, body) == [1], "odds say so"
    assert away(untold, door) == [0]


def test_more_patches_than_opencv_takes_at_once():
    reference = two_things()
    patches = Patches(reference, surfaces_at(reference, reference.pixels.astype(float)), 5)
    poses = np.tile(np.eye(4), (20_000, 1, 1))
    found = patches.examine(LiveImage.of(Frame(0, reference.color, reference.depth, K)), poses, 0, brief=True)
    assert found.correlation.shape == (20_000, 2)
    assert (found.correlation > 0.99).all()


def test_a_keypoint_on_an_edge_follows_it_and_does_not_slide_along():
    rng = np.random.default_rng(0)

    def edge(column: int) -> np.ndarray:
        color = np.full((480, 640, 3), 90, np.uint8)
        color[:, column:] = 160
        noise = rng.normal(0, 6, color.shape[:2])[..., None]
        return np.clip(color + noise, 0, 255).astype(np.uint8)

    pixels = np.array([[320.0, v] for v in range(100, 380, 20)], np.float32)
    ids = np.arange(len(pixels), dtype=np.int32)
    reference = Reference(edge(320), np.full((480, 640), 0.9, np.float32), K, ids, pixels)
    live = LiveImage.of(Frame(0, edge(322), None, K))
    surfaces = surfaces_at(reference, pixels.astype(float))
    loose, pulled = (Patches(reference, surfaces, 7, pull).examine(live, np.eye(4)[None], 4) for pull in (0.0, 0.01))
    slid = [np.abs(evidence.places - evidence.predicted)[0, :, 1].mean() for evidence in (loose, pulled)]
    assert slid[0] > 1.5 and slid[1] < 0.5
    np.testing.assert_allclose((pulled.places - pulled.predicted)[0, :, 0], 2.0, atol=0.7)
    np.testing.assert_array_equal(pulled.correlation, loose.correlation)


def test_one_keypoint_is_outvoted_by_its_neighbours_where_they_would_have_it_as_likely():
    """Four keypoints of one thing under two poses 20 px from each other; the last follows the second by itself."""
    start = np.array([[100.0, 100.0], [120.0, 100.0], [100.0, 120.0], [120.0, 120.0]])
    places = np.stack([start, start + [20.0, 0.0]])
    pose, chosen = np.array([0, 0, 0, 1]), np.arange(4)
    votes = np.full((4, 4), 0.9) - 0.9 * np.eye(4)

    def out(other: float, weights: np.ndarray = votes) -> list[bool]:
        odds = np.array([[3.0, 3.0, 3.0, other], [-3.0, -3.0, -3.0, 3.0]])
        return rivals.outvoted(places, odds, chosen, pose, chosen, weights).tolist()

    assert out(other=0.5) == [False, False, False, True]
    assert out(other=-0.5) == [False] * 4, "it does not look likely there: it moved by itself"
    assert out(other=0.5, weights=votes / 4) == [False] * 4, "neighbours that are far off, or unsure, are no majority"

"""What the hybrid tracker can do that flow alone cannot, and that it stays honest."""

import dataclasses
import tracemalloc
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keypoint_core.tracking.consensus import Bodies, Cloud, ConsensusSettings
from keypoint_core.tracking.depth_learning import DepthSettings, doubt_depths
from keypoint_core.tracking.descriptor_redetector import DescriptorRedetector
from keypoint_core.tracking.evidence import Evidence
from keypoint_core.tracking.hybrid import HybridSettings, HybridTracker
from keypoint_core.tracking.judgement import JudgementSettings, confidence
from keypoint_core.tracking.lucas_kanade import LucasKanade
from keypoint_core.tracking.rigid_motion import Motion, Sightings
from keypoint_core.types import SECOND, Frame, Intrinsics, KeypointStatus

PERIOD = SECOND // 15


@pytest.fixture(scope="module")
def local(scene) -> np.ndarray:
    return scene.reference(16)[1]


@pytest.fixture(scope="module")
def sheet() -> np.ndarray:
    """A textured picture to hide things behind."""
    noise = np.random.default_rng(0).normal(128, 400, (480, 640, 3))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)


def covered(frame: Frame, sheet: np.ndarray, left: float, right: float) -> Frame:
    """The frame with the sheet before the columns from left to right."""
    color, depth = frame.color.copy(), frame.depth.copy()
    columns = slice(max(0, int(left)), max(0, int(right)))
    color[:, columns], depth[:, columns] = sheet[:, columns], 0.5
    return dataclasses.replace(frame, color=color, depth=depth)


def run(tracker, scene, local, poses, change=lambda frame, i: frame):
    """Keypoints and truth [N, 2] of every frame."""
    results = []
    for i, pose in enumerate(poses):
        frame = change(scene.render(pose, stamp=i * PERIOD), i)
        truth = scene.pixels(pose, local)
        found = tracker.track(frame) if i else tracker.start(frame, truth.astype(np.float32))
        results.append((found, truth))
    return results


def errors(found, truth) -> np.ndarray:
    return np.linalg.norm(found.pixels - truth, axis=1)


@pytest.mark.parametrize("depth", [True, False])
def test_templates_turn_with_their_body(scene, local, depth):
    """Flow alone loses half of the points of a box that turns by 40 degrees."""

    def change(frame, i):
        return frame if depth else dataclasses.replace(frame, depth=None)

    poses = [scene.pose(0, 0, np.deg2rad(1.6 * i)) for i in range(26)]
    found, truth = run(HybridTracker(), scene, local, poses, change)[-1]
    plain, _ = run(LucasKanade(), scene, local, poses, change)[-1]
    assert found.visible.mean() >= (0.9 if depth else 0.75) > 0.6 > plain.visible.mean()
    assert errors(found, truth)[found.visible].max() < 2.5


def test_hidden_points_of_a_seen_body_are_predicted(scene, local, sheet):
    """The left half is covered while the box slides and turns; the points come out where they are expected."""
    poses = [scene.pose(0.0015 * min(i, 20), 0, 0.012 * min(i, 20)) for i in range(24)]
    middle = float(np.median(scene.pixels(poses[0], local)[:, 0]))

    def change(frame, i):
        return covered(frame, sheet, middle - 200, middle + i) if 2 <= i < 21 else frame

    results = run(HybridTracker(), scene, local, poses, change)
    found, truth = results[20]
    hidden = found.status == KeypointStatus.OCCLUDED
    assert hidden.sum() >= 5 and np.linalg.norm(truth - results[0][1], axis=1)[hidden].max() > 15
    assert errors(found, truth)[hidden].max() < 4
    found, truth = results[22]
    assert found.visible.all() and errors(found, truth).max() < 1.5


def test_a_body_that_moved_behind_a_cover_is_found_within_five_frames(scene, local, sheet):
    poses = [scene.pose(*(np.array([0.04, 0.02, 0.35]) * (i > 15))) for i in range(44)]
    results = run(
        HybridTracker(), scene, local, poses, lambda frame, i: covered(frame, sheet, 60, 580) if 4 < i < 36 else frame
    )
    assert not results[35][0].visible.any()
    found, truth = results[40]
    assert found.visible.mean() >= 0.9
    assert errors(found, truth)[found.visible].max() < 2


def test_a_body_that_was_dropped_far_away_and_turned_is_found(scene, local, sheet):
    """Beyond the near search one place tells of it, and not how it is turned."""
    poses = [scene.pose(*(np.array([0.08, 0.02, 0.35]) * (i > 8))) for i in range(24)]
    results = run(
        HybridTracker(), scene, local, poses, lambda frame, i: covered(frame, sheet, 0, 640) if 4 < i < 14 else frame
    )
    assert np.linalg.norm(results[-1][1] - results[0][1], axis=1).min() > 50
    found, truth = results[-1]
    assert found.visible.mean() >= 0.7
    assert errors(found, truth)[found.visible].max() < 2


def test_a_body_that_was_led_astray_is_found_at_once_where_it_was_at_first(scene, local):
    """As when something passed by that its points followed."""
    tracker = HybridTracker()
    run(tracker, scene, local, [scene.pose()] * 3)
    tracks, bodies = tracker._started()[0], tracker._bodies
    for body in bodies:
        bodies.put(body, Motion(np.eye(3), np.array([0.3, 0.0, 0.0])))
    tracks.pixels[:, 0] += 200
    tracks.status[:], tracks.followed[:] = KeypointStatus.OCCLUDED, False
    found = tracker.track(scene.render(scene.pose(), stamp=3 * PERIOD))
    assert found.visible.mean() > 0.9
    assert errors(found, scene.pixels(scene.pose(), local))[found.visible].max() < 1


def test_descriptors_find_a_body_that_moved_far_behind_a_cover(scene, local, sheet):
    poses = [scene.pose(*(np.array([0.1, 0.04, 0.3]) * (i > 15))) for i in range(34)]
    tracker = HybridTracker(redetector=DescriptorRedetector())
    results = run(tracker, scene, local, poses, lambda frame, i: covered(frame, sheet, 0, 640) if 4 < i < 28 else frame)
    assert np.linalg.norm(results[-1][1] - results[0][1], axis=1).min() > 50
    found, truth = results[-1]
    assert found.visible.mean() >= 0.75
    assert errors(found, truth)[found.visible].max() < 3


def test_a_small_thing_is_held_over_whatever_it_is_carried(scene, sheet):
    """Nine points on 24 x 30 px that travel 7 px per frame over another print."""
    print_of = np.random.default_rng(3).normal(128, 300, (30, 24, 3))
    thing = np.clip(cv2.GaussianBlur(print_of, (0, 0), 1.5), 0, 255).astype(np.uint8)
    offsets = np.array([[u, v] for u in (5, 12, 19) for v in (5, 15, 25)])
    ground, tracker = scene.render(scene.pose(9, 9), table=2), HybridTracker()

    def frame_at(left, i):
        color, far = ground.color.copy(), np.full((480, 640), 0.9, np.float32)
        color[:, 240:] = sheet[:, 240:]
        color[220:250, left : left + 24], far[220:250, left : left + 24] = thing, 0.87
        return dataclasses.replace(ground, color=color, depth=far, stamp=i * PERIOD)

    seen, worst = [], 0.0
    for i, left in enumerate(range(200, 480, 7)):
        truth = (offsets + [left, 220]).astype(np.float32)
        frame = frame_at(left, i)
        found = tracker.track(frame) if i else tracker.start(frame, truth)
        seen.append(found.visible.mean())
        worst = max(worst, errors(found, truth)[found.visible].max(initial=0.0))
    assert np.mean(seen) > 0.95 and seen[-1] > 0.85 and worst < 1.5


@pytest.mark.parametrize("known", [True, False])
def test_a_part_that_leaves_what_rests_is_a_body_of_its_own(known):
    """Six points on a thing that is lifted off six on the ground; two that are hidden come along with their part."""
    rng, bodies = np.random.default_rng(0), Bodies(ConsensusSettings(), 600.0)
    points = np.column_stack([rng.uniform(-0.02, 0.02, (14, 2)), np.ones(14)])
    thing = np.arange(14) % 2 == 0
    points[thing] += [0.0, 0.1, -0.03]
    part = np.where(thing, 2, 1).astype(np.int32) if known else np.zeros(14, np.int32)
    cloud = Cloud(points, np.zeros(14, np.int32), np.full(14, bodies.open(0), np.int32), part)
    good = np.arange(14) >= 2
    for step in range(6):
        now = points + thing[:, None] * [0.0, -0.002 * step, 0.0]
        bodies.update(cloud, Sightings(now[:, :2] / now[:, 2:], now[:, 2]), good)
    parted = len(np.unique(cloud.body[thing])) == 1 and not np.isin(cloud.body[thing], cloud.body[~thing]).any()
    assert parted == known
    if known:
        np.testing.assert_allclose(bodies.moved(cloud), now, atol=2e-3)


def test_a_depth_that_denies_what_can_be_seen_is_believed_no_more():
    """As on glass, where depth now is the surface's and now that of what lies behind; a thing in front looks different."""
    tracks = SimpleNamespace(sure=np.ones(4, bool), denied=np.zeros(4, np.int32))
    for frame in range(3):
        evidence = Evidence(
            distinct=np.ones(4, bool),
            likeness=np.array([0.85, 0.3, 0.85, 0.85]),  # the second one is covered by something
            core=np.full(4, 0.9),
            error=np.full(4, 0.5),
            support=np.array([8, 8, 8, 1]),  # of the last one nobody else tells where it should be
            backward=np.zeros(4),
            nearer=np.array([0.05, 0.05, 0.05 if frame != 1 else 0.0, 0.05]),  # the third one's is not always so
            hidden=np.zeros(4),
        )
        assert tracks.sure.all()
        doubt_depths(tracks, evidence, DepthSettings(denials=3))
    assert tracks.sure.tolist() == [False, True, True, True]


def test_points_on_glass_come_back_when_their_first_depth_is_doubted(scene, local):
    """Sixteen points; the camera sees more and more through the left part at first, then no more; pictures become noisy."""
    middle = scene.pixels(scene.pose(), local)[:, 0].mean()
    through = 0.05 * np.clip((middle - np.arange(640)) / 40, 0, 1)  # without a jump, at which the box would be parted

    def change(frame, i):
        depth, noise = frame.depth, np.random.default_rng(i).normal(0, 18, frame.color.shape)
        if i < 5:
            return dataclasses.replace(frame, depth=(depth + through).astype(np.float32))
        return dataclasses.replace(frame, color=np.clip(frame.color + noise, 0, 255).astype(np.uint8))

    def part_seen(denials):
        tracker = HybridTracker(HybridSettings(depth=DepthSettings(denials=denials)))
        results = run(tracker, scene, local, [scene.pose()] * 20, change)
        left = results[0][1][:, 0] < middle - 30
        return np.array([found.visible for found, _ in results])[10:, left].mean()

    assert part_seen(DepthSettings().denials) > 0.85 > 0.75 > part_seen(10**6)


def test_better_signs_never_lower_the_confidence():
    settings, rng = JudgementSettings(), np.random.default_rng(0)
    assert min(settings.weights) >= 0
    n = 200
    seen, plain = np.ones(n, bool), rng.uniform
    evidence = Evidence(
        distinct=seen,
        likeness=plain(0.3, 1, n),
        core=plain(0.3, 1, n),
        error=plain(0, 6, n),
        support=rng.integers(0, 9, n),
        backward=plain(0, 2, n),
        nearer=plain(-0.01, 0.05, n),
        hidden=plain(0, 3, n),
    )
    before = confidence(evidence, seen, settings)
    assert ((before >= 0.1) & (before <= 1)).all()
    for name, change in {"likeness": 0.05, "core": 0.05, "error": -0.5, "nearer": -0.01, "hidden": -0.5}.items():
        better = dataclasses.replace(evidence, **{name: getattr(evidence, name) + change})
        assert (confidence(better, seen, settings) >= before - 1e-12).all(), name


def test_the_background_does_not_go_with_the_object(scene, local):
    """One transform over both would do."""
    frame = scene.render(scene.pose())
    gray = cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY)
    away = 1 - cv2.dilate(scene.mask(scene.pose()).astype(np.uint8), np.ones((81, 81), np.uint8))
    table = cv2.goodFeaturesToTrack(gray, 8, 0.05, 40, mask=away, blockSize=5)[:, 0]
    tracker = HybridTracker()
    for i in range(25):
        pose = scene.pose(0.002 * i, -0.001 * i, 0.012 * i)
        truth = np.concatenate([scene.pixels(pose, local), table])
        frame = scene.render(pose, stamp=i * PERIOD)
        found = tracker.track(frame) if i else tracker.start(frame, truth.astype(np.float32))
    assert found.visible.mean() >= 0.9
    assert errors(found, truth)[found.visible].max() < 1.5


def test_a_passing_thing_drags_nothing_along(scene, local, sheet):
    """A textured sheet slides over the object; no keypoint that is flagged visible ever goes with it."""
    poses = [scene.pose()] * 50
    results = run(
        HybridTracker(), scene, local, poses, lambda frame, i: covered(frame, np.roll(sheet, 9 * i, 1), 0, 9 * i)
    )
    for found, truth in results:
        assert errors(found, truth)[found.visible].max(initial=0) < 3


def test_few_keypoints_have_companions_that_nobody_sees(scene, local, sheet):
    """Two keypoints say nothing about a body's motion; corners around them do."""
    poses = [scene.pose(0.0015 * i, 0, 0.01 * i) for i in range(20)]
    order = np.argsort(scene.pixels(poses[0], local)[:, 0])
    pair = local[order[[4, 5]]]
    left, right = np.sort(scene.pixels(poses[0], pair)[:, 0]) + [-6, 6]

    def change(frame, i):
        return covered(frame, sheet, left, right + 24) if i > 5 else frame

    tracker = HybridTracker()
    results = run(tracker, scene, pair, poses, change)
    assert all(found.ids.tolist() == [0, 1] for found, _ in results)
    found, truth = results[-1]
    assert not found.visible.any()
    assert np.linalg.norm(truth - scene.pixels(poses[5], pair), axis=1).min() > 8
    assert errors(found, truth).max() < 4
    tracker.remove([0, 1])
    assert len(tracker.track(scene.render(poses[0], stamp=SECOND * 9))) == 0


def test_a_frozen_picture_changes_nothing(scene, local):
    results = run(HybridTracker(), scene, local, [scene.pose(0.002 * i) for i in range(5)] + [scene.pose(0.008)] * 30)
    found, truth = results[-1]
    assert found.visible.all() and errors(found, truth).max() < 0.5


def test_confidence_tells_the_seen_from_the_hidden(scene, local, sheet):
    poses = [scene.pose(0.001 * i) for i in range(12)]
    middle = float(np.median(scene.pixels(poses[0], local)[:, 0]))
    results = run(
        HybridTracker(), scene, local, poses, lambda frame, i: covered(frame, sheet, 0, middle) if i > 3 else frame
    )
    for found, _ in results[4:]:
        assert 0.1 <= found.confidence[found.visible].min() <= found.confidence.max() <= 1
        assert found.confidence[~found.visible].max() < 0.1
    hidden = [found.confidence[~found.visible].max() for found, _ in results[6:]]
    assert (np.diff(hidden) <= 0).all()


def test_memory_does_not_grow(scene):
    """300 small frames; the slope of what stays allocated is nothing."""
    small = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
    picture = cv2.resize(scene.render(scene.pose()).color, (200, 160), interpolation=cv2.INTER_AREA)
    tracker = HybridTracker()

    def frame(i: int) -> Frame:
        u, v = 20 + round(15 * np.sin(i / 9)), 20 + round(12 * np.cos(i / 7))
        color = np.ascontiguousarray(picture[v : v + 120, u : u + 160])
        if i % 40 > 30:
            color[:, 30:130] = (i * 37) % 251
        return Frame(i * PERIOD, color, None, small)

    grid = np.array([[u, v] for u in (50, 70, 90, 110) for v in (40, 60, 80)], np.float32)
    tracker.start(frame(0), grid)
    for i in range(1, 100):
        tracker.track(frame(i))
    tracemalloc.start()
    try:
        before = 0
        for i in range(100, 400):
            tracker.track(frame(i))
            if i == 180:
                before = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - before < 300_000
    finally:
        tracemalloc.stop()

"""What a tracker does to each candidate is measured, and comes back in the tracks that training sees."""

import numpy as np
import pytest

from keypoint_core.errors import CorrespondenceError
from keypoint_core.types import Keypoints, KeypointStatus
from keypoint_sim.world import World
from keypoint_training.atk.trackability import Tally, load_traits, measure_trackability, save_traits
from keypoint_training.tracks import NO_NOISE, NoisyTracks, TrackNoise, Traits

ALL = np.ones(3, dtype=bool)
TRUTH = np.array([[100.0, 100.0], [200.0, 100.0], [300.0, 100.0]])


def test_error_and_loss_are_of_frames_in_sight():
    tally = Tally.empty(3)
    tally.start(np.array([True, True, False]), ALL)
    for i in range(20):
        found = TRUTH + np.array([[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]])
        tally.add(TRUTH, np.array([True, True, True]), found, np.array([True, i < 15, True]))
    tally.add(TRUTH, ~ALL, TRUTH + 50, ALL)
    traits = tally.traits(("a", "b", "c"))
    np.testing.assert_allclose(traits.error, [5.0, 0.0, 0.0])
    np.testing.assert_allclose(traits.lost, [0.0, 0.25, 1.0])


def test_a_point_that_the_correspondence_misses_is_lost_as_often():
    tally = Tally.empty(3)
    for i in range(4):
        tally.start(np.array([True, True, i > 0]), np.array([i == 0, True, False]))
        for k in range(10):
            tally.add(TRUTH, ALL, TRUTH, np.array([True, k < 8, True]))
    np.testing.assert_allclose(tally.traits(("a", "b", "c")).lost, [0.75, 0.2, 1.0])


def test_a_point_hardly_ever_in_sight_counts_as_lost():
    tally = Tally.empty(3)
    tally.start(ALL, ALL)
    for i in range(20):
        tally.add(TRUTH, np.array([True, i < 9, True]), TRUTH, np.array([True, True, False]))
    np.testing.assert_allclose(tally.traits(("a", "b", "c")).lost, [0.0, 1.0, 1.0])


class Frozen:
    """A tracker that leaves every point where it was, and never sees the last of those it was given."""

    def start(self, frame, pixels, ids):
        self.ids, self.pixels = np.asarray(ids, dtype=np.int32), pixels

    def track(self, frame):
        n = len(self.ids)
        status = (np.arange(n) == n - 1).astype(np.uint8)
        blank = np.full((n, 3), np.nan, np.float32)
        return Keypoints(frame.stamp, self.ids, self.pixels, np.ones(n, np.float32), status, blank)


class Finder:
    """A correspondence that finds some of the candidates, or refuses."""

    def __init__(self, located):
        self._located = np.array(located, dtype=bool)

    def locate(self, frame):
        if not self._located.any():
            raise CorrespondenceError("found nothing")
        n, status = len(self._located), np.where(self._located, KeypointStatus.VISIBLE, KeypointStatus.LOST)
        ids, blank = np.arange(n, dtype=np.int32), np.full((n, 3), np.nan, np.float32)
        pixels, sure = np.zeros((n, 2), np.float32), np.ones(n, np.float32)
        return Keypoints(frame.stamp, ids, pixels, sure, status.astype(np.uint8), blank)


def test_points_on_the_arm_are_lost_to_a_tracker_that_stands_still():
    world = World()
    pixels = np.array([[320.0, 340.0], [345.0, 95.0], [500.0, 400.0], [100.0, 300.0]])
    points = world.attach(np.vstack([pixels, [[328.0, 60.0]], [[150.0, 400.0]]]))
    traits = measure_trackability(world, points, Finder([1, 1, 1, 0, 1, 1]), Frozen(), [2_500_000])
    refused = measure_trackability(world, points, Finder([0] * 6), Frozen(), [2_500_000])
    world.close()
    bodies = np.array(traits.bodies)
    assert {"clock", "world", "moving_stick"} <= set(bodies)
    assert traits.error[bodies == "moving_stick"].min() > 20
    assert traits.error[[2, 3]].max() < 1e-3
    assert traits.lost[[2, 3, 5]].tolist() == [0.0, 1.0, 1.0], "held, never located, never believed"
    assert (refused.lost == 1).all() and refused.error.tolist() == traits.error.tolist()


@pytest.mark.parametrize("traits", [Traits(("a", "b")), Traits(("a", "b"), np.array([1.0, 2.0]), np.array([0.0, 0.5]))])
def test_traits_survive_their_file(tmp_path, traits):
    save_traits(tmp_path / "traits.npz", traits)
    loaded = load_traits(tmp_path / "traits.npz")
    assert loaded.bodies == traits.bodies
    np.testing.assert_array_equal(loaded.error, traits.error)
    np.testing.assert_array_equal(loaded.lost, traits.lost)


def run(traits, severity=1.0, frames=150, copies=400):
    noise = TrackNoise(**{**vars(NO_NOISE), "corrected": 0.05})
    tracks = NoisyTracks(noise, 3, np.random.default_rng(0), copies, severity, traits)
    return [tracks.step(TRUTH, ALL, np.zeros(2)) for _ in range(frames)]


def test_a_points_own_error_is_reached_and_stays():
    samples = run(Traits(("a",) * 3, np.array([0.0, 2.0, 20.0])))
    for sample in (samples[-40], samples[-1]):
        off = np.linalg.norm(sample.pixels - TRUTH, axis=-1)
        np.testing.assert_allclose(np.sqrt((off**2).mean(axis=0)), [0.0, 2.0, 20.0], rtol=0.2)


def test_a_lost_point_is_not_located():
    lost = np.array([0.0] * 6 + [0.5, 1.0])
    tracks = NoisyTracks(NO_NOISE, 8, np.random.default_rng(0), 500, 1.0, Traits(("a",) * 8, None, lost))
    located = tracks.step(np.tile(TRUTH[:1], (8, 1)), np.ones(8, dtype=bool), np.zeros(2)).seen.mean(axis=0)
    np.testing.assert_allclose(located, 1 - lost, atol=0.08)


def test_traits_fade_with_severity():
    sample = run(Traits(("a",) * 3, np.full(3, 30.0), np.ones(3)), severity=0.0)[-1]
    np.testing.assert_allclose(sample.pixels, np.broadcast_to(TRUTH, sample.pixels.shape), atol=1e-3)
    assert sample.seen.all()


def test_some_points_keep_their_traits():
    some = Traits(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), None).take(np.array([2, 0]))
    assert some.bodies == ("c", "a") and some.error.tolist() == [3.0, 1.0] and some.lost is None

"""What perception is compared with."""

from dataclasses import replace

import numpy as np
import pytest

from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import InputError, TrackingError
from keypoint_core.types import Frame
from keypoint_sim.world import World
from keypoint_trials.controls import ExactCorrespondence, ExactTracker, FrozenTracker, PicturePipeline, Truth
from keypoint_trials.methods import DEPLOYED, EXACT, FROZEN, METHODS, make_perception, method_named
from keypoint_trials.quality.points import pick_points


@pytest.fixture(scope="module")
def world():
    world = World("clock_button", "hebi")
    yield world
    world.close()


@pytest.fixture(scope="module")
def reference(world) -> Reference:
    return pick_points(world, 8)


class TestFrozen:
    def test_stays_where_it_was_told(self, reference):
        frame = reference_frame(reference)
        tracker = FrozenTracker()
        tracker.start(frame, reference.pixels, reference.ids)
        later = tracker.track(replace(frame, stamp=frame.stamp + 5, color=255 - frame.color))
        np.testing.assert_array_equal(later.pixels, reference.pixels)
        assert later.stamp == frame.stamp + 5 and later.visible.all()
        tracker.remove(reference.ids[:3])
        tracker.add(reference.pixels[:1] + 1, [99])
        assert tracker.track(frame).ids.tolist() == [*reference.ids[3:].tolist(), 99]

    def test_nothing_before_start(self, reference):
        with pytest.raises(TrackingError, match="start first"):
            FrozenTracker().track(reference_frame(reference))


class TestExact:
    def test_knows_where_a_moved_object_is(self, world, reference):
        world.reset(3, "rp")
        truth = Truth(world, reference)
        frame = world.capture()
        located = ExactCorrespondence(truth).locate(frame)
        exact, visible, _ = world.tracks(world.attach(reference.pixels.astype(np.float64)))
        assert np.abs(located.pixels - reference.pixels).max() > 5, "the scene is another one than the reference"
        np.testing.assert_allclose(located.pixels, exact, atol=1e-3)
        np.testing.assert_array_equal(located.visible, visible)
        tracker = ExactTracker(truth)
        tracker.start(frame, np.zeros((2, 2), np.float32), located.ids[[5, 1]])
        np.testing.assert_allclose(tracker.track(frame).pixels, exact[[5, 1]], atol=1e-3)

    def test_what_is_hidden_keeps_its_pixel(self, world, reference):
        world.reset(3, "rp")
        truth, frame = Truth(world, reference), world.capture()
        located = ExactCorrespondence(truth).locate(frame)
        tracker = ExactTracker(truth)
        tracker.start(frame, located.pixels, located.ids)
        hidden = replace(truth.keypoints(frame), status=np.ones(len(located), np.uint8) * 2, pixels=located.pixels + 9)
        assert not hidden.visible.any()
        truth.keypoints = lambda frame: hidden
        held = tracker.track(frame)
        assert not held.visible.any()
        np.testing.assert_array_equal(held.pixels, located.pixels)


def test_each_method_sees_through_what_it_says(world, reference):
    kinds = {
        sight: make_perception(sight, "sift_pnp", "lucas_kanade", world, reference)
        for sight in (DEPLOYED, FROZEN, EXACT)
    }
    assert [type(tracker).__name__ for _, tracker in kinds.values()] == ["LucasKanade", "FrozenTracker", "ExactTracker"]
    assert [type(one).__name__ for one, _ in kinds.values()][:2] == ["SiftPnp", "SiftPnp"]
    with pytest.raises(InputError, match="sight is deployed, frozen or exact"):
        make_perception("guess", "sift_pnp", "lucas_kanade", world, reference)
    assert [method.name for method in METHODS if method.sight == EXACT] == ["exact_tracks"]
    assert method_named("mine").checkpoint == "mine" and method_named("mine").sight == DEPLOYED


def reference_frame(reference) -> Frame:
    return Frame(7, reference.color, reference.depth, reference.intrinsics)


def test_a_policy_of_pictures_gets_each_frame_and_no_keypoints(reference):
    class Watching:
        def __init__(self):
            self.seen, self.resets = [], 0

        def reset(self):
            self.resets += 1

        def act(self, observation):
            self.seen.append((observation.frame.stamp, len(observation.keypoints), observation.state))
            return "chunk"

    policy = Watching()
    pipeline, frame = PicturePipeline(policy), reference_frame(reference)
    keypoints = pipeline.start(frame)
    assert pipeline.act(keypoints, "state") == "chunk"
    pipeline.act(pipeline.track(replace(frame, stamp=8)), "later")
    assert policy.seen == [(7, 0, "state"), (8, 0, "later")] and policy.resets == 1

"""Tracking: the contract of every back end, and Lucas-Kanade's own honesty.

Descriptors alone know a pixel to a fraction of their grid of 4 px, and not every place is unique: they have wider limits.
"""

import dataclasses
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from keypoint_core.errors import MissingDependencyError, TrackingError
from keypoint_core.tracking import TRACKERS
from keypoint_core.tracking.descriptor_tracker import DescriptorTracker
from keypoint_core.tracking.lucas_kanade import LucasKanade, LucasKanadeSettings
from keypoint_core.types import SECOND, Frame, Intrinsics, KeypointStatus

PERIOD = SECOND // 15
ON_CPU = ("lucas_kanade", "hybrid")  # those that promise the same bits everywhere


@pytest.fixture(params=list(TRACKERS))
def tracker(request):
    """Every registered back end."""
    try:
        return TRACKERS.create(request.param)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def local(scene) -> np.ndarray:
    return scene.reference(16)[1]


@pytest.fixture(scope="module")
def still(scene):
    return scene.render(scene.pose(), stamp=0)


@pytest.fixture(scope="module")
def pixels(scene, local) -> np.ndarray:
    return scene.pixels(scene.pose(), local).astype(np.float32)


def later(frame: Frame, frames: int) -> Frame:
    return dataclasses.replace(frame, stamp=frame.stamp + frames * PERIOD)


def covered(frame: Frame, left: float, right: float = 640.0) -> Frame:
    """The frame with a grey sheet over the columns from left to right."""
    color, depth = frame.color.copy(), frame.depth.copy()
    color[:, max(0, int(left)) : int(right)], depth[:, max(0, int(left)) : int(right)] = 128, 0.5
    return dataclasses.replace(frame, color=color, depth=depth)


class TestContract:
    """What holds for every back end."""

    def test_start_gives_the_pixels_back(self, tracker, still, pixels):
        found = tracker.start(still, pixels, ids=np.arange(16) + 100)
        assert found.ids.tolist() == list(range(100, 116))
        np.testing.assert_array_equal(found.pixels, pixels)
        assert found.visible.all() and (found.confidence > 0.5).all()
        assert np.isfinite(found.points).all(axis=1).sum() >= 10

    def test_the_start_frame_again_is_harmless(self, tracker, still, pixels):
        tracker.start(still, pixels)
        for _ in range(3):
            found = tracker.track(still)
        assert found.visible.all()
        np.testing.assert_allclose(found.pixels, pixels, atol=0.05)

    def test_follows_motion(self, tracker, scene, local):
        for i in range(25):
            pose = scene.pose(-0.05 + 0.003 * i, 0.03 - 0.002 * i, 0.004 * i)
            frame = scene.render(pose, stamp=i * PERIOD)
            truth = scene.pixels(pose, local)
            found = tracker.track(frame) if i else tracker.start(frame, truth.astype(np.float32))
        assert found.stamp == 24 * PERIOD
        coarse = isinstance(tracker, DescriptorTracker)
        assert found.visible.mean() > (0.6 if coarse else 0.8)
        assert np.linalg.norm(found.pixels - truth, axis=1)[found.visible].max() < (6 if coarse else 3)

    def test_without_depth_points_are_nan(self, tracker, still, pixels):
        found = tracker.start(dataclasses.replace(still, depth=None), pixels)
        assert np.isnan(found.points).all()

    def test_add_and_remove(self, tracker, still, pixels):
        tracker.start(still, pixels[:8])
        tracker.add(pixels[8:12], ids=[20, 21, 22, 23])
        tracker.remove([0, 21])
        found = tracker.track(later(still, 1))
        assert found.ids.tolist() == [1, 2, 3, 4, 5, 6, 7, 20, 22, 23]
        near = 2.5 if isinstance(tracker, DescriptorTracker) else 0.3
        np.testing.assert_allclose(found.pixels, pixels[[1, 2, 3, 4, 5, 6, 7, 8, 10, 11]], atol=near)
        with pytest.raises(TrackingError, match="0"):
            tracker.remove([0])
        with pytest.raises(TrackingError, match="20"):
            tracker.add(pixels[:1], ids=[20])

    def test_results_do_not_change_afterwards(self, tracker, still, pixels):
        first = tracker.start(still, pixels)
        before = first.pixels.copy()
        tracker.track(later(covered(still, 100), 1))
        np.testing.assert_array_equal(first.pixels, before)
        assert first.visible.all()

    @pytest.mark.parametrize("pixel", [[-1, 5], [640, 5], [5, 480], [np.nan, 5]])
    def test_pixels_outside_are_refused(self, tracker, still, pixels, pixel):
        with pytest.raises(TrackingError, match="640x480"):
            tracker.start(still, np.array([[50, 50], pixel], np.float32))
        tracker.start(still, pixels)
        with pytest.raises(TrackingError, match="640x480"):
            tracker.add(np.array([pixel], np.float32), ids=[99])

    def test_bad_ids_are_refused(self, tracker, still, pixels):
        with pytest.raises(TrackingError, match="different ids"):
            tracker.start(still, pixels[:2], ids=[4, 4])
        with pytest.raises(TrackingError, match="different ids"):
            tracker.start(still, pixels[:2], ids=[4])

    def test_a_changed_image_size_is_refused_and_changes_nothing(self, tracker, still, pixels):
        tracker.start(still, pixels)
        small = Frame(PERIOD, np.zeros((240, 320, 3), np.uint8), None, Intrinsics(320, 240, 300, 300, 160, 120))
        with pytest.raises(TrackingError, match="640x480 to 320x240"):
            tracker.track(small)
        assert tracker.track(later(still, 2)).visible.all()

    def test_a_blank_frame_is_refused_and_changes_nothing(self, tracker, still, pixels):
        blank = dataclasses.replace(still, color=np.zeros_like(still.color))
        with pytest.raises(TrackingError, match="blank"):
            tracker.start(blank, pixels)
        tracker.start(still, pixels)
        with pytest.raises(TrackingError, match="blank"):
            tracker.track(later(blank, 1))
        assert tracker.track(later(still, 2)).visible.all()

    def test_nothing_started_is_an_error(self, tracker, still, pixels):
        for call in (lambda: tracker.track(still), lambda: tracker.add(pixels, range(16)), lambda: tracker.remove([0])):
            with pytest.raises(TrackingError, match="start"):
                call()
        tracker.start(still, pixels)
        tracker.reset()
        with pytest.raises(TrackingError, match="start"):
            tracker.track(still)

    def test_no_keypoints_at_all(self, tracker, still):
        assert len(tracker.start(still, np.empty((0, 2), np.float32))) == 0
        assert len(tracker.track(later(still, 1))) == 0

    def test_covered_keypoints_keep_their_pixel_and_come_back(self, tracker, still, pixels):
        tracker.start(still, pixels)
        middle = float(np.median(pixels[:, 0]))
        for i in range(1, 4):
            found = tracker.track(later(covered(still, middle + 12), i))
        hidden = pixels[:, 0] > middle + 22
        assert hidden.sum() >= 3
        assert (found.status[hidden] == KeypointStatus.OCCLUDED).all()
        np.testing.assert_allclose(found.pixels[hidden], pixels[hidden], atol=0.5)
        assert found.confidence[hidden].max() < found.confidence[found.visible].min()
        for i in range(4, 9):
            found = tracker.track(later(still, i))
        assert found.visible.mean() >= (0.9 if isinstance(tracker, DescriptorTracker) else 1.0)

    def test_same_frames_give_the_same_bits(self, tracker, scene, pixels, still):
        def run():
            tracker.start(still, pixels)
            for i in range(1, 6):
                found = tracker.track(scene.render(scene.pose(0.003 * i), stamp=i * PERIOD))
            return found.pixels.tobytes() + found.confidence.tobytes() + found.status.tobytes()

        assert run() == run()


def test_a_keypoint_is_not_dragged_along_by_what_covers_it(scene, still, pixels):
    """A sheet slides over the object; at no time does a keypoint that is flagged visible go with it."""
    tracker = LucasKanade()
    tracker.start(still, pixels)
    left = pixels[:, 0].min() - 30
    for i in range(1, 40):
        found = tracker.track(later(covered(still, left - 200, left + 4 * i), i))
        assert np.linalg.norm(found.pixels - pixels, axis=1)[found.visible].max(initial=0) < 3
    assert not found.visible.any()
    assert tracker.track(later(still, 41)).visible.all()


def test_no_drift_under_noise_and_changing_light(scene, local, pixels):
    tracker, lit = LucasKanade(), [scene.render(scene.pose(), light=seed) for seed in (1, 2, 3)]
    noise = np.random.default_rng(0).normal(0, 4, (530, 640, 3)).astype(np.float32)
    for i in range(30):
        color = np.clip(lit[i // 10].color + noise[i : i + 480], 0, 255).astype(np.uint8)
        frame = dataclasses.replace(lit[0], color=color, stamp=i * PERIOD)
        found = tracker.track(frame) if i else tracker.start(frame, pixels)
    assert found.visible.mean() > 0.8
    assert np.linalg.norm(found.pixels - pixels, axis=1)[found.visible].max() < 1.0


def test_an_object_that_moved_while_covered_is_found_again(scene, local):
    tracker = LucasKanade()
    for i in range(40):
        pose = scene.pose(0.0015 * np.clip(i - 8, 0, 20))
        frame = scene.render(pose, occluder=0.5 if 5 < i < 32 else 0.0, stamp=i * PERIOD)
        truth = scene.pixels(pose, local)
        found = tracker.track(frame) if i else tracker.start(frame, truth.astype(np.float32))
        assert np.linalg.norm(found.pixels - truth, axis=1)[found.visible].max() < 3
    assert found.visible.mean() > 0.9


def test_leaving_the_image_is_out_of_view(scene, still, pixels):
    tracker = LucasKanade()
    tracker.start(still, pixels)
    states = set()
    for i in range(1, 60):
        shift = np.float32([[1, 0, 8 * i], [0, 1, 0]])
        moved = cv2.warpAffine(still.color, shift, (640, 480), borderMode=cv2.BORDER_REFLECT)
        found = tracker.track(dataclasses.replace(later(still, i), color=moved))
        gone = pixels[:, 0] + 8 * i > 640
        assert not found.visible[gone].any()
        states |= set(found.status[gone].tolist())
    assert gone.all()
    assert KeypointStatus.OUT_OF_VIEW in states
    assert ((found.pixels >= 0) & (found.pixels <= [639, 479])).all()


def test_long_hidden_is_lost_and_confidence_falls(still, pixels):
    tracker = LucasKanade(LucasKanadeSettings(lost_after=0.5))
    tracker.start(still, pixels)
    history = [tracker.track(later(covered(still, 100), i)) for i in range(1, 12)]
    assert all((found.status == KeypointStatus.OCCLUDED).all() for found in history[:7])
    assert (history[-1].status == KeypointStatus.LOST).all()
    assert (history[-1].confidence == 0).all()
    assert (np.diff([found.confidence[0] for found in history]) <= 0).all()
    np.testing.assert_allclose(history[-1].pixels, pixels, atol=0.5)


def test_plain_and_edge_patches_are_unsure_from_the_start(still):
    color = np.full_like(still.color, 100)
    color[:, 320:] = 200  # one straight edge
    color[100:110, 100:110] = 30  # one proper corner
    frame = dataclasses.replace(still, color=color)
    found = LucasKanade().start(frame, np.array([[500, 300], [320, 300], [100, 100]], np.float32))
    assert found.status.tolist() == [KeypointStatus.OCCLUDED, KeypointStatus.OCCLUDED, KeypointStatus.VISIBLE]
    assert found.confidence[:2].tolist() == [0, 0]


@pytest.mark.parametrize("name", ON_CPU)
def test_thread_count_does_not_matter(name, scene, still, pixels):
    frames = [scene.render(scene.pose(0.003 * i), occluder=0.3 * (i > 3), stamp=i * PERIOD) for i in range(8)]

    def run(threads: int) -> bytes:
        cv2.setNumThreads(threads)
        tracker = TRACKERS.create(name)
        tracker.start(frames[0], pixels)
        found = [tracker.track(frame) for frame in frames[1:]]
        return b"".join(f.pixels.tobytes() + f.confidence.tobytes() for f in found)

    before = cv2.getNumThreads()
    try:
        assert run(1) == run(2)
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("name", ON_CPU)
def test_other_processes_give_the_same_bits(name, scene):
    program = (
        "import importlib.util, sys, numpy\n"
        f"spec = importlib.util.spec_from_file_location('scene', {scene.source!r})\n"
        "module = sys.modules['scene'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "from keypoint_core.tracking import TRACKERS\n"
        f"scene, tracker = module.BoxScene(), TRACKERS.create({name!r})\n"
        "tracker.start(scene.render(module.Pose()), scene.reference()[0].pixels)\n"
        "found = [tracker.track(scene.render(module.Pose(0.004 * i, 0, 0.01 * i), light=3)) for i in range(5)]\n"
        "print(b''.join(f.pixels.tobytes() + f.confidence.tobytes() for f in found).hex())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != "\n"

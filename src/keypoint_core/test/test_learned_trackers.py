"""Learnt trackers: their bookkeeping, their networks, and what they say when something is missing."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from keypoint_core.errors import InputError, MissingDependencyError, TrackingError
from keypoint_core.tracking import TRACKERS, bootstapir, cotracker, tapnext
from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.tracking.learned import LearnedSettings, LearnedTracker, Prediction
from keypoint_core.tracking.weights import load_network
from keypoint_core.types import SECOND, Frame, Intrinsics, KeypointStatus

sys.path.insert(0, str(Path(__file__).parent))

from learned_bench import (  # noqa: E402
    CPU,
    POINTS,
    FixedNetwork,
    FlowNetwork,
    make,
    video,
)


def sibling(name: str):
    """The test module of that name beside this one."""
    spec = importlib.util.spec_from_file_location(f"learned_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contract = sibling("test_tracking")
local, still, pixels, later = contract.local, contract.still, contract.pixels, contract.later


@pytest.fixture
def tracker() -> LearnedTracker:
    """For the shared contract below."""
    return LearnedTracker(FlowNetwork())


class TestBookkeeping(contract.TestContract):
    """What holds for every tracker holds for the learnt ones' bookkeeping, around a network that works."""


class TestJudgement:
    """What a prediction means."""

    def track(self, pixels, score, settings: LearnedSettings | None = None, frames: int = 1):
        network = FixedNetwork()
        tracker, clip = LearnedTracker(network, settings), video(2)
        tracker.start(clip[0], POINTS)
        network.answer = Prediction(np.array(pixels, np.float32), np.array(score, np.float32))
        for i in range(frames):
            found = tracker.track(dataclasses.replace(clip[1], stamp=(i + 1) * SECOND))
        return found

    def test_status(self):
        places = POINTS + 1
        places[1], places[2], places[4] = [-3, 20], [20, 120], np.nan
        found = self.track(places, [0.9, 0.9, 0.1, 0.49, 0.9])
        outside = KeypointStatus.OUT_OF_VIEW
        hidden = KeypointStatus.OCCLUDED
        assert found.status.tolist() == [KeypointStatus.VISIBLE, outside, outside, hidden, hidden]
        np.testing.assert_array_equal(found.pixels[1:], POINTS[1:])
        np.testing.assert_array_equal(found.pixels[0], POINTS[0] + 1)
        np.testing.assert_allclose(found.confidence[0], 0.9, atol=1e-6)
        assert (found.confidence[1:] < 0.5).all() and found.confidence[4] < 1e-3

    def test_lost_after_a_while_and_confidence_falls(self):
        settings = LearnedSettings(lost_after=3.0)
        falling = [self.track(POINTS, [0.4] * 5, settings, frames) for frames in (1, 2, 3, 4)]
        assert [found.status[0] for found in falling] == [1, 1, 1, KeypointStatus.LOST]
        assert [round(float(found.confidence[0]), 3) for found in falling] == [0.267, 0.133, 0.0, 0.0]

    def test_confidence_is_calibrated_by_the_settings(self):
        logit = np.log(0.8 / 0.2)
        found = self.track(POINTS, [0.8] * 5, LearnedSettings(slope=0.5, offset=-0.3))
        np.testing.assert_allclose(found.confidence, 1 / (1 + np.exp(-(0.5 * logit - 0.3))), atol=1e-6)

    @pytest.mark.parametrize("wrong", [{"visible_above": 0.0}, {"slope": -1.0}, {"lost_after": 0.0}])
    def test_bad_settings_are_refused(self, wrong):
        with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
            LearnedSettings(**wrong)


NAMES = ("cotracker", "bootstapir", "tapnext")


def elements(value, seen: set[int]) -> int:
    """How many numbers are held by the tensors and arrays within."""
    if id(value) in seen or isinstance(value, (nn.Module, Inference)):
        return 0
    seen.add(id(value))
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.untyped_storage().size() if isinstance(value, torch.Tensor) else value.size
    if isinstance(value, dict):
        return sum(elements(item, seen) for item in value.values())
    if isinstance(value, (list, tuple)):
        return sum(elements(item, seen) for item in value)
    return elements(vars(value), seen) if hasattr(value, "__dict__") else 0


@pytest.mark.parametrize("name", NAMES)
class TestNetworks:
    """What holds for each upstream network with random weights, which do not track."""

    def test_points_come_and_go(self, name):
        tracker, clip = make(name), video(6)
        tracker.start(clip[0], POINTS[:3], ids=[10, 11, 12])
        tracker.track(clip[1])
        tracker.add(POINTS[3:], ids=[20, 21])
        assert tracker.track(clip[2]).ids.tolist() == [10, 11, 12, 20, 21]
        tracker.remove([11, 21])
        assert tracker.track(clip[3]).ids.tolist() == [10, 12, 20]
        tracker.remove([10, 12, 20])
        assert len(tracker.track(clip[4])) == 0
        tracker.add(POINTS[:1], ids=[10])
        assert tracker.track(clip[5]).ids.tolist() == [10]

    def test_starting_without_points(self, name):
        tracker, clip = make(name), video(3)
        assert len(tracker.start(clip[0], np.empty((0, 2), np.float32))) == 0
        assert len(tracker.track(clip[1])) == 0
        tracker.add(POINTS, ids=range(5))
        assert len(tracker.track(clip[2])) == 5

    def test_refused_frames_change_nothing(self, name):
        tracker, clip = make(name), video(3)
        black = dataclasses.replace(clip[1], color=np.zeros_like(clip[1].color))
        small = Frame(1, np.zeros((60, 80, 3), np.uint8), None, Intrinsics(80, 60, 75, 75, 40, 30))

        def run(bad: bool) -> bytes:
            tracker.start(clip[0], POINTS)
            for frame in (black, small) if bad else ():
                with pytest.raises(TrackingError, match="blank|160x120 to 80x60"):
                    tracker.track(frame)
            found = [tracker.track(frame) for frame in clip[1:]]
            return b"".join(f.pixels.tobytes() + f.confidence.tobytes() for f in found)

        assert run(False) == run(True)

    def test_memory_is_flat(self, name):
        tracker, clip = make(name), video(20)
        tracker.start(clip[0], POINTS[:2])
        sizes = [(tracker.track(frame), elements(tracker, set()))[1] for frame in clip[1:]]
        assert max(sizes[7:11]) == max(sizes[11:15]) == max(sizes[15:])  # CoTracker's window breathes by half

    def test_bfloat16_stays_close(self, name):
        """Only the way through autocast is tried: on CUDA it is the default."""
        exact, half = make(name)._network, make(name)._network
        half._inference.dtype = torch.bfloat16
        clip = video(3)
        for network in (exact, half):
            network.start(clip[0].color, POINTS)
            network.track(clip[1].color)
        a, b = exact.track(clip[2].color), half.track(clip[2].color)
        assert np.isfinite(b.pixels).all() and not np.array_equal(a.pixels, b.pixels)
        if name == "cotracker":  # the others' random weights turn rounding into leaps
            np.testing.assert_allclose(a.pixels, b.pixels, atol=2.0)

    def test_compiled_parts_and_warm_up_give_the_same(self, name):
        """The way through torch.compile, run eagerly: no compiler or GPU is needed."""
        clip, results = video(3), []
        for settings in (CPU, InferenceSettings(device="cpu", compile="default", warm_up=2)):
            with torch.compiler.set_stance("force_eager"):
                plain = make(name)._network
                kind = type(plain)
                points = kind(plain._network, Inference(settings))
                if name == "bootstapir":
                    points = kind(plain._network, Inference(settings), 64)
                points.start(clip[0].color, POINTS)
                results.append([points.track(frame.color) for frame in clip[1:]])
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)
            np.testing.assert_array_equal(a.score, b.score)

    def test_registered_without_weights(self, name, monkeypatch):
        make(name)
        monkeypatch.delenv("KEYPOINT_WEIGHTS", raising=False)
        with pytest.raises(MissingDependencyError, match=r"no weights; download https://\S+ \(licence: "):
            TRACKERS.create(name)


def test_bootstapir_points_do_not_disturb_each_other():
    points, clip = make("bootstapir")._network, video(5)

    def run(rows: list[int], drop_at: int = 9) -> Prediction:
        points.start(clip[0].color, POINTS[rows])
        for t in range(1, 5):
            if t == drop_at:
                points.keep(np.isin(rows, [0, 3]))
            found = points.track(clip[t].color)
        return found

    alone, dropped = run([0, 3]), run([0, 1, 2, 3, 4], 3)
    np.testing.assert_allclose(dropped.pixels, alone.pixels, atol=1e-3)
    np.testing.assert_allclose(dropped.score, alone.score, atol=1e-5)


def test_cotracker_keeps_the_right_rows():
    points, clip = make("cotracker")._network, video(11)
    points.start(clip[0].color, POINTS)
    for frame in clip[1:6]:
        before = points.track(frame.color)
    points.keep(np.array([True, False, True, False, True]))
    for frame in clip[6:]:
        after = points.track(frame.color)
    np.testing.assert_allclose(after.pixels, before.pixels[[0, 2, 4]], atol=8)  # points lie further apart


class TestTapNextGroups:
    """A state for each time that keypoints were added."""

    def test_rows_of_a_state_follow_its_points(self):
        points, clip = make("tapnext")._network, video(2)
        points.start(clip[0].color, POINTS)
        before = points._groups[0].state
        points.keep(np.array([True, False, True, False, True]))
        after = points._groups[0].state
        rows = [*range(1024), 1024, 1026, 1028]
        torch.testing.assert_close(after.query_points, before.query_points[:, [0, 2, 4]])
        for a, b in zip(after.hidden_state, before.hidden_state, strict=True):
            torch.testing.assert_close(a.rg_lru_state, b.rg_lru_state[rows])
            torch.testing.assert_close(a.conv1d_state, b.conv1d_state[rows])
        assert len(points.track(clip[1].color).pixels) == 3

    def test_a_further_group_leaves_the_first_as_it_is(self):
        points, clip = make("tapnext")._network, video(4)
        results = []
        for late in (False, True):
            points.start(clip[0].color, POINTS[:3])
            points.track(clip[1].color)
            if late:
                points.add(POINTS[3:])
            points.track(clip[2].color)
            points.keep(np.array([True] * 3 + [False] * 2 * late))
            results.append(points.track(clip[3].color))
        np.testing.assert_array_equal(results[0].pixels, results[1].pixels)

    def test_their_number_is_bounded_and_refusal_changes_nothing(self):
        tracker, clip = make("tapnext", max_groups=2), video(2)
        tracker.start(clip[0], POINTS[:2])
        tracker.add(POINTS[2:3], ids=[7])
        with pytest.raises(TrackingError, match="max_groups"):
            tracker.add(POINTS[3:], ids=[8, 9])
        assert tracker.track(clip[1]).ids.tolist() == [0, 1, 7]
        tracker.remove([7])
        tracker.add(POINTS[3:], ids=[8, 9])
        assert tracker.track(clip[1]).ids.tolist() == [0, 1, 8, 9]


@pytest.mark.parametrize("level,extra", [(0, False), (1, True)])
def test_bootstapir_takes_the_shape_of_its_weights(tmp_path, level, extra):
    """Its checkpoints differ; what was saved of one shape loads into that shape."""
    make("bootstapir")
    network = bootstapir.build(pyramid_level=level, extra_convs=extra)
    path = tmp_path / "causal_bootstapir_checkpoint.pt"
    torch.save(network.state_dict(), path)
    loaded = load_network(bootstapir.build, bootstapir.UPSTREAM, path, "")
    assert (loaded.pyramid_level, loaded.extra_convs is not None) == (level, extra)


def test_absent_packages_are_named_with_licence_and_command(monkeypatch):
    for package in ("cotracker", "tapnet"):
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
    for module in (cotracker, bootstapir, tapnext):
        with pytest.raises(MissingDependencyError, match=r"pip install .*github.com.*licence: (CC-BY-NC|Apache-2.0)"):
            module.build()


def test_the_licence_of_cotracker_is_told(caplog):
    make("cotracker")
    assert "CC-BY-NC 4.0: not for commercial use" in caplog.text

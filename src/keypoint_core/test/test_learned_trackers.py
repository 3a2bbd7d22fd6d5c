"""Learnt trackers: their bookkeeping, their weights, and that they give what their upstream gives.

Upstream's code is no part of this repository. Where it is importable (installed, or exported work trees and their
packages in $KEYPOINT_UPSTREAM, separated as in PYTHONPATH) networks with seeded random weights are compared with it;
the smallest shapes it allows keep this quick on one core.
"""

import copy
import dataclasses
import importlib.util
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from keypoint_core.errors import InputError, MissingDependencyError, TrackingError
from keypoint_core.tracking import TRACKERS, bootstapir, cotracker, tapnext
from keypoint_core.tracking.bootstapir import BootsTapir
from keypoint_core.tracking.cotracker import CoTracker
from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.tracking.learned import LearnedSettings, LearnedTracker, Prediction
from keypoint_core.tracking.lucas_kanade import LucasKanade
from keypoint_core.tracking.tapnext import TapNext, certainty
from keypoint_core.tracking.weights import load_network
from keypoint_core.types import SECOND, Frame, Intrinsics, KeypointStatus


def sibling(name: str):
    """The test module of that name beside this one."""
    spec = importlib.util.spec_from_file_location(f"learned_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.extend(path for path in os.environ.get("KEYPOINT_UPSTREAM", "").split(os.pathsep) if path not in sys.path)
contract = sibling("test_tracking")
local, still, pixels, later = contract.local, contract.still, contract.pixels, contract.later
CPU = InferenceSettings(device="cpu")
INTRINSICS = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
POINTS = np.array([[20, 30], [80.5, 60.25], [140, 100], [60, 90], [100, 20]], np.float32)


class FlowNetwork:
    """Stands for a network that works: Lucas-Kanade, with scores."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._tracker, self._stamp, self._ids = LucasKanade(), 0, np.empty(0, np.int32)

    def _frame(self, color: np.ndarray) -> Frame:
        self._stamp += SECOND // 15
        height, width = color.shape[:2]
        return Frame(self._stamp, color, None, Intrinsics(width, height, 600, 600, 320, 240))

    def start(self, color, pixels) -> None:
        self.reset()
        self._ids = self._tracker.start(self._frame(color), pixels).ids

    def track(self, color) -> Prediction:
        found = self._tracker.track(self._frame(color))
        score = np.where(found.visible, 0.5 + 0.5 * found.confidence, 0.4 * found.confidence)
        return Prediction(found.pixels, score.astype(np.float32))

    def add(self, pixels) -> None:
        ids = np.arange(len(pixels)) + self._ids.max(initial=-1) + 1
        self._tracker.add(pixels, ids)
        self._ids = np.append(self._ids, ids)

    def keep(self, rows) -> None:
        self._tracker.remove(self._ids[~rows])
        self._ids = self._ids[rows]


class FixedNetwork:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.answer: Prediction | None = None

    def start(self, color, pixels) -> None:
        self.answer = Prediction(pixels.copy(), np.full(len(pixels), 0.9, np.float32))

    def track(self, color) -> Prediction:
        return self.answer

    def add(self, pixels) -> None: ...

    def keep(self, rows) -> None: ...

    def reset(self) -> None: ...


def small_cotracker() -> nn.Module:
    torch.manual_seed(0)
    network = cotracker.build(window_len=8, model_resolution=(96, 128), num_virtual_tracks=8)
    for head in (network.updateformer.flow_head, network.updateformer.vis_conf_head):
        nn.init.normal_(head.weight, 0.0, 0.006)  # upstream starts them at nearly nothing
    return network


def small_tapir() -> nn.Module:
    torch.manual_seed(0)
    return bootstapir.build(initial_resolution=(64, 64), extra_convs=False)


def small_tapnext() -> nn.Module:
    torch.manual_seed(0)
    network = tapnext.build(width=48, num_heads=4, lru_width=48, depth=2)
    for name, parameter in network.named_parameters():
        if "ssm_block" in name or "token" in name or "pos_emb" in name:
            nn.init.normal_(parameter, 0.0, 0.3)  # nothing, or zeros, otherwise
        elif "in_proj_weight" in name:
            nn.init.normal_(parameter, 0.0, 0.6)  # points look at few patches, so that the picture matters
    return network


def make(name: str, iterations: int = 1, **options):
    """A tracker on a small network with random weights; skips where its upstream is absent."""
    try:
        if name == "cotracker":
            return CoTracker(network=small_cotracker(), inference=CPU, iterations=iterations, **options)
        if name == "bootstapir":
            return BootsTapir(network=small_tapir(), inference=CPU, resolution=64, **options)
        return TapNext(network=small_tapnext(), inference=CPU, **options)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def video(n: int) -> list[Frame]:
    """Frames of 160x120 in which a texture moves and turns a little."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 2.0)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    frames = []
    for i in range(n):
        turn = cv2.getRotationMatrix2D((160, 120), 0.8 * i, 1.0)
        turn[:, 2] += [1.5 * i - 80, 0.7 * i - 60]
        color = cv2.warpAffine(texture, turn, (160, 120))
        frames.append(Frame(i * SECOND // 15, color, None, INTRINSICS))
    return frames


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


def stacked(frames: list[Frame]) -> torch.Tensor:
    """[1, T, 3, H, W] float32."""
    return torch.from_numpy(np.stack([frame.color for frame in frames])).permute(0, 3, 1, 2)[None].float()


def assert_same(found: Prediction, pixels, score) -> None:
    np.testing.assert_allclose(found.pixels, pixels, atol=2e-3)
    np.testing.assert_allclose(found.score, score, atol=1e-5)


class TestUpstreamGivesTheSame:
    """Same random weights, same frames: the tracks of upstream's own code."""

    @pytest.fixture
    def predictor(self):
        """Upstream's predictor around the same network, begun on POINTS."""
        network = make("cotracker", iterations=6)._network._network
        module = importlib.import_module("cotracker.predictor")
        predictor = module.CoTrackerOnlinePredictor(checkpoint=None, window_len=8)
        predictor.model, predictor.interp_shape, predictor.step = network, network.model_resolution, 4
        return predictor

    def ask(self, predictor, frames) -> tuple[np.ndarray, np.ndarray]:
        """Upstream's answer for the last of the frames given, and its score, which its predictor makes a flag of."""
        tracks, _ = predictor(stacked(frames))
        model = predictor.model
        score = model.online_vis_predicted.sigmoid() * model.online_conf_predicted.sigmoid()
        return tracks[0, -1].numpy(), score[0, -1].numpy()

    def test_cotracker(self, predictor):
        """At every frame upstream is given the window so far; its own state moves on with full windows only."""
        points, clip = make("cotracker", iterations=6)._network, video(15)
        query = torch.cat([torch.zeros(5, 1), torch.from_numpy(POINTS)], dim=1)[None]
        predictor(stacked(clip[:1]), is_first_step=True, queries=query)
        points.start(clip[0].color, POINTS)
        begin, moved = 0, 0.0
        for t in range(1, 15):
            if t == begin + 8:
                self.ask(predictor, clip[begin:t])
                begin += 4
            found = points.track(clip[t].color)
            assert_same(found, *self.ask(copy.deepcopy(predictor), clip[begin : t + 1]))
            moved = max(moved, np.abs(found.pixels - POINTS).max())
        assert moved > 1.0

    def test_cotracker_with_points_added_in_the_window(self, predictor):
        points, clip = make("cotracker", iterations=6)._network, video(8)
        query = torch.cat([torch.tensor([[0.0], [0], [0], [3], [5]]), torch.from_numpy(POINTS)], dim=1)[None]
        predictor(stacked(clip[:1]), is_first_step=True, queries=query)
        points.start(clip[0].color, POINTS[:3])
        for t in range(1, 8):
            found = points.track(clip[t].color)
            if t in (3, 5):
                points.add(POINTS[3:4] if t == 3 else POINTS[4:])
        assert_same(found, *self.ask(predictor, clip))

    def test_bootstapir(self):
        """Upstream's loop of its live demo; two points are taken at the third frame."""
        points, clip = make("bootstapir")._network, video(7)
        network = points._network
        images = F.interpolate(stacked(clip)[0], (64, 64), mode="bilinear", antialias=True)
        images = (images / 255 * 2 - 1).permute(0, 2, 3, 1)[None]
        scale = np.array([64 / 160, 64 / 120], np.float32)

        def query(chosen, t):
            places = torch.from_numpy(((POINTS[chosen] + 0.5) * scale)[:, ::-1].copy())
            grids = network.get_feature_grids(images[:, t : t + 1], False)
            return network.get_query_features(
                images[:, t : t + 1], False, torch.cat([torch.zeros(len(places), 1), places], dim=1)[None], grids
            )

        def predict(features, state, t):
            grids = network.get_feature_grids(images[:, t : t + 1], False)
            out = network.estimate_trajectories((64, 64), False, grids, features, None, 64, state, True)
            places, occluded, distance = (out[key][-1][0, :, 0] for key in ("tracks", "occlusion", "expected_dist"))
            score = (1 - occluded.sigmoid()) * (1 - distance.sigmoid())
            return places.numpy() / scale - 0.5, score.numpy(), out["causal_context"]

        with torch.no_grad():
            first, second = [0, 1, 2], [3, 4]
            points.start(clip[0].color, POINTS[first])
            state = {"first": network.construct_initial_causal_state(3, 1)}
            features = {"first": query(first, 0)}
            for t in range(7):
                found = points.track(clip[t].color) if t else None
                results = {}
                for name in state:
                    *results[name], state[name] = predict(features[name], state[name], t)
                if t == 2:
                    points.add(POINTS[second])
                    features["second"], state["second"] = query(second, 2), network.construct_initial_causal_state(2, 1)
                    state["second"] = predict(features["second"], state["second"], 2)[2]
                if t:
                    expected = [np.concatenate(values) for values in zip(*results.values(), strict=True)]
                    assert_same(found, *expected)
        assert np.abs(found.pixels - POINTS).max() > 1.0

    def test_tapnext(self):
        """Upstream's wrapper, which counts pixels from the image's corner and has no second group."""
        points, clip = make("tapnext")._network, video(6)
        module = importlib.import_module("tapnet.tapnextpp.votsp2026.model")
        theirs = module.TAPNextPP(points._network, torch.device("cpu"))
        points.start(clip[0].color, POINTS[:3])
        states: list = [theirs.track_frame(clip[0].color[..., ::-1], POINTS[:3] + 0.5)[2]]
        for t in range(1, 6):
            found = points.track(clip[t].color)
            places = []
            for i, state in enumerate(states):
                place, _, states[i] = theirs.track_frame(clip[t].color[..., ::-1], state=state)
                places.append(place - 0.5)
            np.testing.assert_allclose(found.pixels, np.concatenate(places), atol=2e-3)
            if t == 2:
                points.add(POINTS[3:])
                states.append(theirs.track_frame(clip[2].color[..., ::-1], POINTS[3:] + 0.5)[2])
        assert np.abs(found.pixels - POINTS).max() > 1.0

    def test_certainty_of_tapnext_is_close_to_upstreams(self):
        make("tapnext")
        theirs = importlib.import_module("tapnet.tapnext.tapnext_torch_utils").tracker_certainty
        generator = torch.Generator().manual_seed(0)
        places = torch.rand(20, 2, generator=generator) * 200 + 28
        axis = torch.arange(256) + 0.5
        sharp = [-((axis - places[:, i : i + 1]) ** 2) / 30 for i in (0, 1)]  # a normal distribution of 3.9 px
        ours, upstream = certainty(places, torch.cat(sharp, dim=1)), theirs(places, torch.cat(sharp, dim=1))[:, 0]
        assert (ours >= upstream - 1e-5).all()
        np.testing.assert_allclose(ours, upstream, atol=0.1)


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

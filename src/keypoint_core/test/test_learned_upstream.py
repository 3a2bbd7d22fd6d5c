"""Learnt trackers give what their upstream gives: same random weights, same frames; skipped where upstream is absent."""

import copy
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from keypoint_core.tracking.tapnext import certainty

sys.path.insert(0, str(Path(__file__).parent))

from learned_bench import (  # noqa: E402
    POINTS,
    assert_same,
    make,
    stacked,
    video,
)


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

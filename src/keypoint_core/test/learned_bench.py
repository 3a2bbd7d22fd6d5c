"""Small networks with seeded random weights, and pictures for them; the smallest shapes that upstream allows.

Upstream's code is no part of this repository. It is found where it is installed, or in the exported work trees that
$KEYPOINT_UPSTREAM names, separated as in PYTHONPATH.
"""

import os
import sys

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from keypoint_core.errors import MissingDependencyError
from keypoint_core.tracking import bootstapir, cotracker, tapnext
from keypoint_core.tracking.bootstapir import BootsTapir
from keypoint_core.tracking.cotracker import CoTracker
from keypoint_core.tracking.inference import InferenceSettings
from keypoint_core.tracking.learned import Prediction
from keypoint_core.tracking.lucas_kanade import LucasKanade
from keypoint_core.tracking.tapnext import TapNext
from keypoint_core.types import SECOND, Frame, Intrinsics

sys.path.extend(path for path in os.environ.get("KEYPOINT_UPSTREAM", "").split(os.pathsep) if path not in sys.path)
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


def stacked(frames: list[Frame]) -> torch.Tensor:
    """[1, T, 3, H, W] float32."""
    return torch.from_numpy(np.stack([frame.color for frame in frames])).permute(0, 3, 1, 2)[None].float()


def assert_same(found: Prediction, pixels, score) -> None:
    np.testing.assert_allclose(found.pixels, pixels, atol=2e-3)
    np.testing.assert_allclose(found.score, score, atol=1e-5)

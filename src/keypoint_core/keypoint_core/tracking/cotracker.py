"""CoTracker3 online (Karaev et al., 2024, arXiv 2410.11831), one frame in, one result out, in bounded memory.

Upstream's online mode answers once per half window and keeps all frames' predictions. Here every frame is answered at
once: the network sees its window of 16 frames, the later half filled up with the newest frame as long as they have not
come (upstream does the same at a video's end). When the window is full it moves on by half, and the half that stays
starts from what was predicted for it: results for full windows are upstream's own. Features of a frame are computed
once; those of a keypoint are its first frame's, as upstream. Keypoints added later join the running window.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.tracking.learned import Color, LearnedSettings, LearnedTracker, Prediction
from keypoint_core.tracking.weights import Upstream, import_upstream, load_network
from keypoint_core.types import Float32

UPSTREAM = Upstream(
    tracker="cotracker",
    licence="CC-BY-NC 4.0: not for commercial use",
    install="pip install git+https://github.com/facebookresearch/co-tracker@82e02e8029753ad4ef13cf06be7f4fc5facdda4d",
    weights_url="https://huggingface.co/facebook/cotracker3/resolve/main/scaled_online.pth",
)
SETTINGS = LearnedSettings(visible_above=0.6)  # as CoTrackerOnlinePredictor
_LOG = logging.getLogger(__name__)


def build(**shape: Any) -> nn.Module:
    """Upstream's network without its weights; `shape` overrides arguments of CoTrackerThreeOnline."""
    module = import_upstream(UPSTREAM, "cotracker.models.core.cotracker.cotracker3_online")
    network: nn.Module = module.CoTrackerThreeOnline(**{"stride": 4, "corr_radius": 3, "window_len": 16, **shape})
    return network


class CoTracker(LearnedTracker):
    """Follows keypoints by CoTracker3.

    Args:
        weights, sha256: file and its hash, see `weights.find_weights`.
        settings: what is believed.
        inference: how it is run.
        iterations: refinements per frame; upstream's predictor takes 6. Time grows with it.
        network: upstream's network, already filled; instead of `weights`.

    Raises:
        MissingDependencyError: package or weights are absent.
        CheckpointError: the weights are damaged or another network's.
    """

    def __init__(
        self,
        weights: str | Path = "",
        sha256: str = "",
        settings: LearnedSettings = SETTINGS,
        inference: InferenceSettings | None = None,
        iterations: int = 6,
        network: nn.Module | None = None,
    ) -> None:
        if network is None:
            network = load_network(lambda state: build(), UPSTREAM, weights, sha256)
        _LOG.warning("CoTracker's code and weights are under %s", UPSTREAM.licence)
        super().__init__(CoTrackerPoints(network, Inference(inference or InferenceSettings()), iterations), settings)


@dataclass
class _Tracks:
    """Predictions for the frames of a window: places in cells of the features, logits of visible and certain."""

    places: Tensor  # [T, N, 2]
    visible: Tensor  # [T, N]
    certain: Tensor  # [T, N]

    @classmethod
    def zeros(cls, frames: int, points: int, device: torch.device) -> _Tracks:
        shape = (frames, points)
        return cls(*(torch.zeros(*shape, *end, device=device) for end in ((2,), (), ())))

    def joined(self, points: int) -> _Tracks:
        """With zeros for further points."""
        fresh = _Tracks.zeros(len(self.places), points, self.places.device)
        pairs = zip(vars(self).values(), vars(fresh).values(), strict=True)
        return _Tracks(*(torch.cat(pair, dim=1) for pair in pairs))

    def kept(self, rows: Tensor) -> _Tracks:
        return _Tracks(*(values[:, rows] for values in vars(self).values()))

    def frames(self, chosen: slice) -> _Tracks:
        return _Tracks(*(values[chosen] for values in vars(self).values()))


class CoTrackerPoints:
    """The network with its window; see the module's docstring.

    Args:
        network: upstream's CoTrackerThreeOnline.
        inference: how it is run.
        iterations: refinements per frame.
    """

    def __init__(self, network: Any, inference: Inference, iterations: int = 6) -> None:
        self._network = network
        self._inference = inference
        self._iterations = iterations
        self._length = int(self._network.window_len)
        self._half = self._length // 2
        inference.prepare(network, [self._network.fnet, self._network.updateformer, self._network.corr_mlp])
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        levels, device = int(self._network.corr_levels), self._inference.device
        self._shape: tuple[int, ...] = ()
        self._maps: list[Tensor] = []  # per level [1, T, C, h, w], T frames of the window
        self._queries = torch.zeros(0, 2, device=device)  # [N, 2] in cells
        self._support: list[Tensor] = [torch.empty(0)] * levels  # per level [1, 1, R, N, C]
        self._before = _Tracks.zeros(self._half, 0, device)  # of the window's first half, where `_known`
        self._known = torch.zeros(0, dtype=torch.bool, device=device)  # [N]
        self._newest = _Tracks.zeros(self._length, 0, device)  # of the window, where `_ran`
        self._ran = torch.zeros(0, dtype=torch.bool, device=device)  # [N]

    def start(self, color: Color, pixels: Float32) -> None:
        """Forgets everything and takes the points [N, 2] of that image."""
        for again in range(self._inference.warm_up + 1):
            self.reset()
            self._shape = color.shape
            with self._inference.running():
                self._push(color)
                self._query(pixels)
                if again < self._inference.warm_up and len(pixels):
                    self._run()

    def track(self, color: Color) -> Prediction:
        """Follows all points into the next image."""
        with self._inference.running():
            if self._maps[0].shape[1] == self._length:
                self._move()
            self._push(color)
            if len(self._queries) == 0:
                return Prediction(np.empty((0, 2), np.float32), np.empty(0, np.float32))
            self._run()
            now = self._maps[0].shape[1] - 1
            pixels = self._newest.places[now] * float(self._network.stride) / self._scale()
            score = self._newest.visible[now].sigmoid() * self._newest.certain[now].sigmoid()
            return Prediction(pixels.float().cpu().numpy(), score.float().cpu().numpy())

    def add(self, pixels: Float32) -> None:
        """Takes further points of the newest image."""
        with self._inference.running():
            self._query(pixels)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forgets all points but those marked [N]."""
        chosen = torch.from_numpy(rows).to(self._inference.device)
        self._queries, self._known, self._ran = self._queries[chosen], self._known[chosen], self._ran[chosen]
        self._support = [level[:, :, :, chosen] for level in self._support]
        self._before, self._newest = self._before.kept(chosen), self._newest.kept(chosen)

    def _scale(self) -> Tensor:
        """[2] network pixels per image pixel; centres of corner pixels stay corner pixels."""
        height, width = self._network.model_resolution
        ratio = ((width - 1) / (self._shape[1] - 1), (height - 1) / (self._shape[0] - 1))
        return torch.tensor(ratio, dtype=torch.float32, device=self._inference.device)

    def _push(self, color: Color) -> None:
        """Appends the image's features to the window."""
        network = self._network
        image = self._inference.image(color, tuple(network.model_resolution), corners=True)
        features = network.fnet(2 * (image / 255.0) - 1.0).float()
        features = features / features.square().sum(dim=1, keepdim=True).clamp(min=1e-12).sqrt()
        levels = [features]
        for _ in range(network.corr_levels - 1):
            levels.append(F.avg_pool2d(levels[-1], 2, stride=2))
        frames = [level[:, None] for level in levels]
        if self._maps:
            frames = [torch.cat(pair, dim=1) for pair in zip(self._maps, frames, strict=True)]
        self._maps = frames

    def _query(self, pixels: Float32) -> None:
        """Appends points [n, 2] of the newest image, with the features around them."""
        network, device, n = self._network, self._inference.device, len(pixels)
        places = torch.from_numpy(pixels).to(device) * self._scale() / float(network.stride)
        frame = torch.zeros(1, n, dtype=torch.long, device=device)
        for i, level in enumerate(self._maps):
            place, radius = places[None] / 2**i, network.corr_radius
            _, support = network.get_track_feat(level[:, -1:], frame, place, support_radius=radius)
            fresh = support[:, None].float()
            self._support[i] = torch.cat([self._support[i], fresh], dim=3) if self._support[i].numel() else fresh
        self._queries = torch.cat([self._queries, places])
        self._before, self._newest = self._before.joined(n), self._newest.joined(n)
        fresh_flags = torch.zeros(n, dtype=torch.bool, device=device)
        self._known, self._ran = torch.cat([self._known, fresh_flags]), torch.cat([self._ran, fresh_flags])

    def _move(self) -> None:
        """Lets go of the window's first half."""
        self._maps = [level[:, self._half :].clone() for level in self._maps]
        self._before = self._newest.frames(slice(self._half, None))
        self._known = self._ran.clone()

    def _run(self) -> None:
        """Predicts the whole window anew, from where its first half was left."""
        missing = self._length - self._maps[0].shape[1]
        maps = [torch.cat([level, level[:, -1:].expand(-1, missing, -1, -1, -1)], dim=1) for level in self._maps]
        begin = self._beginning()
        places, visible, certain = self._network.forward_window(
            fmaps_pyramid=maps,
            coords=begin.places[None],
            track_feat_support_pyramid=self._support,
            vis=begin.visible[None, ..., None],
            conf=begin.certain[None, ..., None],
            iters=self._iterations,
            add_space_attn=True,
        )
        stride = float(self._network.stride)
        self._newest = _Tracks(places[-1][0].float() / stride, visible[-1][0].float(), certain[-1][0].float())
        self._ran = torch.ones_like(self._ran)

    def _beginning(self) -> _Tracks:
        """Known points from their predictions, continued by the last of them; others from where they were queried."""
        n, known = len(self._queries), self._known
        begin = _Tracks.zeros(self._length, n, self._inference.device)
        begin.places[:] = self._queries
        for values, before in zip(vars(begin).values(), vars(self._before).values(), strict=True):
            values[: self._half, known] = before[:, known]
            values[self._half :, known] = before[-1:, known]
        return begin

"""Online BootsTAPIR (Doersch et al., 2024, arXiv 2402.00847): TAPIR with causal convolutions, frame by frame, in torch.

The state is the features of each keypoint at its first frame and the network's short memory per keypoint; both are of
fixed size, and belong to one keypoint alone: keypoints come and go without touching the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keypoint_core.errors import InputError
from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.tracking.learned import Color, LearnedSettings, LearnedTracker, Prediction, first_frame_queries
from keypoint_core.tracking.raster import from_raster
from keypoint_core.tracking.weights import Upstream, import_upstream, load_network
from keypoint_core.types import Float32

UPSTREAM = Upstream(
    tracker="bootstapir",
    licence="Apache-2.0",
    install="pip install einshape dm-tree && "
    "pip install --no-deps git+https://github.com/google-deepmind/tapnet@c2cbab81cc06092b5f05bfe2da7bfec54e2079c9",
    weights_url="https://storage.googleapis.com/dm-tapnet/bootstap/causal_bootstapir_checkpoint.pt",
)
_CHUNK = 512  # points at a time; only memory depends on it
Memory = list[dict[str, Tensor]]  # per refinement: name -> [1, N, 2, channels]


def build(state: dict[str, Tensor] | None = None, **shape: Any) -> nn.Module:
    """Upstream's network without its weights.

    Args:
        state: weights it has to fit: its checkpoints differ in the number of pyramid levels and in extra convolutions.
        **shape: overrides arguments of TAPIR.
    """
    module = import_upstream(UPSTREAM, "tapnet.torch.tapir_model")
    found: dict[str, Any] = {"pyramid_level": 1}
    mixer = (state or {}).get("torch_pips_mixer.linear.weight")
    if state is not None and mixer is not None:  # 4 numbers, 384 channels, 49 correlations for each of level + 2 maps
        found["pyramid_level"] = (mixer.shape[1] - 4 - 384) // 49 - 2
        found["extra_convs"] = any(name.startswith("extra_convs.") for name in state)
    network: nn.Module = module.TAPIR(use_casual_conv=True, **{**found, **shape})
    return network


class BootsTapir(LearnedTracker):
    """Follows keypoints by Online BootsTAPIR.

    Args:
        weights, sha256: file and its hash, see `weights.find_weights`.
        settings: what is believed.
        inference: how it is run.
        resolution: of the square that images are shrunk to [px], a multiple of 8. Trained for 256 and 512; above 256
            places are refined a second time: more precise, and several times slower.
        network: upstream's network, already filled; instead of `weights`.

    Raises:
        MissingDependencyError: package or weights are absent.
        CheckpointError: the weights are damaged or another network's.
        InputError: the resolution does not fit.
    """

    def __init__(
        self,
        weights: str | Path = "",
        sha256: str = "",
        settings: LearnedSettings | None = None,
        inference: InferenceSettings | None = None,
        resolution: int = 256,
        network: nn.Module | None = None,
    ) -> None:
        if network is None:
            network = load_network(build, UPSTREAM, weights, sha256)
        super().__init__(TapirPoints(network, Inference(inference or InferenceSettings()), resolution), settings)


class TapirPoints:
    """The network with what it remembers of each point.

    Args:
        network: upstream's TAPIR with causal convolutions.
        inference: how it is run.
        resolution: see `BootsTapir`. Square, because upstream samples its maps by their height alone.
    """

    def __init__(self, network: Any, inference: Inference, resolution: int = 256) -> None:
        if resolution <= 0 or resolution % 8:
            raise InputError(f"resolution: expected a multiple of 8, got {resolution}")
        self._network = network
        self._inference = inference
        self._size = (resolution, resolution)
        heavy = [self._network.resnet_torch, self._network.extra_convs, self._network.torch_pips_mixer]
        inference.prepare(network, [part for part in heavy if part is not None])
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._shape: tuple[int, ...] = ()
        self._maps: Any = None  # upstream's FeatureGrids of the newest image
        self._features: Any = None  # upstream's QueryFeatures, [1, N, channels] each
        self._memory: Memory = []

    def start(self, color: Color, pixels: Float32) -> None:
        """Forgets everything and takes the points [N, 2] of that image."""
        for _ in range(self._inference.warm_up + 1):
            self.reset()
            self._shape = color.shape
            with self._inference.running():
                self._look(color)
            if len(pixels):
                self.add(pixels)

    def track(self, color: Color) -> Prediction:
        """Follows all points into the next image."""
        with self._inference.running():
            self._look(color)
            if self._features is None:
                return Prediction(np.empty((0, 2), np.float32), np.empty(0, np.float32))
            found, self._memory = self._estimate(self._features, self._memory)
            return found

    def add(self, pixels: Float32) -> None:
        """Takes further points of the newest image, which is the first image they are followed in."""
        with self._inference.running():
            query = first_frame_queries(pixels, self._shape, self._size)
            tensor = torch.from_numpy(query)[None].to(self._inference.device)
            video = torch.empty(1, 1, *self._size, 3, device="meta")  # only its shape is asked for
            features = self._network.get_query_features(video, False, tensor, self._maps)
            _, memory = self._estimate(features, self._blank_memory(len(pixels)))
        if self._features is None:
            self._features, self._memory = features, memory
            return
        self._features = _joined(self._features, features)
        self._memory = [
            {name: torch.cat([value, new[name]], dim=1) for name, value in old.items()}
            for old, new in zip(self._memory, memory, strict=True)
        ]

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forgets all points but those marked [N]."""
        if not rows.any():
            self._features, self._memory = None, []
            return
        chosen = torch.from_numpy(rows).to(self._inference.device)
        lowres, hires = ([level[:, chosen] for level in levels] for levels in self._features[:2])
        self._features = self._features._replace(lowres=tuple(lowres), hires=tuple(hires))
        self._memory = [{name: value[:, chosen] for name, value in old.items()} for old in self._memory]

    def _look(self, color: Color) -> None:
        """Features of the image."""
        image = self._inference.image(color, self._size, corners=False, antialias=True)
        video = (image / 255.0 * 2 - 1).permute(0, 2, 3, 1)[:, None]
        self._maps = self._network.get_feature_grids(video, False)

    def _blank_memory(self, points: int) -> Memory:
        """Of points that have not been followed yet; upstream's has entries to spare, and shares its tensors."""
        refinements = self._network.num_pips_iter * (len(self._maps.resolutions) - 1)
        blank = self._network.construct_initial_causal_state(points, len(self._maps.resolutions) - 1)
        return [
            {name: value.to(self._inference.device) for name, value in blank[0].items()} for _ in range(refinements)
        ]

    def _estimate(self, features: Any, memory: Memory) -> tuple[Prediction, Memory]:
        """Places and scores of points in the newest image, and what the network remembers then."""
        result = self._network.estimate_trajectories(
            self._size,
            False,
            self._maps,
            features,
            None,
            query_chunk_size=_CHUNK,
            causal_context=memory,
            get_causal_context=True,
        )
        every = self._network.num_pips_iter
        places, hidden, far = (
            torch.stack(result[name][every::every]).mean(dim=0)[0, :, 0].float()
            for name in ("tracks", "occlusion", "expected_dist")
        )
        score = (1 - hidden.sigmoid()) * (1 - far.sigmoid())
        pixels = from_raster(places.cpu().numpy(), self._shape, self._size)
        return Prediction(pixels, score.cpu().numpy()), result["causal_context"]


def _joined(old: Any, new: Any) -> Any:
    """Features of both."""
    lowres, hires = (
        tuple(torch.cat(pair, dim=1) for pair in zip(a, b, strict=True)) for a, b in zip(old[:2], new[:2], strict=True)
    )
    return old._replace(lowres=lowres, hires=hires)

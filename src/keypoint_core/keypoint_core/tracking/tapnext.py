"""TAPNext and TAPNext++ (Zholus et al., 2025, arXiv 2504.05579): a recurrent network, frame by frame, in torch.

Its state is made for the keypoints of one frame; upstream cannot add others to it. Keypoints added later get a state of
their own, begun at the frame they were added in. Every such group costs as much as the first: their number is bounded,
and a group ends when its last keypoint is removed. Keypoints added together share a group, so add many at once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from keypoint_core.errors import InputError, TrackingError
from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.tracking.learned import Color, LearnedSettings, LearnedTracker, Prediction, first_frame_queries
from keypoint_core.tracking.raster import from_raster
from keypoint_core.tracking.weights import Upstream, import_upstream, load_network
from keypoint_core.types import Float32

UPSTREAM = Upstream(
    tracker="tapnext",
    licence="Apache-2.0",
    install="pip install einops torchvision && "
    "pip install --no-deps git+https://github.com/google-deepmind/tapnet@c2cbab81cc06092b5f05bfe2da7bfec54e2079c9",
    weights_url="https://storage.googleapis.com/dm-tapnet/tapnextpp/tapnextpp_ckpt.pt",
)
_RADIUS = 8.0  # certain: within this of the place [network px], as upstream's tracker_certainty


def build(**shape: Any) -> nn.Module:
    """Upstream's network without its weights; `shape` overrides arguments of TAPNext."""
    module = import_upstream(UPSTREAM, "tapnet.tapnext.tapnext_torch")
    network: nn.Module = module.TAPNext(**{"image_size": (256, 256), **shape})
    return network


class TapNext(LearnedTracker):
    """Follows keypoints by TAPNext or TAPNext++, whichever the weights are of.

    Args:
        weights, sha256: file and its hash, see `weights.find_weights`.
        settings: what is believed.
        inference: how it is run.
        resolution: of the square that images are shrunk to [px]; 512 for the weights tapnextpp_512.ckpt.
        max_groups: how many states may live at a time; `add` refuses to begin another.
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
        max_groups: int = 4,
        network: nn.Module | None = None,
    ) -> None:
        if network is None:
            network = load_network(lambda state: build(), UPSTREAM, weights, sha256)
        runner = Inference(inference or InferenceSettings(), half="float16")  # as upstream runs it
        super().__init__(TapNextPoints(network, runner, resolution, max_groups), settings)


@dataclass
class _Group:
    """Points that share a state: their rows in the result, and upstream's TAPNextTrackingState."""

    rows: NDArray[np.int64]
    state: Any


class TapNextPoints:
    """The network with the states of its groups.

    Args:
        network: upstream's TAPNext.
        inference: how it is run.
        resolution, max_groups: see `TapNext`.
    """

    def __init__(self, network: Any, inference: Inference, resolution: int = 256, max_groups: int = 4) -> None:
        self._network = network
        patch = self._network.patch_size[0]
        if resolution <= 0 or resolution % patch:
            raise InputError(f"resolution: expected a multiple of the patch size {patch}, got {resolution}")
        self._inference = inference
        self._resolution = resolution
        self._size: tuple[int, int] = tuple(self._network.image_size)  # in which places are counted
        self._patches = (resolution // patch) ** 2
        self._max_groups = max_groups
        inference.prepare(network, list(self._network.blocks))
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._shape: tuple[int, ...] = ()
        self._video = torch.empty(0)  # [1, 1, h, w, 3], the newest image
        self._groups: list[_Group] = []
        self._count = 0

    def start(self, color: Color, pixels: Float32) -> None:
        """Forgets everything and takes the points [N, 2] of that image."""
        for again in range(self._inference.warm_up + 1):
            self.reset()
            self._shape = color.shape
            self._look(color)
            if len(pixels):
                self.add(pixels)
            if again < self._inference.warm_up:
                self.track(color)

    def track(self, color: Color) -> Prediction:
        """Follows all points into the next image."""
        self._look(color)
        pixels, score = np.empty((self._count, 2), np.float32), np.empty(self._count, np.float32)
        for group in self._groups:
            found, group.state = self._step(state=group.state)
            pixels[group.rows], score[group.rows] = found.pixels, found.score
        return Prediction(pixels, score)

    def add(self, pixels: Float32) -> None:
        """Begins a group of further points of the newest image.

        Raises:
            TrackingError: there are too many groups already.
        """
        if len(self._groups) >= self._max_groups:
            raise TrackingError(
                f"tapnext: keypoints were added {len(self._groups)} times, each of which costs a state of its own; "
                "start again on all keypoints, or raise max_groups"
            )
        query = first_frame_queries(pixels, self._shape, self._size)
        _, state = self._step(query_points=torch.from_numpy(query)[None].to(self._inference.device))
        rows = np.arange(self._count, self._count + len(pixels))
        self._groups.append(_Group(rows, state))
        self._count += len(pixels)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forgets all points but those marked [N]."""
        numbers = np.cumsum(rows) - 1
        for group in self._groups:
            chosen = rows[group.rows]
            if not chosen.all():
                group.state = self._kept(group.state, torch.from_numpy(chosen).to(self._inference.device))
            group.rows = numbers[group.rows[chosen]]
        self._groups = [group for group in self._groups if len(group.rows)]
        self._count = int(rows.sum())

    def _look(self, color: Color) -> None:
        with self._inference.running():
            image = self._inference.image(color, (self._resolution, self._resolution), corners=False)
            self._video = (image / 127.5 - 1.0).permute(0, 2, 3, 1)[:, None]

    def _step(self, **given: Any) -> tuple[Prediction, Any]:
        """One group's places and scores in the newest image, and its new state."""
        with self._inference.running():
            places, logits, visible, state = self._network(video=self._video, **given)
        places, logits = places[0, 0].float(), logits[0, 0].float()
        score = visible[0, 0, :, 0].float().sigmoid() * certainty(places, logits)
        pixels = from_raster(places.cpu().numpy()[:, ::-1], self._shape, self._size)
        # Only whether it is the first frame matters; a number that grows would make torch.compile start anew.
        return Prediction(pixels, score.cpu().numpy()), dataclasses.replace(state, step=1)

    def _kept(self, state: Any, chosen: Tensor) -> Any:
        """The state with the chosen of its points: each image patch and each point has a row of its own."""
        rows = torch.cat([torch.ones(self._patches, dtype=torch.bool, device=chosen.device), chosen])
        hidden = [type(layer)(*(values[rows] for values in layer)) for layer in state.hidden_state]
        return dataclasses.replace(state, query_points=state.query_points[:, chosen], hidden_state=hidden)


def certainty(places: Tensor, logits: Tensor) -> Tensor:
    """How much of the network's belief lies around its answer.

    Args:
        places: [N, 2] (y, x), counted from the corner.
        logits: [N, 2 B] of B places along y, then along x.

    Returns:
        [N] in 0..1: the product over both axes of what lies within 8 px. Upstream takes the disc of that radius; the
        square holds a little more.
    """
    share = torch.ones(len(places), device=places.device)
    for axis, values in enumerate(logits.chunk(2, dim=-1)):
        centres = torch.arange(values.shape[-1], device=values.device) + 0.5
        near = (centres - places[:, axis : axis + 1]).abs() <= _RADIUS
        share = share * (F.softmax(values, dim=-1) * near).sum(dim=-1)
    return share

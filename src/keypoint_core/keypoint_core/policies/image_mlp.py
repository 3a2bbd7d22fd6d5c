"""Policies that look at colour, depth or a point cloud instead of keypoints: what keypoints are compared with.

A small encoder turns one picture into as many numbers as K keypoints have; from there on the network is that of
`keypoint_mlp`. Colour and depth pass through convolutions that end in K spatial soft-argmaxes (Levine et al., JMLR 2016),
clouds through a PointNet (Qi et al., CVPR 2017).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from keypoint_core.errors import CheckpointError, InputError, UnknownNameError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpSettings
from keypoint_core.types import ActionChunk, Frame, Intrinsics, Observation

RGB, DEPTH, POINT_CLOUD = "rgb", "depth", "point_cloud"
MODALITIES = (RGB, DEPTH, POINT_CLOUD)
_CHANNELS = (16, 32, 32)
_CLOUD = (64, 128)


@dataclass(frozen=True)
class ImageMlpSettings:
    """What the network looks at, and the network behind its encoder.

    Attributes:
        modality: one of MODALITIES.
        width, height: that pictures are shrunk to [px].
        near, far: depths between which something is looked at [m].
        cloud: points of a cloud.
        head: of the network behind; its keypoints are what the encoder makes of the picture, its history is one frame.
    """

    modality: str
    width: int
    height: int
    near: float
    far: float
    cloud: int
    head: KeypointMlpSettings

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise InputError(f"the modality is one of {', '.join(MODALITIES)}, got '{self.modality}'")
        if self.head.history != 1:
            raise InputError(f"policies that look at pictures see one frame, got a history of {self.head.history}")


@dataclass(frozen=True)
class Picture:
    """A frame as policies look at it and as training data keep it.

    Attributes:
        color: [h, w, 3] uint8, RGB.
        depth: [h, w] uint16 [mm], 0 where unknown.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]


def shrink(frame: Frame, width: int, height: int) -> Picture:
    """A frame at another size; depth is picked, not mixed.

    Raises:
        InputError: the frame has no depth.
    """
    if frame.depth is None:
        raise InputError("policies that look at pictures need depth beside colour; the frame has none")
    color = cv2.resize(frame.color, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    depth = cv2.resize(frame.depth, (width, height), interpolation=cv2.INTER_NEAREST)
    return Picture(color, np.nan_to_num(depth * 1e3).clip(0, 65535).astype(np.uint16))


class ImageMlp(nn.Module):
    """The network: pictures and joints -> normalised targets relative to the joint position.

    Args:
        settings: see there.
        intrinsics: of the camera before shrinking; clouds need them.
    """

    rays: Tensor

    def __init__(self, settings: ImageMlpSettings, intrinsics: Intrinsics) -> None:
        super().__init__()
        self.settings, self.intrinsics = settings, intrinsics
        self.head = KeypointMlp(settings.head)
        v, u = np.mgrid[0 : settings.height, 0 : settings.width]
        u, v = (
            (u + 0.5) * intrinsics.width / settings.width - 0.5,
            (v + 0.5) * intrinsics.height / settings.height - 0.5,
        )
        rays = np.stack([(u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy, np.ones_like(u)])
        self.register_buffer("rays", torch.tensor(rays.reshape(3, -1).T, dtype=torch.float32), persistent=False)
        points = settings.head.keypoints
        if settings.modality == POINT_CLOUD:
            widths = (3, *_CLOUD)
            layers = [
                layer for a, b in zip(widths[:-1], widths[1:], strict=True) for layer in (nn.Linear(a, b), nn.GELU())
            ]
            self.encoder = nn.Sequential(*layers)
            self.out: nn.Module = nn.Linear(_CLOUD[-1], 2 * points)
        else:
            first, second, third = _CHANNELS
            self.encoder = nn.Sequential(
                nn.Conv2d(3 if settings.modality == RGB else 2, first, 5, stride=2, padding=2),
                nn.GELU(),
                nn.Conv2d(first, second, 3, stride=2, padding=1),
                nn.GELU(),
                nn.Conv2d(second, third, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(third, points, 1),
            )
            self.out = nn.Identity()

    def forward(
        self, color: Tensor, depth: Tensor, joints: Tensor, gripper: Tensor | None = None, chance: Tensor | None = None
    ) -> Tensor:
        """Returns normalised targets [B, T, D + 1]; the last column is the gripper.

        Args:
            color: [B, h, w, 3] uint8 RGB.
            depth: [B, h, w] int32 [mm], 0 where unknown.
            joints: [B, 1, D] float32 [rad].
            gripper: [B, 1] float32, measured; where the settings ask for it.
            chance: [B, h w] float32, numbers by which points of the clouds are drawn; None takes evenly spaced ones.
        """
        modality = self.settings.modality
        if modality == POINT_CLOUD:
            features = self.out(self.encoder(self._cloud(depth, chance)).amax(dim=1))
        else:
            picture = self._color(color) if modality == RGB else self._depth(depth)
            features = _soft_argmax(self.encoder(picture))
        pixels = self._as_pixels(features.reshape(len(joints), 1, -1, 2))
        answer: Tensor = self.head(pixels, torch.ones_like(pixels), joints, gripper)
        return answer

    def _as_pixels(self, features: Tensor) -> Tensor:
        """Numbers about 0 as pixels, which the head then takes back to where they were."""
        s = self.settings.head
        return features * s.focal + features.new_tensor(s.centre)

    def _color(self, color: Tensor) -> Tensor:
        return (color.permute(0, 3, 1, 2).float() - 127.5) / 64.0

    def _depth(self, depth: Tensor) -> Tensor:
        """[B, 2, h, w]: where in the range, and whether known."""
        metres, known = self._metres(depth)
        middle, half = (self.settings.far + self.settings.near) / 2, (self.settings.far - self.settings.near) / 2
        return torch.stack([(metres - middle) / half * known, known], dim=1)

    def _metres(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        """[m], and 1 where it is known and in the range."""
        metres = depth.float() * 1e-3
        return metres, ((metres > self.settings.near) & (metres < self.settings.far)).float()

    def _cloud(self, depth: Tensor, chance: Tensor | None) -> Tensor:
        """[B, P, 3] points in the camera's frame, about 0; fewer known ones are repeated."""
        metres, known = (part.flatten(1) for part in self._metres(depth))
        if chance is None:
            golden = 0.6180339887498949  # evenly spread whatever part of the picture is known
            chance = (torch.arange(metres.shape[1]) * golden).frac().expand_as(metres)
        index = torch.topk(chance + 2.0 * known, self.settings.cloud, dim=1).indices
        there = known.gather(1, index)
        index = torch.where(there > 0, index, index[:, :1])
        points = self.rays[index] * metres.gather(1, index)[..., None]
        middle = points.new_tensor([0.0, 0.0, (self.settings.far + self.settings.near) / 2])
        return (points - middle) / (self.settings.far - self.settings.near) * 2


def _soft_argmax(scores: Tensor) -> Tensor:
    """[B, K, 2] expected place (x, y) in -1..1 of each channel of [B, K, h, w]."""
    weight = torch.softmax(scores.flatten(2), dim=2).reshape(scores.shape)
    y, x = (torch.linspace(-1, 1, size, dtype=scores.dtype) for size in scores.shape[2:])
    return torch.stack([(weight.sum(2) * x).sum(-1), (weight.sum(3) * y).sum(-1)], dim=-1)


class ImageMlpPolicy:
    """`Policy` around the network; takes observations with a frame. One thread and float32."""

    def __init__(self, network: ImageMlp) -> None:
        self.settings, self._network = network.settings, network.eval()

    @classmethod
    def load(cls, path: Path, settings: dict[str, Any]) -> ImageMlpPolicy:
        """Reads weights (safetensors) for the settings of a card.

        Raises:
            CheckpointError: the settings are malformed, or the weights do not fit them.
        """
        try:
            fields = {name: value for name, value in settings.items() if name != "intrinsics"}
            head: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v for name, v in fields.pop("head").items()
            }
            lens = dict(settings["intrinsics"])
            lens["distortion"] = tuple(lens.get("distortion", ()))
            network = ImageMlp(ImageMlpSettings(**fields, head=KeypointMlpSettings(**head)), Intrinsics(**lens))
            network.load_state_dict(load_file(path))
        except (
            KeyError,
            AttributeError,
            TypeError,
            RuntimeError,
            InputError,
            UnknownNameError,
            SafetensorError,
        ) as error:
            raise CheckpointError(f"{path}: weights and policy settings do not fit: {error}") from error
        return cls(network)

    def save(self, path: Path) -> dict[str, Any]:
        """Writes the weights and returns the settings for the card."""
        save_file(self._network.state_dict(), path)
        plain = asdict(self.settings)
        plain["head"] = {name: list(v) if isinstance(v, tuple) else v for name, v in plain["head"].items()}
        lens = asdict(self._network.intrinsics)
        return {**plain, "intrinsics": {**lens, "distortion": list(lens["distortion"])}}

    def reset(self) -> None:
        """There is nothing to forget."""

    def act(self, observation: Observation) -> ActionChunk:
        """Takes the observation of the newest frame.

        Raises:
            InputError: no frame, no depth, another number of joints than it was trained for, or no gripper though it was
                trained with one.
        """
        frame, state, s = observation.frame, observation.state, self.settings
        if frame is None:
            raise InputError("this policy looks at pictures; the observation has none")
        if state.position.shape != (s.head.joints,):
            raise InputError(f"policy takes {s.head.joints} joints, got {len(state.position)}")
        if s.head.gripper_input and not np.isfinite(state.gripper):
            raise InputError(f"policy needs the measured gripper, got {state.gripper}; name the gripper's joint")
        picture = shrink(frame, s.width, s.height)
        arrays = (
            picture.color[None],
            picture.depth[None].astype(np.int32),
            state.position[None, None].astype(np.float32),
        )
        color, depth, joints = (torch.from_numpy(array) for array in arrays)
        grip = torch.tensor([[state.gripper]], dtype=torch.float32) if s.head.gripper_input else None
        with torch.inference_mode():
            targets = self._network(color, depth, joints, grip)[0].numpy().astype(np.float64)
        positions = state.position + targets[:, :-1] * s.head.action_scale
        gripper = targets[:, -1] * s.head.gripper_scale + s.head.gripper_centre
        return ActionChunk(stamp=frame.stamp, dt=s.head.dt, positions=positions, gripper=gripper)

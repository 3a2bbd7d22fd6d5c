"""A small policy: a short history of keypoints and joint positions in, an action chunk out."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from keypoint_core.arms.description import ArmDescription, load_arm
from keypoint_core.errors import CheckpointError, InputError, UnknownNameError
from keypoint_core.policies.tool_features import ToolFeatures
from keypoint_core.types import ActionChunk, Observation


@dataclass(frozen=True)
class KeypointMlpSettings:
    """Shape and scales of the network.

    Attributes:
        keypoints: N.
        joints: D.
        history: H frames, newest first.
        horizon: T targets per chunk.
        dt: time between targets [s].
        hidden, layers: width and number of hidden layers.
        focal, centre: pixels are normalised to (pixel - centre) / focal [px].
        joint_centre, joint_scale: [D] joints are normalised to (q - centre) / scale [rad].
        action_scale: joint motion that counts as 1, past (older joint positions minus the newest) and to come [rad].
        gripper_centre, gripper_scale: the gripper is normalised to (g - centre) / scale, driver's unit.
        robot: the arm's name, whose kinematics tell the network where the tool is; empty for joint angles alone.
        gripper_input: whether the network is told the measured gripper, which a task that grasps needs.
    """

    keypoints: int
    joints: int
    history: int
    horizon: int
    dt: float
    hidden: int
    layers: int
    focal: float
    centre: tuple[float, float]
    joint_centre: tuple[float, ...]
    joint_scale: tuple[float, ...]
    action_scale: float
    gripper_centre: float
    gripper_scale: float
    robot: str = ""
    gripper_input: bool = False

    def __post_init__(self) -> None:
        if len(self.joint_centre) != self.joints or len(self.joint_scale) != self.joints:
            raise InputError(f"policy settings: {self.joints} joints need as many centres and scales")


class KeypointMlp(nn.Module):
    """The network: normalised history -> normalised targets relative to the newest joint position."""

    def __init__(self, settings: KeypointMlpSettings) -> None:
        super().__init__()
        self.settings = settings
        self.tool = ToolFeatures(_arm(settings)) if settings.robot else None
        inputs = settings.history * (3 * settings.keypoints + settings.joints)
        inputs += ToolFeatures.width(settings.history) if settings.robot else 0
        inputs += settings.history if settings.gripper_input else 0
        widths = [inputs, *[settings.hidden] * settings.layers]
        blocks = [self._block(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)]
        self.net = nn.Sequential(*blocks, nn.Linear(widths[-1], settings.horizon * (settings.joints + 1)))

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU())

    def forward(self, pixels: Tensor, flags: Tensor, joints: Tensor, gripper: Tensor | None = None) -> Tensor:
        """Returns normalised targets [B, T, D + 1]; the last column is the gripper.

        Args:
            pixels: [B, H, N, 2] float32 [px], newest first.
            flags: [B, H, N, 2] float32: seen since the start of the track, visible now.
            joints: [B, H, D] float32 [rad].
            gripper: [B, H] float32, measured, driver's unit; where the settings ask for it.

        Raises:
            InputError: no gripper where the settings ask for one.
        """
        s = self.settings
        normal = (pixels - pixels.new_tensor(s.centre)) / s.focal * flags[..., :1]
        posture = (joints[:, 0] - joints.new_tensor(s.joint_centre)) / joints.new_tensor(s.joint_scale)
        motion = (joints[:, 1:] - joints[:, :1]) / s.action_scale
        features = [normal.flatten(1), flags[..., 1].flatten(1), posture, motion.flatten(1)]
        if self.tool is not None:
            features.append(self.tool(joints))
        if s.gripper_input:
            features.append(self._gripper_features(gripper))
        return torch.reshape(self.net(torch.cat(features, dim=1)), (-1, s.horizon, s.joints + 1))

    def _gripper_features(self, gripper: Tensor | None) -> Tensor:
        """[B, H]: where the gripper is, and its motion since the older frames."""
        if gripper is None:
            raise InputError("this network takes the measured gripper; give its history [B, H]")
        s = self.settings
        place = (gripper[:, :1] - s.gripper_centre) / s.gripper_scale
        return torch.cat([place, (gripper[:, 1:] - gripper[:, :1]) / s.gripper_scale], dim=1)

    def normalise_targets(self, positions: Tensor, gripper: Tensor, joints: Tensor) -> Tensor:
        """[B, T, D + 1] from targets [B, T, D] [rad], gripper [B, T] and newest joints [B, D] [rad]."""
        relative = (positions - joints[:, None]) / self.settings.action_scale
        grip = (gripper - self.settings.gripper_centre) / self.settings.gripper_scale
        return torch.cat([relative, grip[..., None]], dim=-1)


def _arm(settings: KeypointMlpSettings) -> ArmDescription:
    arm = load_arm(settings.robot)
    if len(arm.joints) != settings.joints:
        raise InputError(f"policy settings: robot '{arm.name}' has {len(arm.joints)} joints, not {settings.joints}")
    return arm


class KeypointMlpPolicy:
    """`Policy` around the network. One thread and float32, so that equal observations give equal bits."""

    def __init__(self, network: KeypointMlp) -> None:
        self.settings = network.settings
        self._network = network.eval()
        self._history: deque[tuple[np.ndarray[Any, Any], ...]] = deque(maxlen=self.settings.history)
        self._seen = np.zeros(self.settings.keypoints, dtype=bool)

    @classmethod
    def load(cls, path: Path, settings: dict[str, Any]) -> KeypointMlpPolicy:
        """Reads weights (safetensors) for the settings of a card.

        Raises:
            CheckpointError: the settings are malformed, or the weights do not fit them.
        """
        try:
            fields: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
            }
            network = KeypointMlp(KeypointMlpSettings(**fields))
            network.load_state_dict(load_file(path))
        except (TypeError, RuntimeError, InputError, UnknownNameError, SafetensorError) as error:
            raise CheckpointError(f"{path}: weights and policy settings do not fit: {error}") from error
        return cls(network)

    def save(self, path: Path) -> dict[str, Any]:
        """Writes the weights and returns the settings for the card."""
        save_file(self._network.state_dict(), path)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self.settings).items()}

    def reset(self) -> None:
        """Forgets the history."""
        self._history.clear()
        self._seen[:] = False

    def act(self, observation: Observation) -> ActionChunk:
        """Takes the observation of the newest frame.

        Raises:
            InputError: another number of keypoints or joints than the policy was trained for, or no gripper though it
                was trained with one.
        """
        keypoints, state, s = observation.keypoints, observation.state, self.settings
        if len(keypoints) != s.keypoints or state.position.shape != (s.joints,):
            raise InputError(
                f"policy takes {s.keypoints} keypoints and {s.joints} joints, got {len(keypoints)} and {len(state.position)}"
            )
        if s.gripper_input and not np.isfinite(state.gripper):
            raise InputError(f"policy needs the measured gripper, got {state.gripper}; name the gripper's joint")
        self._seen |= keypoints.visible
        flags = np.stack([self._seen, keypoints.visible], axis=1).astype(np.float32)
        grip = np.array(state.gripper)
        self._history.appendleft((keypoints.pixels.copy(), flags, state.position.copy(), grip))
        while len(self._history) < s.history:
            self._history.append(self._history[-1])
        columns = (np.stack(column)[None].astype(np.float32) for column in zip(*self._history, strict=True))
        pixels, masks, joints, grips = (torch.from_numpy(column) for column in columns)
        with torch.inference_mode():
            output = self._network(pixels, masks, joints, *([grips] if s.gripper_input else []))[0]
        targets = output.numpy().astype(np.float64)
        positions = state.position + targets[:, :-1] * s.action_scale
        gripper = targets[:, -1] * s.gripper_scale + s.gripper_centre
        return ActionChunk(stamp=keypoints.stamp, dt=s.dt, positions=positions, gripper=gripper)

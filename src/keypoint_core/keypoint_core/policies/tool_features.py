"""Where the tool is, as network inputs: a small network on joint angles alone cannot resolve a millimetre."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from keypoint_core.arms.description import ArmDescription
from keypoint_core.types import Float64

_COARSE = 0.1  # distance that counts as 1 [m]
_WAVELENGTHS = (0.2, 0.05)  # of the fine position code [m]; a millimetre turns the finer one by 7 degrees
_MOTION = 0.01  # motion of the tool that counts as 1 [m]
_TILT = 0.1  # change of the tool's direction that counts as 1


class ToolFeatures(nn.Module):
    """Forward kinematics in batches, and what the network is told of the result.

    Position is given coarsely and as sine and cosine of two wavelengths (Tancik et al., NeurIPS 2020), then the
    direction of the tool and its motion since the older frames.

    Args:
        arm: whose tool it is.
    """

    origins: Tensor
    skews: Tensor
    tool: Tensor
    home: Tensor
    home_axis: Tensor

    def __init__(self, arm: ArmDescription) -> None:
        super().__init__()
        skews = np.stack([_skew(joint.axis) for joint in arm.joints])
        tables = {"origins": np.stack([joint.origin for joint in arm.joints]), "skews": skews, "tool": arm.tool}
        for name, table in tables.items():
            self.register_buffer(name, torch.tensor(table, dtype=torch.float32), persistent=False)
        position, axis = self.pose(torch.tensor(arm.home[None], dtype=torch.float32))
        self.register_buffer("home", position[0], persistent=False)
        self.register_buffer("home_axis", axis[0], persistent=False)

    @staticmethod
    def width(history: int) -> int:
        """Number of features for a history of that many frames."""
        return 3 + 2 * 3 * len(_WAVELENGTHS) + 3 + 3 * (history - 1)

    def forward(self, joints: Tensor) -> Tensor:
        """[B, F] features of joint positions [B, H, D] [rad], newest first."""
        batch, history, _ = joints.shape
        position, axis = self.pose(joints.flatten(0, 1))
        position, axis = position.reshape(batch, history, 3), axis.reshape(batch, history, 3)
        newest = position[:, 0] - self.home
        phases = [newest * (2 * math.pi / wavelength) for wavelength in _WAVELENGTHS]
        waves = [wave for phase in phases for wave in (torch.sin(phase), torch.cos(phase))]
        tilt = (axis[:, 0] - self.home_axis) / _TILT
        motion = (position[:, 1:] - position[:, :1]).flatten(1) / _MOTION
        return torch.cat([newest / _COARSE, *waves, tilt, motion], dim=1)

    def pose(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        """Tool centre point [B, 3] [m] and direction of the tool's z axis [B, 3] in the base frame."""
        rotation = torch.eye(3).expand(len(joints), 3, 3)
        position = torch.zeros(len(joints), 3)
        for i in range(joints.shape[1]):
            origin, skew, angle = self.origins[i], self.skews[i], joints[:, i, None, None]
            position = position + rotation @ origin[:3, 3]
            turn = torch.eye(3) + torch.sin(angle) * skew + (1 - torch.cos(angle)) * (skew @ skew)  # Rodrigues
            rotation = rotation @ (origin[:3, :3] @ turn)
        return position + rotation @ self.tool[:3, 3], rotation @ self.tool[:3, 2]


def _skew(axis: Float64) -> Float64:
    x, y, z = axis
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])

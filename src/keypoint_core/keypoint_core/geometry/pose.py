"""Rigid poses as they travel: position and quaternion, with one way to make a matrix of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from keypoint_core.errors import InputError
from keypoint_core.types import Float64


@dataclass(frozen=True)
class Pose:
    """A frame in another one.

    Whoever is handed the same numbers gets the same matrix to the last bit, so poses are passed on as these numbers.

    Attributes:
        position: x, y, z [m].
        quaternion: x, y, z, w, of any length but 0.
    """

    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        values = np.array([*self.position, *self.quaternion])
        if not np.isfinite(values).all() or not np.any(values[3:]):
            raise InputError(f"a pose needs finite numbers and a quaternion that is not 0, got {values.tolist()}")

    @property
    def matrix(self) -> Float64:
        """[4, 4]."""
        return rigid(Rotation.from_quat(self.quaternion), np.array(self.position))

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> Pose:
        """Of a rigid transform [4, 4]."""
        pose = np.asarray(matrix, dtype=np.float64)
        if pose.shape != (4, 4):
            raise InputError(f"a rigid transform is [4, 4], got {pose.shape}")
        x, y, z = (float(value) for value in pose[:3, 3])
        a, b, c, d = (float(value) for value in Rotation.from_matrix(pose[:3, :3]).as_quat())
        return cls((x, y, z), (a, b, c, d))


def rigid(rotation: Rotation, translation: Float64) -> Float64:
    """[4, 4] of a rotation and a translation [3] [m]."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.as_matrix(), translation
    return pose


def inverse(pose: Float64) -> Float64:
    """[4, 4] of a rigid transform [4, 4]."""
    result = np.eye(4)
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def difference(first: Float64, second: Float64) -> tuple[float, float]:
    """How far two rigid transforms [4, 4] are apart: distance [m] and angle [rad]."""
    between = inverse(first) @ second
    return float(np.linalg.norm(between[:3, 3])), float(Rotation.from_matrix(between[:3, :3]).magnitude())

"""Kinematics of a serial chain of revolute joints."""

from __future__ import annotations

import numpy as np

from keypoint_core.arms.description import ArmDescription
from keypoint_core.types import Float64


class SerialChain:
    """Forward kinematics and Jacobian of an arm; frames are relative to its base."""

    def __init__(self, arm: ArmDescription) -> None:
        self._origins = [joint.origin for joint in arm.joints]
        self._axes = [joint.axis for joint in arm.joints]
        self._skews = [_skew(axis) for axis in self._axes]
        self._tool = arm.tool

    def joint_frames(self, position: Float64) -> Float64:
        """Pose of every joint frame, after its rotation: [D, 4, 4] for positions [D] [rad]."""
        frames = np.empty((len(self._origins), 4, 4))
        pose = np.eye(4)
        for i, (origin, skew) in enumerate(zip(self._origins, self._skews, strict=True)):
            rotation = np.eye(4)
            rotation[:3, :3] += np.sin(position[i]) * skew + (1 - np.cos(position[i])) * (skew @ skew)  # Rodrigues
            pose = pose @ origin @ rotation
            frames[i] = pose
        return frames

    def tool_pose(self, position: Float64) -> Float64:
        """Pose of the tool centre point, [4, 4], for positions [D] [rad]."""
        return np.asarray(self.joint_frames(position)[-1] @ self._tool)

    def tool_position(self, position: Float64) -> Float64:
        """Tool centre point [3] [m] for positions [D] [rad]."""
        return np.asarray(self.tool_pose(position)[:3, 3])

    def tool_positions(self, positions: Float64) -> Float64:
        """Tool centre points [N, 3] [m] for N postures [N, D] [rad]."""
        poses = np.broadcast_to(np.eye(4), (len(positions), 4, 4))
        for i, (origin, skew) in enumerate(zip(self._origins, self._skews, strict=True)):
            angle = positions[:, i, None, None]
            rotations = np.broadcast_to(np.eye(4), poses.shape).copy()
            rotations[:, :3, :3] += np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew)
            poses = poses @ origin @ rotations
        return np.asarray((poses @ self._tool)[:, :3, 3])

    def jacobian(self, position: Float64) -> Float64:
        """[6, D]: linear [m/rad] over angular velocity of the tool centre point."""
        frames = self.joint_frames(position)
        tip = (frames[-1] @ self._tool)[:3, 3]
        jacobian = np.empty((6, len(frames)))
        for i, (frame, axis) in enumerate(zip(frames, self._axes, strict=True)):
            direction = frame[:3, :3] @ axis
            jacobian[:3, i] = np.cross(direction, tip - frame[:3, 3])
            jacobian[3:, i] = direction
        return jacobian


def _skew(axis: Float64) -> Float64:
    x, y, z = axis
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])

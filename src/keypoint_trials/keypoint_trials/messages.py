"""ROS messages made without ROS, serialised as they travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.store import Typestore

from keypoint_core.types import SECOND, ActionChunk, Frame, Intrinsics, RobotState


class MessageMaker:
    """Serialised messages; stamps are of the trial's clock [ns].

    Args:
        store: knows the types.
    """

    def __init__(self, store: Typestore) -> None:
        self.store = store

    def make(self, msgtype: str, **fields: Any) -> Any:
        """A message from all its fields."""
        return self.store.types[msgtype](**fields)

    def pack(self, message: Any) -> bytes:
        """Serialised (CDR)."""
        return bytes(self.store.serialize_cdr(message, message.__msgtype__))

    def time(self, stamp: int) -> Any:
        """builtin_interfaces/Time."""
        return self.make("builtin_interfaces/msg/Time", sec=stamp // SECOND, nanosec=stamp % SECOND)

    def header(self, stamp: int, frame_id: str = "") -> Any:
        """std_msgs/Header."""
        return self.make("std_msgs/msg/Header", stamp=self.time(stamp), frame_id=frame_id)

    def image(self, stamp: int, pixels: NDArray[Any], encoding: str, frame_id: str = "") -> bytes:
        """sensor_msgs/Image of [H, W, ...]."""
        data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
        height, width = pixels.shape[:2]
        header, step = self.header(stamp, frame_id), len(data) // height
        fields = {"height": height, "width": width, "encoding": encoding, "is_bigendian": 0, "step": step}
        return self.pack(self.make("sensor_msgs/msg/Image", header=header, data=data, **fields))

    def camera_info(self, stamp: int, intrinsics: Intrinsics) -> bytes:
        """sensor_msgs/CameraInfo of a rectified or distorted camera."""
        k = intrinsics
        matrix = np.array([k.fx, 0, k.cx, 0, k.fy, k.cy, 0, 0, 1])
        roi = self.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        message = self.make(
            "sensor_msgs/msg/CameraInfo",
            header=self.header(stamp),
            height=k.height,
            width=k.width,
            distortion_model="plumb_bob",
            d=np.array(k.distortion or np.zeros(5), dtype=np.float64),
            k=matrix,
            r=np.eye(3).ravel(),
            p=np.insert(matrix, (3, 6, 9), 0.0),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )
        return self.pack(message)

    def joint_state(self, stamp: int, names: Sequence[str], position: NDArray[Any], velocity: NDArray[Any]) -> bytes:
        """sensor_msgs/JointState."""
        message = self.make(
            "sensor_msgs/msg/JointState",
            header=self.header(stamp),
            name=list(names),
            position=np.asarray(position, dtype=np.float64),
            velocity=np.asarray(velocity, dtype=np.float64),
            effort=np.zeros(0),
        )
        return self.pack(message)

    def action(self, chunk: ActionChunk, commander: str, joints: Sequence[str], gripper: str) -> bytes:
        """trajectory_msgs/JointTrajectory of a chunk, and of the gripper where there is one."""
        rows = np.column_stack([chunk.positions, chunk.gripper]) if gripper else chunk.positions
        points = []
        for i, row in enumerate(rows):
            ahead = round((i + 1) * chunk.dt * SECOND)
            since = self.make("builtin_interfaces/msg/Duration", sec=ahead // SECOND, nanosec=ahead % SECOND)
            none = {name: np.zeros(0) for name in ("velocities", "accelerations", "effort")}
            point = "trajectory_msgs/msg/JointTrajectoryPoint"
            points.append(self.make(point, positions=row.astype(np.float64), time_from_start=since, **none))
        names = [*joints, gripper] if gripper else list(joints)
        header = self.header(chunk.stamp, commander)
        return self.pack(
            self.make("trajectory_msgs/msg/JointTrajectory", header=header, joint_names=names, points=points)
        )

    def trial_state(self, stamp: int, trial: str, phase: int, elapsed: float = 0.0) -> bytes:
        """keypoint_interfaces/TrialState of a trial without keypoints."""
        message = self.make(
            "keypoint_interfaces/msg/TrialState",
            header=self.header(stamp),
            trial=trial,
            phase=phase,
            elapsed=elapsed,
            keypoints_visible=0,
            keypoints_total=0,
            message="",
        )
        return self.pack(message)

    def task_status(self, stamp: int, seed: int, outcome: int, reason: str, elapsed: float) -> bytes:
        """keypoint_interfaces/TaskStatus."""
        message = self.make(
            "keypoint_interfaces/msg/TaskStatus",
            header=self.header(stamp),
            seed=seed,
            outcome=outcome,
            reason=reason,
            elapsed=elapsed,
        )
        return self.pack(message)

    def frame(self, frame: Frame) -> tuple[bytes, bytes | None]:
        """Colour and depth of a frame as sensor_msgs/Image (rgb8, 32FC1)."""
        color = self.image(frame.stamp, frame.color, "rgb8", frame.frame_id)
        depth = None if frame.depth is None else self.image(frame.stamp, frame.depth, "32FC1", frame.frame_id)
        return color, depth

    def robot_state(self, state: RobotState, joints: Sequence[str], gripper: str) -> bytes:
        """sensor_msgs/JointState of an arm, and of its gripper where it has one."""
        if not gripper:
            return self.joint_state(state.stamp, joints, state.position, state.velocity)
        position, velocity = np.append(state.position, state.gripper), np.append(state.velocity, np.nan)
        return self.joint_state(state.stamp, [*joints, gripper], position, velocity)

"""Messages <-> the dataclasses of keypoint_core."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from keypoint_core.errors import InputError
from keypoint_core.geometry.pose import Pose
from keypoint_core.types import SECOND, ActionChunk, Float64, Intrinsics, Keypoints, RobotState

_DEPTH_MILLIMETRES = ("16UC1", "mono16")
_DISTORTIONS = ("plumb_bob", "rational_polynomial")
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_TO_RGB = {  # NumPy takes twenty times as long
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}


def to_stamp(nanoseconds: int) -> Time:
    """Time message from nanoseconds."""
    seconds, rest = divmod(int(nanoseconds), SECOND)
    return Time(sec=seconds, nanosec=rest)


def from_stamp(time: Time) -> int:
    """Nanoseconds from a Time message."""
    return int(time.sec) * SECOND + int(time.nanosec)


def to_header(stamp: int, frame_id: str = "") -> Header:
    """Header with a stamp in nanoseconds."""
    return Header(stamp=to_stamp(stamp), frame_id=frame_id)


def to_image(image: np.ndarray, encoding: str, stamp: int, frame_id: str) -> Image:
    """Image message from [H, W] float32 ("32FC1"), [H, W] uint16 ("16UC1") or [H, W, 3] uint8 ("rgb8", "bgr8")."""
    data = array("B")
    data.frombytes(memoryview(np.ascontiguousarray(image)).cast("B"))  # assigning an ndarray takes 100 times as long
    message = Image(header=to_header(stamp, frame_id), encoding=encoding)
    message.height, message.width = image.shape[:2]
    message.step = image.shape[1] * image.dtype.itemsize * (image.shape[2] if image.ndim == 3 else 1)
    message.data = data
    return message


def color_from_image(message: Image) -> np.ndarray:
    """[H, W, 3] uint8 RGB from rgb8, bgr8, rgba8, bgra8 or mono8; a view where the message allows it.

    Raises:
        InputError: another encoding, or less data than the size needs.
    """
    pixels, code = color_pixels(message), _TO_RGB.get(message.encoding)
    return np.ascontiguousarray(pixels) if code is None else np.asarray(cv2.cvtColor(pixels, code))


def depth_from_image(message: Image) -> np.ndarray:
    """[H, W] float32 [m], NaN where invalid, from 32FC1 [m] or 16UC1 [mm, 0 invalid] (REP-118).

    Raises:
        InputError: another encoding, or less data than the size needs.
    """
    pixels = depth_pixels(message)
    depth = pixels.astype(np.float32)
    if message.encoding == "32FC1":
        depth[~((depth > 0) & (depth < np.inf))] = np.nan
        return depth
    return np.where(depth > 0, depth * np.float32(1e-3), np.float32(np.nan))


def color_pixels(message: Image) -> np.ndarray:
    """[H, W, channels] uint8 view of a colour image, as it is encoded; costs nothing. Errors as `color_from_image`."""
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise InputError(f"colour image: expected one of {', '.join(_CHANNELS)}, got '{message.encoding}'")
    return _rows(message, np.dtype(np.uint8), channels)


def depth_pixels(message: Image) -> np.ndarray:
    """[H, W] view of a depth image, as it is encoded; costs nothing. Errors as `depth_from_image`."""
    kind = "f4" if message.encoding == "32FC1" else "u2"
    if kind == "u2" and message.encoding not in _DEPTH_MILLIMETRES:
        raise InputError(f"depth image: expected 32FC1 [m] or 16UC1 [mm], got '{message.encoding}'")
    return _rows(message, np.dtype((">" if message.is_bigendian else "<") + kind), 1)[..., 0]


def _rows(message: Image, dtype: np.dtype, channels: int) -> np.ndarray:
    """[H, W, channels] view that respects the row stride."""
    width = message.width * channels * dtype.itemsize
    if width * message.height == 0 or message.step < width or len(message.data) < message.step * message.height:
        raise InputError(
            f"image {message.width}x{message.height} {message.encoding}: needs rows of {width} bytes, "
            f"got step {message.step} and {len(message.data)} bytes"
        )
    raw = np.frombuffer(message.data, np.uint8, message.step * message.height).reshape(message.height, message.step)
    return raw[:, :width].view(dtype).reshape(message.height, message.width, channels)


def to_camera_info(intrinsics: Intrinsics, stamp: int, frame_id: str) -> CameraInfo:
    """CameraInfo of an unrectified camera with its distortion."""
    model = "rational_polynomial" if len(intrinsics.distortion) == 8 else "plumb_bob"
    matrix = intrinsics.matrix
    projection = np.hstack([matrix, np.zeros((3, 1))])
    return CameraInfo(
        header=to_header(stamp, frame_id),
        width=intrinsics.width,
        height=intrinsics.height,
        distortion_model=model,
        d=list(intrinsics.distortion) or [0.0] * 5,
        k=matrix.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )


def from_camera_info(message: CameraInfo) -> Intrinsics:
    """Intrinsics; distortion that is all zero counts as none.

    Raises:
        InputError: not calibrated, or distorted in another way than OpenCV's rational model says.
    """
    if any(message.d) and message.distortion_model not in _DISTORTIONS:
        raise InputError(
            f"camera_info: expected distortion {' or '.join(_DISTORTIONS)}, got '{message.distortion_model}'; "
            "publish rectified images"
        )
    k = message.k
    distortion = tuple(float(value) for value in message.d) if any(message.d) else ()
    return Intrinsics(message.width, message.height, float(k[0]), float(k[4]), float(k[2]), float(k[5]), distortion)


def to_keypoints(keypoints: Keypoints, frame_id: str, size: tuple[int, int]) -> KeypointsMsg:
    """Keypoints message; size is the image's (width, height)."""
    message = KeypointsMsg(header=to_header(keypoints.stamp, frame_id), image_width=size[0], image_height=size[1])
    message.ids = array("i", keypoints.ids.tolist())
    message.u, message.v = _floats(keypoints.pixels[:, 0]), _floats(keypoints.pixels[:, 1])
    message.confidence = _floats(keypoints.confidence)
    message.status = array("B", keypoints.status.tolist())
    if not np.isnan(keypoints.points).all():
        message.x, message.y, message.z = (_floats(keypoints.points[:, axis]) for axis in range(3))
    if keypoints.camera_pose is not None:
        message.camera_pose = keypoints.camera_pose.ravel()
    return message


def from_keypoints(message: KeypointsMsg) -> Keypoints:
    """Keypoints dataclass; raises InputError when lengths differ, or pixels or the camera's pose are not what they say."""
    n = len(message.ids)
    lengths = [len(values) for values in (message.u, message.v, message.confidence, message.status)]
    depths = [len(values) for values in (message.x, message.y, message.z)]
    if lengths != [n] * 4 or depths not in ([0] * 3, [n] * 3):
        raise InputError(
            f"keypoints message: {n} ids, but u, v, confidence, status have {lengths} entries and x, y, z {depths}"
        )
    points = np.full((n, 3), np.nan, dtype=np.float32)
    if depths[0]:
        points = np.stack([message.x, message.y, message.z], axis=1).astype(np.float32)
    return Keypoints(
        stamp=from_stamp(message.header.stamp),
        ids=np.array(message.ids, dtype=np.int32),
        pixels=np.stack([message.u, message.v], axis=1).astype(np.float32).reshape(n, 2),
        confidence=np.array(message.confidence, dtype=np.float32),
        status=np.array(message.status, dtype=np.uint8),
        points=points,
        camera_pose=_camera_pose(message),
    )


def to_pose(pose: Pose, stamp: int, frame_id: str) -> PoseStamped:
    """PoseStamped of a pose in the frame `frame_id`."""
    message = PoseStamped(header=to_header(stamp, frame_id))
    place, turn = message.pose.position, message.pose.orientation
    place.x, place.y, place.z = pose.position
    turn.x, turn.y, turn.z, turn.w = pose.quaternion
    return message


def from_pose(message: PoseStamped) -> Pose:
    """Pose, with the very numbers of the message; raises InputError where they are none."""
    place, turn = message.pose.position, message.pose.orientation
    return Pose((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))


def to_joint_state(state: RobotState, joints: Sequence[str], gripper: str, frame_id: str) -> JointState:
    """JointState with the gripper, where there is one, as its last joint."""
    message = JointState(header=to_header(state.stamp, frame_id), name=list(joints))
    message.position, message.velocity = state.position.tolist(), state.velocity.tolist()
    message.effort = state.effort.tolist()
    if gripper:
        message.name = [*joints, gripper]
        message.position.append(float(state.gripper))
        message.velocity.append(math.nan)
        message.effort.append(math.nan)
    return message


def from_joint_state(message: JointState, joints: Sequence[str], gripper: str) -> RobotState:
    """RobotState of the named joints, wherever they stand in the message; raises InputError naming those that lack."""
    rows = {name: i for i, name in enumerate(message.name)}
    missing = [name for name in joints if name not in rows]
    if missing or len(message.position) != len(message.name):
        raise InputError(f"joint_states: expected {list(joints)}, got {list(message.name)}")

    def pick(values: Sequence[float]) -> Float64:
        known = len(values) == len(message.name)
        return np.array([values[rows[name]] if known else math.nan for name in joints], dtype=np.float64)

    grip = float(message.position[rows[gripper]]) if gripper in rows else math.nan
    stamp = from_stamp(message.header.stamp)
    return RobotState(stamp, pick(message.position), pick(message.velocity), pick(message.effort), grip)


def to_trajectory(chunk: ActionChunk, joints: Sequence[str], gripper: str, commander: str) -> JointTrajectory:
    """JointTrajectory: header.stamp is the exposure, frame_id the commander, points reach (i + 1) * dt after the stamp."""
    message = JointTrajectory(header=to_header(chunk.stamp, commander))
    message.joint_names = [*joints, gripper] if gripper else list(joints)
    for i, position in enumerate(chunk.positions):
        point = JointTrajectoryPoint(positions=position.tolist())
        if gripper:
            point.positions.append(float(chunk.gripper[i]))
        end = (i + 1) * round(chunk.dt * SECOND)
        point.time_from_start.sec, point.time_from_start.nanosec = divmod(end, SECOND)
        message.points.append(point)
    return message


def from_trajectory(message: JointTrajectory, joints: Sequence[str], gripper: str) -> ActionChunk:
    """ActionChunk of the named joints.

    Raises:
        InputError: joints lack or come twice, points are ragged or not evenly spaced.
    """
    rows = {name: i for i, name in enumerate(message.joint_names)}
    missing = [name for name in joints if name not in rows]
    if missing or len(rows) != len(message.joint_names):
        raise InputError(f"action: expected joints {list(joints)}, got {list(message.joint_names)}")
    if not message.points or any(len(point.positions) != len(rows) for point in message.points):
        raise InputError(
            f"action: expected points of {len(rows)} positions each, got {[len(p.positions) for p in message.points]}"
        )
    ends = [p.time_from_start.sec * SECOND + p.time_from_start.nanosec for p in message.points]
    dt = ends[0]
    if dt <= 0 or any(abs(end - (i + 1) * dt) > 1000 * len(ends) for i, end in enumerate(ends)):
        raise InputError(f"action: expected evenly spaced points after the stamp, got {ends} ns")
    table = np.array([point.positions for point in message.points], dtype=np.float64)
    grip = table[:, rows[gripper]] if gripper in rows else np.full(len(table), math.nan)
    positions = table[:, [rows[name] for name in joints]]
    return ActionChunk(from_stamp(message.header.stamp), dt / SECOND, positions, grip)


def _camera_pose(message: KeypointsMsg) -> Float64 | None:
    """[4, 4]; None where nobody knows it."""
    pose = np.array(message.camera_pose, dtype=np.float64).reshape(4, 4)
    if not pose.any():
        return None
    turn = pose[:3, :3]
    if not np.isfinite(pose).all() or np.abs(turn @ turn.T - np.eye(3)).max() > 1e-6 or (pose[3] != (0, 0, 0, 1)).any():
        raise InputError(f"keypoints message: camera_pose must be a rigid transform or all 0, got {pose.tolist()}")
    return pose


def _floats(values: np.ndarray) -> array:
    return array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())

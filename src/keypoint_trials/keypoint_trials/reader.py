"""Reads the bag of a trial into arrays. Needs no ROS: a bag brings its message definitions along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader, AnyReaderError

from keypoint_core.types import SECOND, ActionChunk, Float32, Float64, Intrinsics, Keypoints
from keypoint_trials.bag import BagError
from keypoint_trials.images import decode_depth, decode_jpeg

COLOR = "camera/color/image_raw/compressed"
DEPTH = "camera/depth_registered/image_raw"
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class ColorFrames:
    """Colour images of a bag, decoded when asked for.

    Attributes:
        stamps: [K] int64, exposures [ns], ascending.
        times: [K] int64, when they were received [ns of the system clock].
        files: K JPEG files [n] uint8.
    """

    stamps: Int64
    times: Int64
    files: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Image [H, W, 3] uint8, RGB."""
        return decode_jpeg(self.files[index])


@dataclass(frozen=True)
class JointSamples:
    """joint_states of a bag: K samples of D joints.

    Attributes:
        stamps: [K] int64 [ns].
        names: D joint names.
        position, velocity: [K, D] float64 [rad], [rad/s]; NaN where not published.
    """

    stamps: Int64
    names: tuple[str, ...]
    position: Float64
    velocity: Float64


@dataclass(frozen=True)
class ArmSample:
    """One arm/state; joint arrays [D] float64 [rad]. See ArmState.msg."""

    stamp: int
    time: int
    mode: int
    reasons: tuple[int, ...]
    message: str
    commander: str
    joint_names: tuple[str, ...]
    position: Float64
    commanded: Float64
    applied: Float64
    gripper: float
    gripper_applied: float
    observation: int


@dataclass(frozen=True)
class TrialSample:
    """One trial/state. See TrialState.msg; `time` is when it was received [ns of the system clock]."""

    stamp: int
    time: int
    trial: str
    phase: int
    elapsed: float
    visible: int
    total: int
    message: str


@dataclass(frozen=True)
class TaskSample:
    """One task/status. See TaskStatus.msg."""

    stamp: int
    outcome: int
    reason: str
    elapsed: float


@dataclass(frozen=True)
class Timing:
    """One stage at work on one frame. See StageTiming.msg; `received`, `finished` [ns of the system clock]."""

    stamp: int
    stage: str
    received: int
    finished: int
    compute: float


@dataclass(frozen=True)
class TrialBag:
    """All that a bag holds except depth, which `iterate_depth` reads frame by frame. Everything in order of arrival."""

    folder: Path
    frames: ColorFrames
    intrinsics: Intrinsics | None
    keypoints: tuple[Keypoints, ...]
    actions: tuple[ActionChunk, ...]
    joints: JointSamples
    arm: tuple[ArmSample, ...]
    states: tuple[TrialSample, ...]
    tasks: tuple[TaskSample, ...]
    timings: tuple[Timing, ...]


def read_trial(folder: Path) -> TrialBag:
    """Reads a bag.

    Args:
        folder: of the bag.

    Raises:
        BagError: it is no bag, or was cut off; the message says what to do.
    """
    messages: dict[str, list[tuple[int, Any]]] = {}
    for topic, time, message in iterate(folder, leave_out=(DEPTH,)):
        messages.setdefault(topic, []).append((time, message))
    arm = tuple(_arm(time, message) for time, message in messages.get("arm/state", []))
    names = arm[-1].joint_names if arm else ()
    infos = messages.get("camera/color/camera_info", [])
    return TrialBag(
        folder=folder,
        frames=_frames(messages.get(COLOR, [])),
        intrinsics=intrinsics_of(infos[-1][1]) if infos else None,
        keypoints=tuple(_keypoints(message) for _, message in messages.get("perception/keypoints", [])),
        actions=tuple(_action(message, names) for _, message in messages.get("policy/action", [])),
        joints=_joints(messages.get("joint_states", [])),
        arm=arm,
        states=tuple(_state(time, message) for time, message in messages.get("trial/state", [])),
        tasks=tuple(
            TaskSample(stamp_of(message), message.outcome, message.reason, message.elapsed)
            for _, message in messages.get("task/status", [])
        ),
        timings=tuple(_timing(message) for _, message in messages.get("timing", [])),
    )


def iterate(
    folder: Path, only: tuple[str, ...] = (), leave_out: tuple[str, ...] = ()
) -> Iterator[tuple[str, int, Any]]:
    """Yields topic, log time [ns] and message in order of arrival.

    Args:
        folder: of the bag.
        only: topics to read; empty for all.
        leave_out: topics not to read.

    Topics are named as in `topics.RECORDED`, without the namespace that the graph ran in.

    Raises:
        BagError: it is no bag, or was cut off.
    """
    try:
        with AnyReader([folder]) as reader:
            root = _root(reader)
            names = {connection.id: _relative(connection.topic, root) for connection in reader.connections}
            wanted = [
                connection
                for connection in reader.connections
                if names[connection.id] not in leave_out and (not only or names[connection.id] in only)
            ]
            for connection, time, data in reader.messages(wanted) if wanted else ():
                yield names[connection.id], time, reader.deserialize(data, connection.msgtype)
    except (AnyReaderError, OSError) as error:
        raise BagError(f"cannot read the bag {folder}: {error}; a bag that was cut off needs `recover`") from error


def iterate_depth(folder: Path) -> Iterator[tuple[int, Float32]]:
    """Yields exposure [ns] and depth [H, W] float32 [m], NaN where invalid."""
    for _, _, message in iterate(folder, only=(DEPTH,)):
        yield stamp_of(message), decode_depth(message)


def nanoseconds(time: Any) -> int:
    """builtin_interfaces/Time as integer nanoseconds."""
    return time.sec * SECOND + time.nanosec


def stamp_of(message: Any) -> int:
    """Header stamp of a message [ns]."""
    return nanoseconds(message.header.stamp)


def _root(reader: AnyReader) -> str:
    """Namespace that the graph ran in, ending in a slash; told by the topic every bag announces."""
    for connection in reader.connections:
        if connection.topic.endswith("/trial/state"):
            return connection.topic[: -len("trial/state")]
    return "/"


def _relative(topic: str, root: str) -> str:
    return topic[len(root) :] if topic.startswith(root) else topic


def _frames(messages: list[tuple[int, Any]]) -> ColorFrames:
    stamps = np.array([stamp_of(message) for _, message in messages], dtype=np.int64)
    times = np.array([time for time, _ in messages], dtype=np.int64)
    order = np.argsort(stamps, kind="stable")
    return ColorFrames(stamps[order], times[order], tuple(messages[index][1].data for index in order))


def intrinsics_of(info: Any) -> Intrinsics:
    """Intrinsics from a sensor_msgs/CameraInfo."""
    distortion = tuple(float(value) for value in info.d)
    return Intrinsics(
        width=info.width,
        height=info.height,
        fx=float(info.k[0]),
        fy=float(info.k[4]),
        cx=float(info.k[2]),
        cy=float(info.k[5]),
        distortion=distortion if any(distortion) else (),
    )


def _keypoints(message: Any) -> Keypoints:
    count = len(message.ids)
    if len(message.x) == count:
        points = np.stack([message.x, message.y, message.z], axis=1)
    else:
        points = np.full((count, 3), np.nan, np.float32)
    pose = np.array(getattr(message, "camera_pose", ()), dtype=np.float64).reshape(-1, 4)  # older bags have none
    return Keypoints(
        stamp=stamp_of(message),
        ids=message.ids,
        pixels=np.stack([message.u, message.v], axis=1),
        confidence=message.confidence,
        status=message.status,
        points=points,
        camera_pose=pose if pose.any() else None,
    )


def _action(message: Any, arm_joints: tuple[str, ...]) -> ActionChunk:
    """Splits the arm's joints from the gripper by the names in arm/state; without those all belong to the arm."""
    names = list(message.joint_names)
    columns = [index for index, name in enumerate(names) if not arm_joints or name in arm_joints]
    others = [index for index in range(len(names)) if index not in columns]
    rows = np.array([point.positions for point in message.points], dtype=np.float64).reshape(-1, len(names))
    end = nanoseconds(message.points[-1].time_from_start) / SECOND if len(rows) else 0.0
    return ActionChunk(
        stamp=stamp_of(message),
        dt=end / max(len(rows), 1),
        positions=rows[:, columns],
        gripper=rows[:, others[0]] if others else np.full(len(rows), np.nan),
    )


def _joints(messages: list[tuple[int, Any]]) -> JointSamples:
    names = tuple(messages[0][1].name) if messages else ()

    def column(field: str) -> Float64:
        values = [getattr(message, field) for _, message in messages]
        empty = np.full(len(names), np.nan)
        return np.array([row if len(row) == len(names) else empty for row in values]).reshape(len(values), len(names))

    stamps = np.array([stamp_of(message) for _, message in messages], dtype=np.int64)
    return JointSamples(stamps, names, column("position"), column("velocity"))


def _arm(time: int, message: Any) -> ArmSample:
    return ArmSample(
        stamp=stamp_of(message),
        time=time,
        mode=message.mode,
        reasons=tuple(int(reason) for reason in message.reasons),
        message=message.message,
        commander=message.commander,
        joint_names=tuple(message.joint_names),
        position=message.position,
        commanded=message.commanded_position,
        applied=message.applied_position,
        gripper=message.gripper_position,
        gripper_applied=message.gripper_applied,
        observation=nanoseconds(message.observation),
    )


def _state(time: int, message: Any) -> TrialSample:
    return TrialSample(
        stamp=stamp_of(message),
        time=time,
        trial=message.trial,
        phase=message.phase,
        elapsed=message.elapsed,
        visible=message.keypoints_visible,
        total=message.keypoints_total,
        message=message.message,
    )


def _timing(message: Any) -> Timing:
    return Timing(
        stamp=stamp_of(message),
        stage=message.stage,
        received=nanoseconds(message.received),
        finished=nanoseconds(message.finished),
        compute=message.compute,
    )

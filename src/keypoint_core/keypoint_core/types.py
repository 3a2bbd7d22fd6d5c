"""The data that flows through the stack, as frozen dataclasses.

Stamps are integer nanoseconds of the clock the data was captured on, so that they compare exactly and survive ROS.
Pixels follow one convention: (0, 0) is the centre of the top-left pixel, u to the right, v down.
Frames follow REP-103: the colour optical frame has x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
SECOND = 1_000_000_000  # nanoseconds


class KeypointStatus(IntEnum):
    """What the tracker knows about one keypoint; the numbers are those of Keypoints.msg."""

    VISIBLE = 0
    OCCLUDED = 1
    LOST = 2
    OUT_OF_VIEW = 3


class ArmMode(IntEnum):
    """What the arm does; the numbers are those of ArmState.msg."""

    HOLD = 0
    FOLLOW = 1
    HOME = 2
    STOPPED = 3


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera with OpenCV's rational distortion.

    Attributes:
        width, height: image size [px].
        fx, fy, cx, cy: focal lengths and principal point [px], in the pixel-centre convention.
        distortion: k1 k2 p1 p2 k3 k4 k5 k6 (OpenCV's rational model); empty for none.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0 or self.fx <= 0 or self.fy <= 0:
            raise InputError(f"intrinsics need positive size and focal lengths, got {self}")
        if len(self.distortion) not in (0, 4, 5, 8):
            raise InputError(f"distortion needs 0, 4, 5 or 8 coefficients, got {len(self.distortion)}")

    @property
    def matrix(self) -> Float64:
        """The camera matrix [3, 3]."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True)
class Frame:
    """One exposure of the camera.

    Attributes:
        stamp: exposure [ns].
        color: [H, W, 3] uint8, RGB.
        depth: [H, W] float32 [m], registered to colour, NaN where invalid; None without a depth sensor.
        intrinsics: of the colour camera.
        frame_id: name of the colour optical frame.
    """

    stamp: int
    color: NDArray[np.uint8]
    depth: Float32 | None
    intrinsics: Intrinsics
    frame_id: str = "camera_color_optical_frame"

    def __post_init__(self) -> None:
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.color.shape != (*size, 3) or self.color.dtype != np.uint8:
            raise InputError(f"colour must be {(*size, 3)} uint8, got {self.color.shape} {self.color.dtype}")
        if self.depth is not None and (self.depth.shape != size or self.depth.dtype != np.float32):
            raise InputError(f"depth must be {size} float32, got {self.depth.shape} {self.depth.dtype}")


@dataclass(frozen=True)
class Keypoints:
    """N keypoints of one frame.

    Attributes:
        stamp: exposure of the frame [ns].
        ids: [N] int32, stable over a track.
        pixels: [N, 2] float32 (u, v), always finite; where not visible, the one predicted by the body that the
            keypoint is on, or else the last one that was trusted.
        confidence: [N] float32 in 0..1.
        status: [N] uint8, of `KeypointStatus`.
        points: [N, 3] float32 [m] in the colour optical frame, NaN where unknown.
        camera_pose: [4, 4] that optical frame in the arm's base frame, at this exposure; None where nobody knows it.
    """

    stamp: int
    ids: NDArray[np.int32]
    pixels: Float32
    confidence: Float32
    status: NDArray[np.uint8]
    points: Float32
    camera_pose: Float64 | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        shapes = (self.pixels.shape, self.confidence.shape, self.status.shape, self.points.shape)
        if shapes != ((n, 2), (n,), (n,), (n, 3)):
            raise InputError(
                f"keypoints: {n} ids need pixels [{n}, 2], confidence [{n}], status [{n}], points [{n}, 3]; got {shapes}"
            )
        if not np.isfinite(self.pixels).all():
            raise InputError("keypoints: pixels must be finite; mark a keypoint LOST and keep its last pixel instead")
        if self.camera_pose is not None and self.camera_pose.shape != (4, 4):
            raise InputError(f"keypoints: camera_pose must be [4, 4] or None, got {self.camera_pose.shape}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """[N] bool."""
        return np.equal(self.status, KeypointStatus.VISIBLE)


@dataclass(frozen=True)
class RobotState:
    """Feedback of the arm.

    Attributes:
        stamp: when it was measured [ns].
        position, velocity: [D] float64 [rad], [rad/s].
        effort: [D] float64 [N m], NaN where not measured.
        gripper: position of the gripper in the driver's unit (HEBI chopsticks: [rad]; parallel gripper: opening [m]);
            NaN without one.
        awaits: lockstep simulation only: exposure that the next command has to derive from [ns]; 0: any command will do.
    """

    stamp: int
    position: Float64
    velocity: Float64
    effort: Float64
    gripper: float = float("nan")
    awaits: int = 0


@dataclass(frozen=True)
class Observation:
    """What a policy sees, at the exposure of one frame.

    Attributes:
        keypoints: in that frame.
        state: of the robot.
        frame: itself, for policies that look at pictures; None in the graph, whose policies see keypoints alone.
    """

    keypoints: Keypoints
    state: RobotState
    frame: Frame | None = None


@dataclass(frozen=True)
class ActionChunk:
    """Joint targets for the near future.

    Attributes:
        stamp: exposure of the frame that it derives from [ns].
        dt: time between targets [s].
        positions: [T, D] float64 [rad]; row i is to be reached at stamp + (i + 1) * dt.
        gripper: [T] float64 in the driver's unit, NaN without a gripper.
    """

    stamp: int
    dt: float
    positions: Float64
    gripper: Float64

    @classmethod
    def empty(cls, stamp: int) -> ActionChunk:
        """A chunk without targets, which every arm refuses; stands for a message that could not be read."""
        return cls(stamp, 0.0, np.empty((0, 0)), np.empty(0))


@dataclass(frozen=True)
class ArmCommand:
    """What is written to a driver at one control tick.

    Attributes:
        position, velocity: [D] float64 [rad], [rad/s].
        gripper: in the driver's unit, NaN for none.
        observation: exposure of the frame it derives from [ns]; 0 for none.
        mode: of the arm that sends it.
    """

    position: Float64
    velocity: Float64
    gripper: float = float("nan")
    observation: int = 0
    mode: ArmMode = ArmMode.HOLD

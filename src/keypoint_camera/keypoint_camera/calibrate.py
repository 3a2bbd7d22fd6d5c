"""Where the camera stands, from ArUco markers whose place is known: `python -m keypoint_camera.calibrate markers.yaml`.

    side: 0.10                # of a marker's black square [m]
    dictionary: DICT_4X4_50   # of cv2.aruco
    markers:                  # number: x, y, z [m] and quaternion x, y, z, w in the arm's base frame; z out of the paper
      3: [0.35, -0.15, -0.24, 0, 0, 0, 1]

Run it beside the camera node. It prints the lines for config/cameras, or says why the markers hold no camera.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rclpy
import yaml

from keypoint_core.camera_monitor.extrinsics import Extrinsics, estimate_extrinsics, marker_points
from keypoint_core.errors import InputError, KeypointError
from keypoint_core.geometry.pose import Pose
from keypoint_core.types import Float64, Frame
from keypoint_ros.frames import FrameSubscriber


@dataclass(frozen=True)
class Markers:
    """What hangs or lies before the camera.

    Attributes:
        side: of a marker's black square [m].
        dictionary: of cv2.aruco.
        poses: number -> [4, 4] in the arm's base frame.
    """

    side: float
    dictionary: int
    poses: dict[int, Float64]


def read_markers(path: Path) -> Markers:
    """The markers of a file as in the module's docstring.

    Raises:
        InputError: the file says something else; the message says what.
    """
    try:
        document = yaml.safe_load(path.read_text())
        side, name = float(document["side"]), str(document["dictionary"])
        poses = {int(number): _pose(values) for number, values in document["markers"].items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: expected side, dictionary and markers as calibrate's help shows: {error}") from error
    known = [name for name in dir(cv2.aruco) if name.startswith("DICT_")]
    if name not in known:
        raise InputError(f"{path}: unknown dictionary '{name}'; known: {', '.join(known)}")
    if not 0 < side < 2 or not poses:
        raise InputError(f"{path}: expected markers, and a side within 0 .. 2 m, got {len(poses)} and {side} m")
    return Markers(side, int(getattr(cv2.aruco, name)), poses)


def calibrate(frames: list[Frame], markers: Markers) -> Extrinsics:
    """The camera's pose from frames of one camera that stands still.

    Raises:
        InputError: the markers in the frames hold no camera; the message says why.
    """
    if not frames:
        raise InputError("no frame to calibrate from; is the camera node running?")
    found = [marker_points(frame.color, markers.poses, markers.side, markers.dictionary) for frame in frames]
    points, pixels = (np.concatenate(column) for column in zip(*found, strict=True))
    if not len(points):
        raise InputError(
            f"none of the markers {sorted(markers.poses)} is seen; is it light enough, and the dictionary right?"
        )
    return estimate_extrinsics(points, pixels, frames[0].intrinsics)


def as_config(result: Extrinsics) -> str:
    """The lines for a file of config/cameras."""
    pose = Pose.from_matrix(result.camera_pose)
    numbers = ", ".join(f"{value:.6f}" for value in (*pose.position, *pose.quaternion))
    return (
        f"# {int(result.agree.sum())} of {len(result.agree)} corners agree, {result.rms:.2f} px; good to about "
        f"{result.distance_sigma * 1000:.1f} mm and {math.degrees(result.angle_sigma):.2f} degrees\n"
        f"tracker:\n  ros__parameters:\n    camera_pose: [{numbers}]"
    )


def _pose(values: list[float]) -> Float64:
    x, y, z, *quaternion = (float(value) for value in values)
    a, b, c, d = quaternion
    return Pose((x, y, z), (a, b, c, d)).matrix


def _receive(count: int, timeout: float) -> list[Frame]:
    """The next frames of the running camera; fewer where they do not come in time [s]."""
    rclpy.init()
    node = rclpy.create_node("calibrate")
    frames: list[Frame] = []
    subscriber = FrameSubscriber(node, lambda received: frames.append(received.frame), print, False, False)
    deadline = time.monotonic() + timeout
    while len(frames) < count and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    del subscriber
    node.destroy_node()
    rclpy.shutdown()
    return frames


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markers", type=Path, help="YAML file")
    parser.add_argument("--frames", type=int, default=10, help="pictures to use")
    parser.add_argument("--timeout", type=float, default=10.0, help="for them to come [s]")
    args = parser.parse_args()
    try:
        markers = read_markers(args.markers)
        print(as_config(calibrate(_receive(args.frames, args.timeout), markers)))
    except KeypointError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

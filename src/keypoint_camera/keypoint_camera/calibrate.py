"""Where the camera stands, from ArUco markers whose place is known: `python -m keypoint_camera.calibrate markers.yaml`.

    side: 0.10                # of a marker's black square [m]
    dictionary: DICT_4X4_50   # of cv2.aruco
    markers:                  # number: x, y, z [m] and quaternion x, y, z, w in the arm's base frame; z out of the paper
      3: [0.35, -0.15, -0.24, 0, 0, 0, 1]
    robot: hebi_chopsticks    # with on_tool: whose joint_states tell where the tool is
    on_tool:                  # the same in the tool's frame: what the arm carries into view
      5: [0, 0.03, -0.10, 0, 0, 0, 1]

Run it beside the camera node, and beside the arm node for markers on the tool; `--every 2` leaves time to bring the tool
elsewhere between two pictures, and different places hold the camera best. It prints the lines for config/cameras, or says
why the markers hold no camera.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import rclpy
import yaml

from keypoint_camera.calibration_views import View, receive
from keypoint_core.camera_monitor.extrinsics import Extrinsics, estimate_extrinsics, marker_points
from keypoint_core.errors import InputError, KeypointError
from keypoint_core.geometry.pose import Pose
from keypoint_core.types import Float64


@dataclass(frozen=True)
class Markers:
    """What hangs or lies before the camera.

    Attributes:
        side: of a marker's black square [m].
        dictionary: of cv2.aruco.
        poses: number -> [4, 4] in the arm's base frame.
        on_tool: number -> [4, 4] in the tool's frame.
        robot: that carries the tool; empty where nothing is on it.
    """

    side: float
    dictionary: int
    poses: dict[int, Float64]
    on_tool: dict[int, Float64] = field(default_factory=dict)
    robot: str = ""

    def at(self, tool: Float64 | None) -> dict[int, Float64]:
        """All whose place is known: number -> [4, 4] in the arm's base frame, with the tool [4, 4] there."""
        carried = {} if tool is None else {number: tool @ pose for number, pose in self.on_tool.items()}
        return self.poses | carried


def read_markers(path: Path) -> Markers:
    """The markers of a file as in the module's docstring.

    Raises:
        InputError: the file says something else; the message says what.
    """
    try:
        document = yaml.safe_load(path.read_text())
        side, name = float(document["side"]), str(document["dictionary"])
        poses, on_tool = (_poses(document.get(key) or {}) for key in ("markers", "on_tool"))
        robot = str(document["robot"]) if on_tool else ""
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: expected side, dictionary and markers as calibrate's help shows: {error}") from error
    known = [name for name in dir(cv2.aruco) if name.startswith("DICT_")]
    if name not in known:
        raise InputError(f"{path}: unknown dictionary '{name}'; known: {', '.join(known)}")
    if not 0 < side < 2 or not poses | on_tool:
        raise InputError(
            f"{path}: expected markers, and a side within 0 .. 2 m, got {len(poses | on_tool)} and {side} m"
        )
    if poses.keys() & on_tool.keys():
        raise InputError(f"{path}: {sorted(poses.keys() & on_tool.keys())} stand under markers and under on_tool")
    return Markers(side, int(getattr(cv2.aruco, name)), poses, on_tool, robot)


def calibrate(views: list[View], markers: Markers) -> Extrinsics:
    """The camera's pose from pictures of one camera that stands still.

    Raises:
        InputError: the markers in the pictures hold no camera; the message says why.
    """
    if not views:
        arm = " and the arm node" if markers.on_tool else ""
        raise InputError(f"no picture to calibrate from; is the camera node{arm} running?")
    found = [marker_points(v.frame.color, markers.at(v.tool), markers.side, markers.dictionary) for v in views]
    points, pixels = (np.concatenate(column) for column in zip(*found, strict=True))
    if not len(points):
        raise InputError(
            f"none of the markers {sorted(markers.poses | markers.on_tool)} is seen; is it light enough, and the dictionary right?"
        )
    return estimate_extrinsics(points, pixels, views[0].frame.intrinsics)


def as_config(result: Extrinsics) -> str:
    """The lines for a file of config/cameras."""
    pose = Pose.from_matrix(result.camera_pose)
    numbers = ", ".join(f"{value:.6f}" for value in (*pose.position, *pose.quaternion))
    return (
        f"# {int(result.agree.sum())} of {len(result.agree)} corners agree, {result.rms:.2f} px; good to about "
        f"{result.distance_sigma * 1000:.1f} mm and {math.degrees(result.angle_sigma):.2f} degrees\n"
        f"tracker:\n  ros__parameters:\n    camera_pose: [{numbers}]"
    )


def _poses(entries: dict[int, list[float]]) -> dict[int, Float64]:
    return {int(number): _pose(values) for number, values in entries.items()}


def _pose(values: list[float]) -> Float64:
    x, y, z, *quaternion = (float(value) for value in values)
    a, b, c, d = quaternion
    return Pose((x, y, z), (a, b, c, d)).matrix


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markers", type=Path, help="YAML file")
    parser.add_argument("--frames", type=int, default=10, help="pictures to use")
    parser.add_argument("--every", type=float, default=0.0, help="time between them [s]")
    parser.add_argument("--timeout", type=float, default=1.0, help="for each to come [s]")
    args = parser.parse_args()
    try:
        markers = read_markers(args.markers)
        rclpy.init()
        views = receive(rclpy.create_node("calibrate"), markers.robot, args.frames, args.every, args.timeout)
        rclpy.shutdown()
        print(as_config(calibrate(views, markers)))
    except KeypointError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

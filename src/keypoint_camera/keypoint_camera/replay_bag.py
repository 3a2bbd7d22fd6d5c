"""Frames of a bag that this stack recorded: colour as JPEG or raw, and registered depth.

Colour that was recorded as JPEG differs a little from what the camera gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Frame, Intrinsics
from keypoint_ros.conversions import color_from_image, depth_from_image, from_camera_info, from_stamp

COLOR = ("camera/color/image_raw/compressed", "camera/color/image_raw")
DEPTH = "camera/depth_registered/image_raw"
INFO = "camera/color/camera_info"
_WAITING = 8  # halves of frames kept while the other half is on its way


def bag_frames(folder: Path) -> Iterator[Frame]:
    """Yields the frames of a bag as they were recorded, in order of arrival; stamps are the recorded ones [ns].

    Raises:
        InputError: it is no bag, was cut off, or holds no camera.
    """
    try:
        with AnyReader([folder]) as reader:
            yield from _frames(reader, folder)
    except (AnyReaderError, OSError) as error:
        raise InputError(f"cannot play the bag {folder}: {error}; a bag that was cut off needs `recover`") from error


def _frames(reader: AnyReader, folder: Path) -> Iterator[Frame]:
    color = next((found for name in COLOR if (found := _connection(reader, name))), None)
    depth, info = _connection(reader, DEPTH), _connection(reader, INFO)
    if color is None or info is None or not info.msgcount:
        topics = ", ".join(sorted(reader.topics))
        raise InputError(f"the bag {folder} needs the topics {COLOR[0]} (or {COLOR[1]}) and {INFO}; it has: {topics}")
    intrinsics = _intrinsics(reader, info)
    connections = [color] if depth is None else [color, depth]
    parts: dict[int, dict[int, Any]] = {}
    for connection, _, data in reader.messages(connections):
        message: Any = reader.deserialize(data, connection.msgtype)
        stamp = from_stamp(message.header.stamp)
        part = parts.setdefault(stamp, {})
        part[connection.id] = message
        if len(part) == len(connections):
            del parts[stamp]
            yield _frame(stamp, part[color.id], None if depth is None else part[depth.id], intrinsics)
        while len(parts) > _WAITING:
            del parts[min(parts)]


def _connection(reader: AnyReader, topic: str) -> Connection | None:
    """The connection of a topic, in whatever namespace the graph ran."""
    return next((found for found in reader.connections if found.topic.endswith(f"/{topic}")), None)


def _intrinsics(reader: AnyReader, info: Connection) -> Intrinsics:
    _, _, data = next(iter(reader.messages([info])))
    message: Any = reader.deserialize(data, info.msgtype)
    return from_camera_info(message)


def _frame(stamp: int, color: Any, depth: Any, intrinsics: Intrinsics) -> Frame:
    pixels = color_from_image(color) if hasattr(color, "encoding") else _decode_jpeg(color.data)
    metres: Float32 | None = None if depth is None else depth_from_image(depth)
    return Frame(stamp, pixels, metres, intrinsics, color.header.frame_id)


def _decode_jpeg(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{len(data)} bytes are not a JPEG image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)

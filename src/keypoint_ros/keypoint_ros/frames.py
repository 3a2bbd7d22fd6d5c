"""Colour, depth and calibration of one camera, put together by their exposure stamps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from keypoint_core.errors import InputError
from keypoint_core.types import Frame, Intrinsics
from keypoint_ros.conversions import color_from_image, depth_from_image, from_camera_info, from_stamp
from keypoint_ros.qos import LATCHED, subscribe_stream

_WAITING = 8  # halves of frames kept while the other half is on its way
_SET_BACK = 1_000_000_000  # stamps that go back by more come from a clock that was set back [ns]


@dataclass(frozen=True)
class ReceivedFrame:
    """A frame and when its last part came in, by the system clock [ns]."""

    frame: Frame
    received: int


class FrameSubscriber:
    """Subscribes to a camera and hands out whole frames, each stamp once.

    Args:
        node: that listens.
        on_frame: called in the executor's thread.
        on_error: called with a message when an image cannot be used.
        depth: wait for registered depth with each colour image.
        lockstep: whether every message counts.
        on_repeat: called with the stamp [ns] of the newest frame when that frame is sent again.
    """

    def __init__(
        self,
        node: Node,
        on_frame: Callable[[ReceivedFrame], None],
        on_error: Callable[[str], None],
        depth: bool,
        lockstep: bool,
        on_repeat: Callable[[int], None] = lambda stamp: None,
    ) -> None:
        self._on_frame, self._on_error, self._depth = on_frame, on_error, depth
        self._on_repeat = on_repeat
        self._parts: dict[int, dict[str, Any]] = {}
        self._last = -_SET_BACK
        self.intrinsics: Intrinsics | None = None
        qos = subscribe_stream(lockstep)
        self._subscriptions = [
            node.create_subscription(CameraInfo, "camera/color/camera_info", self._info, LATCHED),
            node.create_subscription(Image, "camera/color/image_raw", self._color, qos),
        ]
        if depth:
            topic = "camera/depth_registered/image_raw"
            self._subscriptions.append(node.create_subscription(Image, topic, self._depth_image, qos))

    def _info(self, message: CameraInfo) -> None:
        try:
            self.intrinsics = from_camera_info(message)
        except InputError as error:
            self._on_error(f"camera_info: {error}")
        self._deliver()

    def _color(self, message: Image) -> None:
        self._add("color", message, color_from_image)

    def _depth_image(self, message: Image) -> None:
        self._add("depth", message, depth_from_image)

    def _add(self, part: str, message: Image, convert: Callable[[Image], np.ndarray]) -> None:
        try:
            image = convert(message)
        except InputError as error:
            self._on_error(str(error))
            return
        stamp = from_stamp(message.header.stamp)
        entry = self._parts.setdefault(stamp, {})
        entry[part], entry["frame_id"], entry["received"] = image, message.header.frame_id, time.time_ns()
        while len(self._parts) > _WAITING:
            del self._parts[next(iter(self._parts))]
        self._deliver()

    def _deliver(self) -> None:
        needed = {"color", "depth"} if self._depth else {"color"}
        ready = [stamp for stamp in sorted(self._parts) if needed <= self._parts[stamp].keys()]
        if self.intrinsics is None:
            return
        for stamp in ready:
            entry = self._parts.pop(stamp)
            if stamp == self._last:
                self._on_repeat(stamp)
            if self._last - _SET_BACK < stamp <= self._last:
                continue
            self._last = stamp
            try:
                frame = Frame(stamp, entry["color"], entry.get("depth"), self.intrinsics, entry["frame_id"])
            except InputError as error:
                self._on_error(str(error))
                continue
            self._on_frame(ReceivedFrame(frame, entry["received"]))

"""Colour, depth and calibration of one camera, put together by their exposure stamps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from keypoint_core.errors import InputError
from keypoint_core.types import Frame, Intrinsics
from keypoint_ros.conversions import (
    color_from_image,
    color_pixels,
    depth_from_image,
    depth_pixels,
    from_camera_info,
    from_stamp,
)
from keypoint_ros.qos import LATCHED, subscribe_stream

_WAITING = 8  # halves of frames kept while the other half is on its way
_SET_BACK = 1_000_000_000  # stamps that go back by more come from a clock that was set back [ns]


@dataclass(frozen=True)
class ReceivedFrame:
    """A whole frame as it came in. Its images are only converted when `frame` is asked for.

    Attributes:
        stamp: exposure [ns].
        received: when its last part came in, by the system clock [ns].
        color, depth: messages that were checked to be usable.
        intrinsics: of the colour camera.
    """

    stamp: int
    received: int
    color: Image
    depth: Image | None
    intrinsics: Intrinsics

    @cached_property
    def frame(self) -> Frame:
        """The frame; the first time it costs some milliseconds."""
        depth = depth_from_image(self.depth) if self.depth is not None else None
        return Frame(self.stamp, color_from_image(self.color), depth, self.intrinsics, self.color.header.frame_id)


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
        self._add("color", message, color_pixels)

    def _depth_image(self, message: Image) -> None:
        self._add("depth", message, depth_pixels)

    def _add(self, part: str, message: Image, check: Callable[[Image], np.ndarray]) -> None:
        try:
            check(message)
        except InputError as error:
            self._on_error(str(error))
            return
        entry = self._parts.setdefault(from_stamp(message.header.stamp), {})
        entry[part], entry["received"] = message, time.time_ns()
        if len(self._parts) > _WAITING:
            self._tell_what_lacks()
            del self._parts[next(iter(self._parts))]
        self._deliver()

    def _tell_what_lacks(self) -> None:
        """Says so when images wait in vain: for the calibration, or all of them for their other half."""
        there = {part for entry in self._parts.values() for part in entry}
        lacking = ["camera/color/camera_info"] if self.intrinsics is None else []
        lacking += ["camera/color/image_raw"] if "color" not in there else []
        lacking += ["camera/depth_registered/image_raw"] if self._depth and "depth" not in there else []
        if lacking:
            self._on_error(f"{len(self._parts)} images came, but nothing on {', '.join(lacking)}; is it published?")

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
            if self._fits(entry["color"]) and self._fits(entry.get("depth")):
                parts = (entry["color"], entry.get("depth"))
                self._on_frame(ReceivedFrame(stamp, entry["received"], *parts, self.intrinsics))

    def _fits(self, image: Image | None) -> bool:
        """Whether an image has the size that the calibration says; if not, that is told."""
        k = self.intrinsics
        if image is None or k is None or (image.width, image.height) == (k.width, k.height):
            return True
        self._on_error(
            f"camera_info is for {k.width}x{k.height}, the {image.encoding} image has {image.width}x{image.height}"
        )
        return False

"""Publishes frames on the camera's topics."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from keypoint_core.types import Frame
from keypoint_ros.conversions import to_camera_info, to_image
from keypoint_ros.qos import LATCHED, PUBLISH_STREAM


class CameraPublisher:
    """Colour (rgb8), registered depth (32FC1 [m], NaN invalid) and their calibration, with one stamp."""

    def __init__(self, node: Node) -> None:
        self._color = node.create_publisher(Image, "camera/color/image_raw", PUBLISH_STREAM)
        self._color_info = node.create_publisher(CameraInfo, "camera/color/camera_info", LATCHED)
        self._depth = node.create_publisher(Image, "camera/depth_registered/image_raw", PUBLISH_STREAM)
        self._depth_info = node.create_publisher(CameraInfo, "camera/depth_registered/camera_info", LATCHED)

    def publish(self, frame: Frame) -> None:
        """Publishes one frame: its images first, for they are waited for."""
        self._color.publish(to_image(frame.color, "rgb8", frame.stamp, frame.frame_id))
        if frame.depth is not None:
            depth = np.ascontiguousarray(frame.depth, dtype=np.float32)
            self._depth.publish(to_image(depth, "32FC1", frame.stamp, frame.frame_id))
        info = to_camera_info(frame.intrinsics, frame.stamp, frame.frame_id)
        self._color_info.publish(info)
        if frame.depth is not None:
            self._depth_info.publish(info)

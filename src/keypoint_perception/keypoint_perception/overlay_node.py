"""Shows tracks to people: keypoints drawn on the image, and as markers in 3D. Idle while nobody subscribes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from keypoint_core.errors import InputError
from keypoint_core.overlay import COLORS, Trails, draw
from keypoint_core.parameters import parameter
from keypoint_core.types import Keypoints, KeypointStatus
from keypoint_ros.conversions import color_from_image, from_keypoints, from_stamp, to_header, to_image
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.qos import PUBLISH_STREAM, SUBSCRIBE_STREAM

_WAITING = 4  # images kept until their keypoints come
_BREAK = 500_000_000  # keypoints that are this much older or newer begin a new trail [ns]


@dataclass(frozen=True)
class OverlayParameters:
    """Parameters of the overlay node."""

    trail: int = parameter(20, "length of the trails", unit="frames", minimum=1, maximum=300)
    marker_size: float = parameter(0.008, "diameter of a keypoint in 3D", unit="m", minimum=0.001, maximum=0.1)


class OverlayNode(KeypointNode):
    """Topics perception/overlay/image_raw and perception/markers."""

    Parameters = OverlayParameters

    def __init__(self) -> None:
        super().__init__("overlay")
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._trails = Trails(self.parameters.trail)
        self._last = 0
        self._image_subscription = None
        self._overlay = self.create_publisher(Image, "perception/overlay/image_raw", PUBLISH_STREAM)
        self._markers = self.create_publisher(MarkerArray, "perception/markers", PUBLISH_STREAM)
        self.create_subscription(KeypointsMsg, "perception/keypoints", self._on_keypoints, SUBSCRIBE_STREAM)
        self.create_timer(0.5, self._follow_demand)

    def _follow_demand(self) -> None:
        """Takes images only while somebody looks: they are what costs."""
        wanted = self.active and self._overlay.get_subscription_count() > 0
        if wanted and self._image_subscription is None:
            topic = "camera/color/image_raw"
            self._image_subscription = self.create_subscription(Image, topic, self._on_image, SUBSCRIBE_STREAM)
        elif not wanted and self._image_subscription is not None:
            self.destroy_subscription(self._image_subscription)
            self._image_subscription = None
            self._images.clear()

    def _on_image(self, message: Image) -> None:
        self._images[from_stamp(message.header.stamp)] = message
        while len(self._images) > _WAITING:
            self._images.popitem(last=False)

    def _on_keypoints(self, message: KeypointsMsg) -> None:
        try:
            keypoints = from_keypoints(message)
        except InputError as error:
            self.report(str(error))
            return
        if not 0 < keypoints.stamp - self._last < _BREAK:
            self._trails.clear()
        self._last = keypoints.stamp
        self._trails.push(keypoints)
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(to_markers(keypoints, message.header.frame_id, self.parameters.marker_size))
        image = self._images.get(keypoints.stamp)
        if image is not None:
            picture = draw(color_from_image(image), keypoints, self._trails)
            self._overlay.publish(to_image(picture, "rgb8", keypoints.stamp, image.header.frame_id))


def to_markers(keypoints: Keypoints, frame_id: str, size: float) -> MarkerArray:
    """One sphere list of the keypoints whose place in 3D is known, coloured by status; size in metres."""
    marker = Marker(header=to_header(keypoints.stamp, frame_id), ns="keypoints", type=Marker.SPHERE_LIST)
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size
    for i in np.flatnonzero(np.isfinite(keypoints.points).all(axis=1)):
        x, y, z = (float(value) for value in keypoints.points[i])
        marker.points.append(Point(x=x, y=y, z=z))
        red, green, blue = (channel / 255 for channel in COLORS[KeypointStatus(int(keypoints.status[i]))])
        marker.colors.append(ColorRGBA(r=red, g=green, b=blue, a=1.0))
    return MarkerArray(markers=[marker])


def main() -> None:
    """Runs the node."""
    run(OverlayNode)

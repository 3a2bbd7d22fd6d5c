"""Shows tracks to people: keypoints drawn on the image, and as markers in 3D. Idle while nobody subscribes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from keypoint_core.errors import InputError
from keypoint_core.overlay import Trails, draw
from keypoint_core.parameters import parameter
from keypoint_core.types import Keypoints
from keypoint_perception.markers import TrackMarkers
from keypoint_ros.conversions import color_from_image, from_keypoints, from_stamp, to_image
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.qos import PUBLISH_STREAM, SUBSCRIBE_STREAM

_WAITING = 4  # images kept until their keypoints come
_BREAK = 500_000_000  # keypoints that are this much older or newer begin a new trail [ns]


@dataclass(frozen=True)
class OverlayParameters:
    """Parameters of the overlay node."""

    trail: int = parameter(20, "length of the trails", unit="frames", minimum=1, maximum=300)
    ids: bool = parameter(True, "write each keypoint's id beside it on the image")
    marker_size: float = parameter(0.008, "diameter of a keypoint in 3D", unit="m", minimum=0.001, maximum=0.1)
    marker_hold: float = parameter(
        5.0, "how long a keypoint that is hidden stays where it was in 3D", unit="s", minimum=0.0, maximum=60.0
    )


class OverlayNode(KeypointNode):
    """Topics perception/overlay/image_raw and perception/markers."""

    Parameters = OverlayParameters

    def __init__(self) -> None:
        super().__init__("overlay")
        p: OverlayParameters = self.parameters
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._trails = Trails(p.trail)
        self._tracks = TrackMarkers(p.trail, p.marker_size, p.marker_hold)
        self._keypoints: Keypoints | None = None  # the newest ones, until they are drawn
        self._last = 0  # stamp of the newest keypoints [ns]
        self._streams: dict[str, Any] = {}
        self._overlay = self.create_publisher(Image, "perception/overlay/image_raw", PUBLISH_STREAM)
        self._markers = self.create_publisher(MarkerArray, "perception/markers", PUBLISH_STREAM)
        self.create_timer(0.5, self._follow_demand)

    def deactivate(self) -> None:
        """Ceases to listen."""
        self._listen(image=False, markers=False)

    def _follow_demand(self) -> None:
        """Listens only while somebody looks, and to images only for the overlay: they are what costs."""
        image, markers = (publisher.get_subscription_count() > 0 for publisher in (self._overlay, self._markers))
        self._listen(self.active and image, self.active and markers)

    def _listen(self, image: bool, markers: bool) -> None:
        self._subscribe(image, "camera/color/image_raw", Image, self._on_image)
        self._subscribe(image or markers, "perception/keypoints", KeypointsMsg, self._on_keypoints)
        if not image:
            self._images.clear()
        if not markers:
            self._tracks.clear()

    def _subscribe(self, wanted: bool, topic: str, kind: type, callback: Any) -> None:
        """Subscribes, or ends the subscription, if that is not so already."""
        if wanted and topic not in self._streams:
            self._streams[topic] = self.create_subscription(kind, topic, callback, SUBSCRIBE_STREAM)
        elif not wanted and topic in self._streams:
            self.destroy_subscription(self._streams.pop(topic))

    def _on_image(self, message: Image) -> None:
        stamp = from_stamp(message.header.stamp)
        self._images[stamp] = message
        while len(self._images) > _WAITING:
            self._images.popitem(last=False)
        self._draw()

    def _on_keypoints(self, message: KeypointsMsg) -> None:
        try:
            keypoints = from_keypoints(message)
        except InputError as error:
            self.report(str(error))
            return
        if not 0 < keypoints.stamp - self._last < _BREAK:
            self._trails.clear()
            self._tracks.clear()
        self._last, self._keypoints = keypoints.stamp, keypoints
        self._trails.push(keypoints)
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(self._tracks.update(keypoints, message.header.frame_id))
        self._draw()

    def _draw(self) -> None:
        """Draws the newest keypoints once their image is there, whichever comes first."""
        keypoints = self._keypoints
        image = self._images.get(keypoints.stamp) if keypoints is not None else None
        if keypoints is None or image is None:
            return
        self._keypoints = None
        try:
            picture = draw(color_from_image(image), keypoints, self._trails, ids=self.parameters.ids)
        except InputError as error:
            self.report(str(error))
            return
        self._overlay.publish(to_image(picture, "rgb8", keypoints.stamp, image.header.frame_id))


def main() -> None:
    """Runs the node."""
    run(OverlayNode)

"""When a stage of the graph worked on a frame, on the topic `timing`."""

from __future__ import annotations

import time

from keypoint_interfaces.msg import StageTiming
from rclpy.node import Node

from keypoint_ros.conversions import to_header, to_stamp


class TimingPublisher:
    """Publishes one StageTiming per frame.

    Args:
        node: whose stage this is.
        stage: a constant of StageTiming.
    """

    def __init__(self, node: Node, stage: str) -> None:
        self._stage = stage
        self._publisher = node.create_publisher(StageTiming, "timing", 30)

    def publish(self, stamp: int, received: int, compute: float, finished: int | None = None) -> None:
        """Says that the frame is done.

        Args:
            stamp: its exposure [ns].
            received: when the stage had its input, by the system clock [ns].
            compute: time spent computing [s].
            finished: when its output left, by the system clock [ns]; now, if not given.
        """
        message = StageTiming(header=to_header(stamp), stage=self._stage, compute=float(compute))
        message.received = to_stamp(received)
        message.finished = to_stamp(time.time_ns() if finished is None else finished)
        self._publisher.publish(message)

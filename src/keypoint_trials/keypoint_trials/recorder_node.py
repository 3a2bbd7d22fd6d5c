"""Records the graph: one bag per trial, or one from start to end."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import ClassVar

from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from keypoint_core.runs import runs_root
from keypoint_ros.node import KeypointNode, run
from keypoint_trials.definitions import make_typestore
from keypoint_trials.recorder_thread import RecorderThread
from keypoint_trials.recording import SUBSCRIPTION_DEPTH, Recorder, RecorderParameters, RecorderStatus
from keypoint_trials.topics import RECORDED, Topic


class RecorderNode(KeypointNode):
    """Hands serialised messages to the recorder's thread.

    Nothing of the graph waits for it: a disk that is full or cannot be written is told in the log and the diagnostics,
    and the trial goes on unrecorded.
    """

    Parameters: ClassVar[type] = RecorderParameters

    def __init__(self) -> None:
        super().__init__("recorder")
        self._thread: RecorderThread | None = None
        self._told = RecorderStatus()

    def configure(self) -> None:
        """Subscribes, so that discovery is over long before a trial begins."""
        parameters: RecorderParameters = self.parameters
        if not parameters.folder:
            folder = runs_root() / f"{datetime.now():%Y%m%d-%H%M%S}-recording"
            parameters = replace(parameters, folder=str(folder))
        topics = {self.resolve_topic_name(topic.name): topic for topic in RECORDED}
        store = make_typestore(topic.type for topic in RECORDED)
        self._thread = RecorderThread(Recorder(topics, store, parameters), parameters.queue * 10**6)
        self._inputs = [
            self.create_subscription(load_type(topic.type), name, self._receiver(name, topic), _qos(topic), raw=True)
            for name, topic in topics.items()
        ]
        self._watch = self.create_timer(0.25, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def activate(self) -> None:
        """Begins to record."""
        if self._thread is not None:
            self._thread.start()

    def deactivate(self) -> None:
        """Writes what is queued and ends the open bag."""
        if self._thread is not None:
            self._thread.stop()
            self._tell()

    def cleanup(self) -> None:
        """Ends the subscriptions."""
        if self._thread is None:
            return
        self._thread = None
        self.destroy_timer(self._watch)
        for subscription in self._inputs:
            self.destroy_subscription(subscription)

    def _receiver(self, name: str, topic: Topic) -> Callable[[bytes], None]:
        def receive(data: bytes) -> None:
            if self._thread is not None and (self.active or topic.kept):
                self._thread.put(name, time.time_ns(), data)  # MessageInfo crashes rclpy's EventsExecutor

        return receive

    def _tell(self) -> None:
        """Logs what changed and keeps the diagnostics."""
        if self._thread is None:
            return
        status, told = self._thread.status, self._told
        self._told = status
        if status.bag and status.bag != told.bag:
            self.get_logger().info(f"recording to {status.bag}")
        if status.bags > told.bags:
            self.get_logger().info(f"closed {told.bag}")
        if status.dropped > told.dropped:
            self.get_logger().warning(f"{status.dropped} messages dropped: the disk or the processor is too slow")
        if status.error and status.error != told.error:
            self.get_logger().error(status.error)
        for name in ("bags", "messages", "missed", "dropped"):
            self.diagnostics.count(name, getattr(status, name) - getattr(told, name))
        if status.error:
            self.diagnostics.error(status.error)
        elif status.dropped:
            self.diagnostics.warn(f"{status.dropped} messages dropped")
        else:
            self.diagnostics.ok(f"recording to {status.bag}" if status.bag else "waiting for a trial")


def load_type(name: str) -> type:
    """The class of a message type "package/msg/Name"."""
    package, _, message = name.split("/")
    return getattr(import_module(f"{package}.msg"), message)


def _qos(topic: Topic) -> QoSProfile:
    return QoSProfile(
        depth=SUBSCRIPTION_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if topic.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE,
    )


def keep_freed_memory() -> None:
    """Has glibc reuse the memory of images instead of handing it back; fresh pages cost a third of the recorder's time.

    See mallopt(3): M_TRIM_THRESHOLD and M_MMAP_THRESHOLD. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option in (-1, -3):
            mallopt(option, 1 << 28)


def main() -> None:
    """Runs the node."""
    keep_freed_memory()
    run(RecorderNode)


if __name__ == "__main__":
    main()

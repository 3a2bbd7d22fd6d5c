"""Health of a node on /diagnostics: one status, its counters, and how often its streams tick."""

from __future__ import annotations

import threading
import time
from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node


class Diagnostics:
    """Publishes the node's status once a second; safe to call from any thread.

    Args:
        node: whose health this is.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._level, self._message = DiagnosticStatus.OK, "starting"
        self._counts: Counter[str] = Counter()
        self._ticks: Counter[str] = Counter()
        self._since = time.monotonic()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0, self._publish)

    def ok(self, message: str = "running") -> None:
        """All is well."""
        self._set(DiagnosticStatus.OK, message)

    def warn(self, message: str) -> None:
        """Works, but not as it should."""
        self._set(DiagnosticStatus.WARN, message)

    def error(self, message: str) -> None:
        """Does not work."""
        self._set(DiagnosticStatus.ERROR, message)

    def count(self, name: str, amount: int = 1) -> None:
        """Adds to a counter of events (frames dropped, commands refused)."""
        with self._lock:
            self._counts[name] += amount

    def tick(self, stream: str) -> None:
        """One more message of a stream; its rate is published."""
        with self._lock:
            self._ticks[stream] += 1

    def _set(self, level: bytes, message: str) -> None:
        with self._lock:
            self._level, self._message = level, message

    def _publish(self) -> None:
        with self._lock:
            now = time.monotonic()
            span, self._since = now - self._since, now
            rates = {f"{name} [1/s]": f"{ticks / span:.1f}" for name, ticks in self._ticks.items()}
            self._ticks = Counter(dict.fromkeys(self._ticks, 0))
            values = {**rates, **{name: str(count) for name, count in self._counts.items()}}
            status = DiagnosticStatus(level=self._level, name=self._node.get_name(), message=self._message)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

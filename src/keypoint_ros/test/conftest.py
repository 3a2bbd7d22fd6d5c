"""A ROS context of its own for every test, and spinning until something is so."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from keypoint_ros.node import KeypointNode


class Ros:
    """Nodes of one test, served by the test itself or by a thread."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.executor: SingleThreadedExecutor | None = None
        self._spinning = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *arguments: str) -> Ros:
        """Parameters come as on a command line: "rate:=5.0"."""
        given = [word for argument in arguments for word in ("-p", argument)]
        rclpy.init(args=["--ros-args", *given] if given else None)
        self.executor = SingleThreadedExecutor()
        return self

    def add(self, node: Node) -> Node:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def node(self, name: str = "helper") -> Node:
        return self.add(rclpy.create_node(name, use_global_arguments=False))

    def spin_until(self, predicate: Callable[[], object], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, "timed out"
            self.executor.spin_once(timeout_sec=0.02)

    def spin_in_thread(self) -> None:
        self._spinning.set()

        def spin() -> None:
            while self._spinning.is_set():
                self.executor.spin_once(timeout_sec=0.02)

        self._thread = threading.Thread(target=spin, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._spinning.clear()
        if self._thread is not None:
            self._thread.join()
        if self.executor is not None:
            self.executor.shutdown()
        for node in self.nodes:
            if isinstance(node, KeypointNode):
                node.close()  # else its threads keep it
            node.destroy_node()
        self.nodes.clear()
        rclpy.try_shutdown()
        gc.collect()  # a participant that is left talks to all that come after it


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ros]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 99))
    ros = Ros()
    yield ros
    ros.stop()

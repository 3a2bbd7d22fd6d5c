"""Do camera images cross processes? 30 Hz of 720p colour and depth, with the stack's DDS profile and with ROS's default.

A sender process publishes bgr8 colour and 32FC1 depth as the camera node does (reliable, depth 2), a receiver process
subscribes as the tracker does (sensor data). Latency is from before the message is filled to the pixels in NumPy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from array import array
from dataclasses import asdict, dataclass

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import Image
from std_msgs.msg import Empty

from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms

WIDTH, HEIGHT, RATE = 1280, 720, 30.0
STREAMS = {"color": ("bgr8", np.uint8, 3), "depth": ("32FC1", np.float32, 1)}
MATCH_TIMEOUT = 30.0  # [s] until sender and receiver must have found each other
WARM_UP = "warm-up"  # frame of images that are sent until the two have met; they do not count
SILENCE = 3.0  # [s] without an image after which the rest counts as lost


@dataclass(frozen=True)
class Result:
    """What one stream did under one transport."""

    transport: str
    stream: str
    sent: int
    received: int
    latency_ms: dict[str, float]

    @property
    def lost(self) -> int:
        """Images that never arrived."""
        return self.sent - self.received


def make_message(stream: str) -> tuple[Image, np.ndarray]:
    """A reusable message and its pixels [H, W, C], to be written in place."""
    encoding, dtype, channels = STREAMS[stream]
    step = WIDTH * channels * np.dtype(dtype).itemsize
    message = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step, is_bigendian=0)
    message.data = array("B", bytes(step * HEIGHT))
    # Assignment may copy, so the view is taken of what the message holds now.
    return message, np.frombuffer(message.data, dtype).reshape(HEIGHT, WIDTH, channels)


class Sender:
    """Publishes one reused message per stream, as a camera node does."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("image_sender")
        self._publishers = {name: self.node.create_publisher(Image, name, QoSProfile(depth=2)) for name in STREAMS}
        self._messages = {name: make_message(name) for name in STREAMS}
        generator = np.random.default_rng(0)
        self._source = {
            name: generator.integers(0, 255, pixels.shape).astype(pixels.dtype)
            for name, (_, pixels) in self._messages.items()
        }

    def publish(self, frame_id: str) -> None:
        """Fills and sends one image of each stream."""
        stamp = time.monotonic_ns()
        for name, (message, pixels) in self._messages.items():
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
            message.header.frame_id = frame_id
            np.copyto(pixels, self._source[name])
            self._publishers[name].publish(message)


def send(count: int) -> dict[str, int]:
    """Publishes `count` pairs of images at RATE, once the receiver has told that both streams reach it."""
    sender, ready = Sender(), []
    sender.node.create_subscription(Empty, "ready", ready.append, 1)
    deadline = time.monotonic() + MATCH_TIMEOUT
    while not ready:
        if time.monotonic() > deadline:
            return {"sent": 0}
        sender.publish(WARM_UP)
        rclpy.spin_once(sender.node, timeout_sec=0.1)
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, start + index / RATE - time.monotonic()))
        sender.publish(str(index))
    time.sleep(SILENCE)  # the last images are still under way, and leave with the process
    return {"sent": count}


def receive(count: int) -> dict[str, list[float]]:
    """Takes up to `count` images of each stream; returns their latencies [s]."""
    node = rclpy.create_node("image_receiver")
    ready = node.create_publisher(Empty, "ready", 1)
    latencies: dict[str, list[float]] = {name: [] for name in STREAMS}
    warm: set[str] = set()
    last = time.monotonic() + MATCH_TIMEOUT

    def take(name: str, message: Image) -> None:
        nonlocal last
        if message.header.frame_id == WARM_UP:
            warm.add(name)
            if len(warm) == len(STREAMS):
                ready.publish(Empty())
            return
        np.frombuffer(message.data, STREAMS[name][1]).reshape(message.height, message.width, -1)
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        latencies[name].append((time.monotonic_ns() - stamp) / 1e9)
        last = time.monotonic()

    for name in STREAMS:
        node.create_subscription(Image, name, lambda message, name=name: take(name, message), qos_profile_sensor_data)
    while time.monotonic() < last + SILENCE and any(len(values) < count for values in latencies.values()):
        rclpy.spin_once(node, timeout_sec=0.2)
    return latencies


def environment(transport: str) -> dict[str, str]:
    """Of the two processes: what tools/env.sh set, or ROS's defaults kept on this machine."""
    env = dict(os.environ)
    if transport == "default":
        env.pop("FASTDDS_DEFAULT_PROFILES_FILE", None)
        env.pop("FASTRTPS_DEFAULT_PROFILES_FILE", None)
        env["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return env


def measure(transport: str, count: int) -> list[Result]:
    """Runs sender and receiver under one transport."""
    command = [sys.executable, __file__, "--count", str(count), "--role"]
    settings = {"env": environment(transport), "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "receive"], **settings) as receiver:
        with subprocess.Popen([*command, "send"], **settings) as sender:
            sent = json.loads(sender.communicate(timeout=300)[0])["sent"]
        latencies = json.loads(receiver.communicate(timeout=60)[0])
    return [Result(transport, name, sent, len(values), percentiles_ms(values)) for name, values in latencies.items()]


def show(results: list[Result]) -> None:
    """Prints one row per transport and stream."""
    table = Table(title=f"{WIDTH}x{HEIGHT} colour and depth at {RATE:g} Hz between two processes")
    for heading in ("transport", "stream", "sent", "received", "lost", "p50 ms", "p95 ms"):
        table.add_column(heading, justify="left" if heading in ("transport", "stream") else "right")
    for result in results:
        quantiles = [f"{result.latency_ms[key]:.1f}" if result.latency_ms else "-" for key in ("p50", "p95")]
        counts = [str(value) for value in (result.sent, result.received, result.lost)]
        table.add_row(result.transport, result.stream, *counts, *quantiles)
    Console().print(table)


def main() -> int:
    """Runs one role, or both roles under both transports; non-zero when the stack's profile loses an image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="image pairs per transport")
    parser.add_argument("--role", choices=["send", "receive"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        rclpy.init()
        print(json.dumps(send(options.count) if options.role == "send" else receive(options.count)))
        rclpy.shutdown()
        return 0
    results = []
    for transport in ("keypoint", "default"):
        print(f"[images] {transport} transport, {options.count / RATE:.0f} s ...", flush=True)
        results += measure(transport, options.count)
    show(results)
    folder = new_run_folder("images")
    latency = {f"{result.transport}/{result.stream}": result.latency_ms for result in results}
    rows = [{**asdict(result), "lost": result.lost} for result in results]
    write_summary(folder, mode="real_time", latency_ms=latency, rate_hz=RATE, size=[WIDTH, HEIGHT], images=rows)
    print(f"[images] {folder}/summary.json")
    return int(any(result.lost or not result.sent for result in results if result.transport == "keypoint"))


if __name__ == "__main__":
    raise SystemExit(main())

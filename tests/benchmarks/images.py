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

from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms

WIDTH, HEIGHT, RATE = 1280, 720, 30.0
STREAMS = {"color": ("bgr8", np.uint8, 3), "depth": ("32FC1", np.float32, 1)}
MATCH_TIMEOUT = 30.0  # [s] until sender and receiver must have found each other
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


def send(count: int) -> dict[str, object]:
    """Publishes `count` pairs of images at RATE."""
    node = rclpy.create_node("image_sender")
    publishers = {name: node.create_publisher(Image, name, QoSProfile(depth=2)) for name in STREAMS}
    messages = {name: make_message(name) for name in STREAMS}
    source = {name: np.random.default_rng(0).integers(0, 255, pixels.shape).astype(pixels.dtype)
              for name, (_, pixels) in messages.items()}  # fmt: skip
    deadline = time.monotonic() + MATCH_TIMEOUT
    while any(publisher.get_subscription_count() == 0 for publisher in publishers.values()):
        if time.monotonic() > deadline:
            return {"sent": 0}
        rclpy.spin_once(node, timeout_sec=0.05)
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, start + index / RATE - time.monotonic()))
        stamp = time.monotonic_ns()
        for name, (message, pixels) in messages.items():
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
            np.copyto(pixels, source[name])
            publishers[name].publish(message)
    # Reliable samples may still be under way to the receiver.
    deadline = time.monotonic() + SILENCE
    while time.monotonic() < deadline and any(p.get_subscription_count() for p in publishers.values()):
        rclpy.spin_once(node, timeout_sec=0.05)
    return {"sent": count}


def receive(count: int) -> dict[str, list[float]]:
    """Takes up to `count` images of each stream; returns their latencies [s]."""
    node = rclpy.create_node("image_receiver")
    latencies: dict[str, list[float]] = {name: [] for name in STREAMS}
    last = time.monotonic() + MATCH_TIMEOUT

    def take(name: str, message: Image) -> None:
        nonlocal last
        np.frombuffer(message.data, STREAMS[name][1]).reshape(message.height, message.width, -1)[::8, ::8].sum()
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

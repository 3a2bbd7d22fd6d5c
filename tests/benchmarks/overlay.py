"""What does it cost to show 32 keypoints on a 640x480 frame? The picture and the markers, with their messages.

Time of this thread, not of the clock on the wall: from the messages as they come in (a bgr8 image and keypoints) to the
serialised messages that go out. Trails are full, keypoints move, a quarter of them is hidden. Over `limit_ms` at the
95th percentile of either, the command ends with 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
from rclpy.serialization import serialize_message

from keypoint_core.overlay import Trails, draw
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.types import Keypoints
from keypoint_perception.markers import TrackMarkers
from keypoint_perception.overlay_node import OverlayParameters
from keypoint_ros.conversions import color_from_image, from_keypoints, to_image, to_keypoints

SIZE = (640, 480)
PERIOD = 1_000_000_000 // 15  # [ns]
WARM_UP = 30  # frames that do not count; the trails fill
CAMERA = "camera_color_optical_frame"


def keypoints_at(index: int, count: int) -> Keypoints:
    """Keypoints that circle by some 10 px per frame; every fourth is hidden now and then."""
    generator = np.random.default_rng(0)
    middle = generator.uniform([60, 60], [580, 420], (count, 2))
    phase = index / 5 + np.arange(count)
    pixels = middle + 50 * np.stack([np.cos(phase), np.sin(phase)], axis=1)
    hidden = (np.arange(count) % 4 == 0) & ((index // 10) % 2 == 0)
    points = np.concatenate([(pixels - 320) / 600, np.ones((count, 1))], axis=1)
    points[hidden] = np.nan
    return Keypoints(
        stamp=index * PERIOD,
        ids=np.arange(count, dtype=np.int32),
        pixels=pixels.astype(np.float32),
        confidence=generator.uniform(0.3, 1.0, count).astype(np.float32),
        status=hidden.astype(np.uint8),
        points=points.astype(np.float32),
    )


def measure(work: Callable[[int], None], frames: int) -> list[float]:
    """Seconds of this thread for each frame after the warm-up."""
    seconds = []
    for index in range(frames + WARM_UP):
        begin = time.thread_time()
        work(index)
        seconds.append(time.thread_time() - begin)
    return seconds[WARM_UP:]


def main() -> int:
    """Measures both; non-zero where one is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keypoints", type=int, default=32)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--limit", type=float, default=5.0, help="95th percentile of either [ms]; 0 for none")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    p = OverlayParameters()
    image = np.random.default_rng(1).integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    incoming = to_image(image, "bgr8", 0, CAMERA)
    messages = [to_keypoints(keypoints_at(i, options.keypoints), CAMERA, SIZE) for i in range(options.frames + WARM_UP)]
    trails, tracks = Trails(p.trail), TrackMarkers(p.trail, p.marker_size, p.marker_hold)

    def picture(index: int) -> None:
        keypoints = from_keypoints(messages[index])
        trails.push(keypoints)
        drawn = draw(color_from_image(incoming), keypoints, trails, ids=p.ids)
        serialize_message(to_image(drawn, "rgb8", keypoints.stamp, CAMERA))

    def markers(index: int) -> None:
        serialize_message(tracks.update(from_keypoints(messages[index]), CAMERA))

    figures = {
        name: percentiles_ms(measure(work, options.frames))
        for name, work in (("overlay", picture), ("markers", markers))
    }
    for name, latency in figures.items():
        print(
            f"{name:8} p50 {latency['p50']:.2f} ms  p95 {latency['p95']:.2f} ms per frame, {options.keypoints} keypoints"
        )
    folder = new_run_folder("overlay")
    write_summary(folder, latency_ms=figures, keypoints=options.keypoints, size=list(SIZE), clock="thread_time")
    print(f"{folder}/summary.json")
    return int(options.limit > 0 and any(latency["p95"] > options.limit for latency in figures.values()))


if __name__ == "__main__":
    raise SystemExit(main())

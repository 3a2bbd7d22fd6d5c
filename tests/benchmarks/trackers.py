"""How long every tracker takes per frame of 640x480, for 16, 64 and 256 keypoints.

    python tests/benchmarks/trackers.py
    python tests/benchmarks/trackers.py --trackers bootstapir tapnext --device cuda --compile default

The same command serves CPU and GPU. Learnt trackers run with random weights, which take as long as trained ones; those
whose package is not installed are named and left out. With one thread on the CPU the compute time of this process is
measured, so that other load does not count; otherwise the time until the result is there. The first frames after a
start are left out.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch

from keypoint_core.errors import MissingDependencyError
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.tracking import TRACKERS, bootstapir, cotracker, tapnext
from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.types import SECOND, Frame, Intrinsics

LEARNT = {"cotracker": cotracker, "bootstapir": bootstapir, "tapnext": tapnext}
INTRINSICS = Intrinsics(640, 480, 607.0, 607.0, 319.5, 239.5)
LEFT_OUT = 3  # frames after a start
SLOW_LEFT_OUT = 1


def frames(n: int, seed: int) -> list[Frame]:
    """A texture that sways by 20 px and turns by 3 degrees, seen from 0.7 m."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    noise = rng.integers(0, 256, (600, 800, 3), dtype=np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3.0), None, 0, 255, cv2.NORM_MINMAX)
    depth = np.full((480, 640), 0.7, np.float32)
    result = []
    for i in range(n):
        phase = 2 * np.pi * i / 60
        turn = cv2.getRotationMatrix2D((400, 300), 3 * np.sin(phase), 1.0)
        turn[:, 2] += [20 * np.sin(phase) - 80, 10 * np.sin(2 * phase) - 60]
        result.append(Frame(i * SECOND // 30, cv2.warpAffine(texture, turn, (640, 480)), depth, INTRINSICS))
    return result


def grid(n: int) -> np.ndarray:
    """[n, 2] float32, spread over the image."""
    columns = int(np.ceil(np.sqrt(n * 4 / 3)))
    u, v = np.meshgrid(np.linspace(80, 560, columns), np.linspace(60, 420, -(-n // columns)))
    return np.stack([u.ravel(), v.ravel()], axis=1)[:n].astype(np.float32)


def make(name: str, arguments: argparse.Namespace) -> Any:
    """The tracker; a learnt one with random weights, of upstream's full size."""
    if name not in LEARNT:
        return TRACKERS.create(name)
    torch.manual_seed(arguments.seed)
    network = LEARNT[name].build()
    for parameter in network.parameters():  # upstream leaves some as the memory was
        torch.nn.init.normal_(parameter, 0.0, 0.02)
    settings = InferenceSettings(arguments.device, arguments.precision, arguments.compile, arguments.threads)
    return TRACKERS.load(name)(network=network, inference=settings)


def durations(tracker: Any, n: int, clip: list[Frame], left_out: int, clock: Callable[[], float]) -> list[float]:
    """Of `track` [s], without the first frames."""
    tracker.start(clip[0], grid(n))
    result = []
    for frame in clip[1:]:
        began = clock()
        tracker.track(frame)
        result.append(clock() - began)
    return result[left_out:]


def measure(name: str, arguments: argparse.Namespace, cuda: bool) -> dict[str, dict[str, float]]:
    """Number of keypoints -> percentiles [ms]; empty, with the reason printed, where the tracker cannot be had."""
    slow = name in LEARNT and not cuda
    left_out = SLOW_LEFT_OUT if slow else LEFT_OUT
    clip = frames((arguments.slow_frames if slow else arguments.frames) + left_out + 1, arguments.seed)
    alone = arguments.threads == 1 and not (cuda and name in LEARNT)
    clock = time.process_time if alone else time.perf_counter
    found = {}
    try:
        tracker = make(name, arguments)
        for n in arguments.points:
            found[str(n)] = percentiles_ms(durations(tracker, n, clip, left_out, clock))
            print(row(name, n, found[str(n)], len(clip) - 1 - left_out), flush=True)
    except MissingDependencyError as error:
        print(f"{name:14} left out: {error}", flush=True)
    return found


def row(name: str, n: int, times: dict[str, float], count: int) -> str:
    return f"{name:14} {n:4} points   p50 {times['p50']:9.2f} ms   p95 {times['p95']:9.2f} ms   {count} frames"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time per frame of the trackers.")
    parser.add_argument("--trackers", nargs="+", default=list(TRACKERS), choices=list(TRACKERS))
    parser.add_argument("--points", nargs="+", type=int, default=[16, 64, 256])
    parser.add_argument("--frames", type=int, default=120, help="that count")
    parser.add_argument("--slow-frames", type=int, default=3, help="that count for learnt trackers on the CPU")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda; of learnt trackers")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16, float16")
    parser.add_argument("--compile", default="", help="mode of torch.compile: default, reduce-overhead")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if min(arguments.frames, arguments.slow_frames, *arguments.points) < 1:
        parser.error("--frames, --slow-frames and --points must be positive")
    return arguments


def main() -> None:
    logging.basicConfig(format="%(message)s")
    arguments = parse()
    cv2.setNumThreads(arguments.threads)
    cuda = Inference(InferenceSettings(arguments.device)).device.type == "cuda"
    machine = torch.cuda.get_device_name() if cuda else "CPU"
    print(f"learnt trackers on {machine}, torch {torch.__version__}; others on the CPU; {arguments.threads} thread(s)")
    found = {name: measure(name, arguments, cuda) for name in arguments.trackers}
    stages = {f"{name} {n}": times for name, sizes in found.items() for n, times in sizes.items()}
    folder = new_run_folder("trackers")
    write_summary(folder, seed=arguments.seed, latency_ms=stages, device=machine, torch=torch.__version__)
    print(folder / "summary.json")


if __name__ == "__main__":
    main()

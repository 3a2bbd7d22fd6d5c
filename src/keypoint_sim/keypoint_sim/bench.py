"""Speed of the simulated world on one core.

    python -m keypoint_sim.bench

Prints how much faster than real time physics with exact tracks of 200 points runs, and the time of one picture.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.types import ArmCommand
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World

POINTS = 200


def physics_speed(world: World, seconds: float) -> float:
    """Simulated seconds per second of physics, with tracks of `POINTS` points at every exposure."""
    pixels = np.random.default_rng(0).uniform((5, 5), (634, 474), (POINTS, 2))
    points: SurfacePoints = world.attach(pixels)
    world.reset(0)
    hold = ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home)
    started = time.perf_counter()
    while world.stamp < seconds * 1e9:
        if world.frame_due:
            world.tracks(points)
        world.step(hold)
    return seconds / (time.perf_counter() - started)


def frame_times(world: World, count: int) -> list[float]:
    """Seconds that each of `count` pictures took, sensor noise included."""
    world.reset(0)
    world.capture()
    times = []
    for _ in range(count):
        started = time.perf_counter()
        world.capture()
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    """Measures, prints and writes summary.json."""
    parser = argparse.ArgumentParser(description="Speed of the simulated world.")
    parser.add_argument("--seconds", type=float, default=20.0, help="simulated time of the physics run")
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args()
    world = World()
    speed = physics_speed(world, options.seconds)
    times = frame_times(world, options.frames)
    latency = percentiles_ms(times)
    width, height = world.camera.width, world.camera.height
    world.close()
    print(f"physics with exact tracks of {POINTS} points: {speed:.0f}x real time")
    print(
        f"RGB-D {width}x{height} with shadows and sensor noise: {latency['p50']:.1f} ms ({1e3 / latency['p50']:.0f} fps)"
    )
    write_summary(
        new_run_folder("bench-sim"),
        seed=0,
        task=world.task.name,
        robot=world.robot.name,
        condition="rp",
        mode="in_process",
        latency_ms={"render": latency},
        physics_times_real_time=round(speed, 1),
        track_points=POINTS,
    )


if __name__ == "__main__":
    main()

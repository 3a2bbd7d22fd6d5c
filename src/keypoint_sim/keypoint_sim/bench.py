"""Speed of the simulated world on one core, against the bars: `make bench`.

    python -m keypoint_sim.bench --task clock_button --robot franka

With OMP_NUM_THREADS other than 1 idle threads of the linear algebra spin, and their CPU time counts as well.

Physics: the scripted expert's commands are recorded first, without being timed. Then the same scenes are played again with
these commands, so that every contact of the task is in the figure and the expert's inverse kinematics is not, with exact
tracks of 200 points on the task's objects at every exposure. Pictures: colour and depth with shadows and sensor noise, on
the way of the first scene. Time is CPU time of the whole process, which other programs on the machine do not lengthen as
they do wall time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from keypoint_core.errors import KeypointError
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.types import ArmCommand
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.experts_table import WIDTH, check_names
from keypoint_sim.gym.keypoints import spread_keypoints
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World

POINTS = 200
PHYSICS_BAR, PICTURE_BAR = 50.0, 25.0  # times real time, pictures per second

Commands = list[ArmCommand]


@dataclass(frozen=True)
class Stopwatch:
    """What something took [s]: of this process's CPU time, and of the wall clock."""

    cpu: float
    wall: float

    @classmethod
    def time(cls, work: Callable[[], object]) -> Stopwatch:
        """Does the work once."""
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        return cls(time.process_time() - cpu, time.perf_counter() - wall)


@dataclass(frozen=True)
class Speed:
    """One line of the table.

    Attributes:
        task, robot: what was run.
        simulated: time that was simulated [s].
        physics, physics_wall: simulated seconds per second of CPU and of wall time.
        pictures, pictures_wall: pictures per second of CPU and of wall time.
        picture_ms: percentiles of the CPU time of one picture.
    """

    task: str
    robot: str
    simulated: float
    physics: float
    physics_wall: float
    pictures: float
    pictures_wall: float
    picture_ms: dict[str, float]


def record(world: World, seed: int, condition: str) -> Commands:
    """What the expert commands in the scene of a seed, tick by tick."""
    world.reset(seed, condition)
    state, period, commands = world.state(), world.timing.control_period, []
    player, expert = ChunkPlayer(state.position, state.gripper), world.expert()
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            player.take(expert.act())
        commands.append(player.command(world.stamp + period, period))
        world.step(commands[-1])
    return commands


def replay(world: World, commands: Commands, points: SurfacePoints) -> None:
    """Steps through recorded commands, with tracks at every exposure."""
    for command in commands:
        if world.frame_due:
            world.tracks(points)
        world.step(command)


def picture_times(world: World, commands: Commands, count: int) -> list[Stopwatch]:
    """What each of `count` pictures took, evenly over the recorded way."""
    every, times = max(1, len(commands) // count), []
    world.capture()
    for tick, command in enumerate(commands[: every * count]):
        if tick % every == 0:
            times.append(Stopwatch.time(world.capture))
        world.step(command)
    return times


def measure(task: str, robot: str, condition: str, scenes: int, pictures: int) -> Speed:
    """Times one task with one robot."""
    world = World(task, robot)
    points = world.attach(spread_keypoints(world, POINTS))
    recorded = [record(world, seed, condition) for seed in range(scenes)]
    physics = []
    for seed, commands in enumerate(recorded):
        world.reset(seed, condition)
        physics.append(Stopwatch.time(lambda commands=commands: replay(world, commands, points)))
    simulated = sum(map(len, recorded)) * world.timing.control_period * 1e-9
    world.reset(0, condition)
    drawn = picture_times(world, recorded[0], pictures)
    world.close()
    return Speed(
        task,
        robot,
        round(simulated, 1),
        round(simulated / sum(t.cpu for t in physics), 1),
        round(simulated / sum(t.wall for t in physics), 1),
        round(len(drawn) / sum(t.cpu for t in drawn), 1),
        round(len(drawn) / sum(t.wall for t in drawn), 1),
        percentiles_ms([t.cpu for t in drawn]),
    )


def make_table(speeds: list[Speed], condition: str) -> Table:
    """For people; what misses its bar is red."""
    title = (
        f"physics with exact tracks of {POINTS} points, and RGB-D 640x480 with shadows; one core, condition {condition}"
    )
    table = Table(title=title)
    for name in ("task", "robot"):
        table.add_column(name, no_wrap=True)
    for name in ("x real time\n(CPU)", f"bar\n>= {PHYSICS_BAR:.0f}", "x real time\n(wall)"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("pictures/s\n(CPU)", f"bar\n>= {PICTURE_BAR:.0f}", "pictures/s\n(wall)"):
        table.add_column(name, justify="right", no_wrap=True)
    for speed in speeds:
        table.add_row(
            speed.task,
            speed.robot,
            f"{speed.physics:.1f}",
            _verdict(speed.physics, PHYSICS_BAR),
            f"{speed.physics_wall:.1f}",
            f"{speed.pictures:.1f}",
            _verdict(speed.pictures, PICTURE_BAR),
            f"{speed.pictures_wall:.1f}",
        )
    return table


def _verdict(value: float, bar: float) -> str:
    return "met" if value >= bar else "[red]missed[/]"


def main() -> int:
    """Measures, prints and writes summary.json; 2 on bad input. A missed bar is shown, and depends on the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m keypoint_sim.bench", description="Speed of the simulated world on one core."
    )
    parser.add_argument("--task", action="append", help="may be given several times (default: every task)")
    parser.add_argument("--robot", action="append", help="may be given several times (default: every robot)")
    parser.add_argument("--condition", default="rp", help="presets and disturbances joined by +")
    parser.add_argument("--scenes", type=int, default=5, help="scenes that physics is timed over")
    parser.add_argument("--pictures", type=int, default=40, help="pictures that are timed")
    options = parser.parse_args()
    os.environ["LP_NUM_THREADS"] = "0"  # the software renderer works in the calling thread
    cv2.setNumThreads(1)
    console, tasks = Console(width=None if sys.stdout.isatty() else WIDTH), options.task or list(TASKS)
    try:
        robots = check_names(tasks, options.robot or list(ROBOTS), options.condition)
        speeds = [
            measure(task, robot, options.condition, options.scenes, options.pictures)
            for task in tasks
            for robot in robots
        ]
    except KeypointError as error:
        console.print(f"error: {error}", markup=False)
        return 2
    console.print(make_table(speeds, options.condition))
    report(speeds, options.condition)
    return 0


def report(speeds: list[Speed], condition: str) -> None:
    """Writes summary.json."""
    folder = new_run_folder("bench-sim")
    write_summary(
        folder,
        seed=0,
        condition=condition,
        mode="in_process",
        latency_ms={f"render {speed.task} {speed.robot}": speed.picture_ms for speed in speeds},
        track_points=POINTS,
        bars={"physics_times_real_time": PHYSICS_BAR, "pictures_per_second": PICTURE_BAR},
        speeds=[asdict(speed) for speed in speeds],
        slowest={
            "physics_times_real_time": float(np.min([speed.physics for speed in speeds])),
            "pictures_per_second": float(np.min([speed.pictures for speed in speeds])),
        },
    )
    print(f"{folder}/summary.json")


if __name__ == "__main__":
    sys.exit(main())

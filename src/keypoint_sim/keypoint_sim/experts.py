"""Scripted experts: privileged teachers that see where the task's objects are.

    python -m keypoint_sim.experts --n 200

An expert's chunk is a function of the measured arm, the scene and the task's own memory alone, so that it is valid
from any state that a student may bring about.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.types import ActionChunk, ArmCommand, Float64
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.tasks.base import Outcome, TaskStatus, Tool

if TYPE_CHECKING:
    from keypoint_sim.world import World

HORIZON = 8
DT = 1 / 15  # [s]
SLOW_DOWN = 0.12  # the last of the way takes at least this long [s]


class Expert:
    """Rolls its own kinematic plan forward from the measured pose, waypoint by waypoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._arm = ArmKinematics(world.model, world.robot)
        self._gripper = world.robot.gripper()

    def reset(self) -> None:
        """Nothing is kept between calls; the one bit of memory lives in the task."""

    def act(self) -> ActionChunk:
        """The chunk from the present state: joint targets [T, D] at stamp + (i + 1) dt."""
        state, task = self._world.state(), self._world.task
        joints, opening = state.position, self._gripper.opening(state.gripper)
        position, rotation = self._arm.forward(joints)
        targets, grips = [], []
        for _ in range(HORIZON):
            wish = task.waypoint(self._world.data, Tool(position, rotation, opening, self._gripper))
            position = advance(position, wish.position, wish.speed)
            rotation = turn(rotation, wish.rotation, wish.turn_speed)
            joints, position, rotation = self._reach(position, rotation, joints)
            targets.append(joints)
            grips.append(self._gripper.position(wish.opening))
        return ActionChunk(state.stamp, DT, np.array(targets), np.array(grips))

    def _reach(self, position: Float64, rotation: Float64, joints: Float64) -> tuple[Float64, Float64, Float64]:
        """Joint angles toward a TCP pose, cut to the joints' speeds, and the pose that they give."""
        solution, _ = self._arm.solve(position, joints, rotation, iterations=12)
        change = solution - joints
        room = self._arm.arm.velocity * DT * 0.95
        scale = min(1.0, float((room / np.maximum(np.abs(change), 1e-9)).min()))
        joints = joints + scale * change
        return joints, *self._arm.forward(joints)


def advance(position: Float64, goal: Float64, speed: float) -> Float64:
    """One step of DT toward a goal at a saturated speed that fades out close to it."""
    way = goal - position
    distance = float(np.linalg.norm(way))
    step = min(speed * DT, distance * DT / SLOW_DOWN)
    return position + way * (step / distance) if distance > 1e-6 else position.copy()


def turn(rotation: Float64, goal: Float64, speed: float) -> Float64:
    """One step of DT toward a goal rotation [3, 3], at most at `speed` [rad/s]."""
    way = Rotation.from_matrix(goal @ rotation.T).as_rotvec()
    angle = float(np.linalg.norm(way))
    if angle <= speed * DT:
        return goal
    return Rotation.from_rotvec(way * (speed * DT / angle)).as_matrix() @ rotation


class ChunkPlayer:
    """Interpolates the newest chunk at the control rate, from the last command on."""

    def __init__(self, position: Float64, gripper: float) -> None:
        self._last, self._gripper = position.copy(), gripper
        self._stamps, self._rows = np.zeros(1, dtype=np.int64), position[None]

    def take(self, chunk: ActionChunk) -> None:
        """Follows this chunk from its stamp on."""
        step = round(chunk.dt * 1e9)
        self._stamps = chunk.stamp + step * np.arange(len(chunk.positions) + 1)
        self._rows = np.vstack([self._last, chunk.positions])
        self._gripper = float(chunk.gripper[0])

    def command(self, stamp: int, period: int) -> ArmCommand:
        """The command for the tick that ends at `stamp` [ns]."""
        where = (stamp - int(self._stamps[0])) / max(1, int(self._stamps[-1] - self._stamps[0])) * (len(self._rows) - 1)
        index = int(np.clip(np.floor(where), 0, max(0, len(self._rows) - 2)))
        part = float(np.clip(where - index, 0.0, 1.0))
        last = min(index + 1, len(self._rows) - 1)
        position = (1 - part) * self._rows[index] + part * self._rows[last]
        velocity = (position - self._last) / (period * 1e-9)
        self._last = position
        return ArmCommand(position, velocity, self._gripper)


def play(world: World, expert: Expert) -> TaskStatus:
    """Lets the expert act at every exposure until the trial ends."""
    state = world.state()
    player = ChunkPlayer(state.position, state.gripper)
    expert.reset()
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
    return world.status()


def run_seeds(task: str, robot: str, condition: str, seeds: list[int]) -> list[tuple[int, TaskStatus]]:
    """Plays the expert on each seed in this process."""
    from keypoint_sim.world import World

    world, results = World(task, robot), []
    for seed in seeds:
        world.reset(seed, condition)
        results.append((seed, play(world, world.expert())))
    world.close()
    return results


def main() -> None:
    """Plays an expert on many seeds, prints a table and writes summary.json."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description="Success of a task's scripted expert over many seeds.")
    parser.add_argument("--n", type=int, default=200, help="number of seeds")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--task", default="clock_button")
    parser.add_argument("--robot", default="hebi_chopsticks")
    parser.add_argument("--condition", default="rp")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = list(range(options.seed, options.seed + options.n))
    parts = [seeds[i :: options.processes] for i in range(options.processes)]
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        jobs = [(options.task, options.robot, options.condition, part) for part in parts if part]
        results = [result for part in pool.starmap(run_seeds, jobs) for result in part]
    successes = [status for _, status in results if status.outcome == Outcome.SUCCESS]
    reasons = Counter(status.reason for _, status in results if status.outcome != Outcome.SUCCESS)
    seconds = [status.elapsed for status in successes]
    table = Table("task", "robot", "condition", "successes", "median [s]", "slowest [s]", "failures")
    table.add_row(
        options.task,
        options.robot,
        options.condition,
        f"{len(successes)}/{len(results)}",
        f"{np.median(seconds):.2f}" if seconds else "-",
        f"{max(seconds):.2f}" if seconds else "-",
        ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none",
    )
    Console(width=110).print(table)
    folder = new_run_folder("experts")
    write_summary(
        folder,
        seed=options.seed,
        task=options.task,
        robot=options.robot,
        method="expert",
        condition=options.condition,
        mode="in_process",
        trials=len(results),
        successes=len(successes),
        failed_seeds=sorted(seed for seed, status in results if status.outcome != Outcome.SUCCESS),
        episode_seconds={"median": float(np.median(seconds)) if seconds else None, "max": max(seconds, default=None)},
        wall_seconds=round(time.perf_counter() - started, 1),
    )


if __name__ == "__main__":
    main()

"""Success of the scripted experts over many seeds, for every task and robot: `make experts N=200`.

    python -m keypoint_sim.experts --n 200 --task clock_button --robot franka

Seeds are played in one process per core; a result depends on its seed alone. Each goes into `trials.csv` as soon as it is
there, and `--resume <run folder>` plays only what that file lacks. The command fails when a cell of the table is below .99.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from keypoint_core.errors import InputError, KeypointError
from keypoint_core.runs import new_run_folder, success_figures, write_summary
from keypoint_core.statistics import wilson_interval
from keypoint_sim.disturbances import DisturbanceSettings, find_files, parse_condition
from keypoint_sim.disturbances.settings import add_folder_options
from keypoint_sim.experts import play
from keypoint_sim.robots import ROBOTS, load_robot
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World

BAR = 0.99  # every cell must reach this success rate
TRIALS = "trials.csv"
WIDTH = 132  # of output that goes into a file or a pipe [columns]


@dataclass(frozen=True)
class Job:
    """One trial that is to be played."""

    task: str
    robot: str
    condition: str
    seed: int


@dataclass(frozen=True)
class Trial:
    """One line of trials.csv; elapsed is simulated time [s]."""

    task: str
    robot: str
    condition: str
    seed: int
    success: bool
    reason: str
    elapsed: float


@dataclass(frozen=True)
class Cell:
    """All trials of one task with one robot."""

    task: str
    robot: str
    trials: tuple[Trial, ...]

    @property
    def successes(self) -> int:
        """How many succeeded."""
        return sum(trial.success for trial in self.trials)

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.successes >= BAR * len(self.trials)

    @property
    def seconds(self) -> list[float]:
        """Simulated time of the successes [s]."""
        return [trial.elapsed for trial in self.trials if trial.success]

    @property
    def failures(self) -> Counter[str]:
        """Reason -> how often."""
        return Counter(trial.reason for trial in self.trials if not trial.success)

    def figures(self) -> dict[str, Any]:
        """For the summary."""
        return {
            "task": self.task,
            "robot": self.robot,
            **success_figures(self.successes, len(self.trials)),
            "passed": self.passed,
            "median_s": round(float(np.median(self.seconds)), 2) if self.seconds else None,
            "slowest_s": round(max(self.seconds), 2) if self.seconds else None,
            "failures": dict(self.failures),
            "failed_seeds": sorted(trial.seed for trial in self.trials if not trial.success),
        }


class Stage:
    """The world of one task and robot at a time; made anew only when the next job needs another one."""

    def __init__(self, disturbances: DisturbanceSettings = DisturbanceSettings()) -> None:  # noqa: B008 (frozen)
        self._disturbances = disturbances
        self._name: tuple[str, str] | None = None
        self._world: World | None = None

    def play(self, job: Job) -> Trial:
        """Plays one job; what the world refuses counts as a failure with the refusal as its reason."""
        try:
            world = self._world_of(job)
            world.reset(job.seed, job.condition)
            status = play(world, world.expert())
        except KeypointError as error:
            return Trial(job.task, job.robot, job.condition, job.seed, False, f"error: {error}", 0.0)
        success = status.outcome == Outcome.SUCCESS
        return Trial(job.task, job.robot, job.condition, job.seed, success, status.reason, status.elapsed)

    def _world_of(self, job: Job) -> World:
        if self._world is None or self._name != (job.task, job.robot):
            self._world = World(job.task, job.robot, disturbances=self._disturbances)
            self._name = (job.task, job.robot)
        return self._world


_stage = Stage()


def _begin(disturbances: DisturbanceSettings) -> None:
    global _stage
    _stage = Stage(disturbances)


def _play(job: Job) -> Trial:
    return _stage.play(job)


def play_all(jobs: list[Job], processes: int, disturbances: DisturbanceSettings) -> Iterator[Trial]:
    """Trials in the order in which they end."""
    if processes <= 1:
        _begin(disturbances)
        yield from map(_play, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (disturbances,)) as pool:
        yield from pool.imap_unordered(_play, jobs, chunksize=4)


def read_trials(path: Path) -> list[Trial]:
    """What an earlier run left; an unfinished last line is left out.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; --resume takes the folder of an earlier run of this command")
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["elapsed"]]
    return [
        Trial(
            row["task"],
            row["robot"],
            row["condition"],
            int(row["seed"]),
            row["success"] == "True",
            row["reason"],
            float(row["elapsed"]),
        )
        for row in rows
    ]


def write_trials(path: Path, known: list[Trial], fresh: Iterable[Trial]) -> list[Trial]:
    """Writes the known ones, then each fresh one as it comes; returns all."""
    trials = list(known)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Trial))
        writer.writerows(map(astuple, known))
        for trial in fresh:
            writer.writerow(astuple(trial))
            file.flush()
            trials.append(trial)
    return trials


def make_table(cells: list[Cell], condition: str, seeds: range) -> Table:
    """For people."""
    title = f"scripted experts, condition {condition}, seeds {seeds.start} to {seeds.stop - 1}; the bar is {BAR:.0%}"
    table = Table(title=title)
    for name in ("task", "robot"):
        table.add_column(name, no_wrap=True)
    for name in ("successes", "rate", "95 % (Wilson)", "median [s]", "slowest [s]"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("failures")
    for cell in cells:
        n, seconds = len(cell.trials), cell.seconds
        low, high = wilson_interval(cell.successes, n)
        table.add_row(
            cell.task,
            cell.robot,
            f"{cell.successes}/{n}",
            f"{cell.successes / n:.3f}",
            f"{low:.3f} .. {high:.3f}",
            f"{np.median(seconds):.2f}" if seconds else "-",
            f"{max(seconds):.2f}" if seconds else "-",
            ", ".join(f"{count} x {reason}" for reason, count in cell.failures.most_common()) or "none",
            style="" if cell.passed else "red",
        )
    return table


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keypoint_sim.experts", description="Success of the scripted experts over many seeds."
    )
    parser.add_argument("--n", type=int, default=200, help="seeds per task and robot (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--task", action="append", help="may be given several times (default: every task)")
    parser.add_argument("--robot", action="append", help="may be given several times (default: every robot)")
    parser.add_argument("--condition", default="rp", help="presets and disturbances joined by +")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    parser.add_argument("--resume", type=Path, help="folder of an earlier run of this command")
    add_folder_options(parser)
    options = parser.parse_args()
    if options.n < 1 or options.seed < 0:
        parser.error(f"--n must be >= 1 and --seed >= 0, got {options.n} and {options.seed}")
    return options


def check_names(tasks: list[str], robots: list[str], condition: str) -> list[str]:
    """The robots' full names; raises a KeypointError for whatever is not known or not there."""
    for task in tasks:
        TASKS.load(task)
    parse_condition(condition)
    return [load_robot(robot).name for robot in robots]


def main() -> int:
    """Plays, prints the table and writes summary.json; 1 when a cell is below the bar, 2 on bad input."""
    options, console = parse_options(), Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    seeds, condition = range(options.seed, options.seed + options.n), options.condition
    tasks = options.task or list(TASKS)
    try:
        robots = check_names(tasks, options.robot or list(ROBOTS), condition)
        disturbances = DisturbanceSettings(textures_dir=options.textures_dir, objects_dir=options.objects_dir)
        find_files(disturbances)
        known = read_trials(options.resume / TRIALS) if options.resume else []
    except KeypointError as error:
        console.print(f"error: {error}", markup=False)
        return 2
    wanted = [Job(task, robot, condition, seed) for task in tasks for robot in robots for seed in seeds]
    there = {(trial.task, trial.robot, trial.condition, trial.seed) for trial in known}
    jobs = [job for job in wanted if astuple(job) not in there]
    folder, started = options.resume or new_run_folder("experts"), time.perf_counter()
    fresh = track(play_all(jobs, options.processes, disturbances), "trials", total=len(jobs), console=console)
    trials = write_trials(folder / TRIALS, known, fresh)
    cells = gather(wanted, trials)
    console.print(make_table(cells, condition, seeds))
    report(folder, cells, options, time.perf_counter() - started)
    console.print(f"{folder}/summary.json")
    return 0 if all(cell.passed for cell in cells) else 1


def gather(wanted: list[Job], trials: list[Trial]) -> list[Cell]:
    """The table's cells, in the order of the jobs."""
    found = {(trial.task, trial.robot, trial.condition, trial.seed): trial for trial in trials}
    names = dict.fromkeys((job.task, job.robot) for job in wanted)
    return [
        Cell(*name, tuple(found[astuple(job)] for job in wanted if (job.task, job.robot) == name)) for name in names
    ]


def report(folder: Path, cells: list[Cell], options: argparse.Namespace, seconds: float) -> None:
    """Writes summary.json."""
    tasks, robots = {cell.task for cell in cells}, {cell.robot for cell in cells}
    write_summary(
        folder,
        seed=options.seed,
        task=tasks.pop() if len(tasks) == 1 else None,
        robot=robots.pop() if len(robots) == 1 else None,
        method="expert",
        condition=options.condition,
        mode="in_process",
        trials=sum(len(cell.trials) for cell in cells),
        successes=sum(cell.successes for cell in cells),
        bar=BAR,
        cells=[cell.figures() for cell in cells],
        wall_seconds=round(seconds, 1),
    )

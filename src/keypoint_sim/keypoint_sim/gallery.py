"""One picture of what the simulation can show: `make gallery`.

    python -m keypoint_sim.gallery --task clock_button --robot franka

For each task and robot: the reference view with its candidate regions, and samples of the same seeds under each condition.
Leaves `gallery.png` with every task, and a larger `<task>.png` for each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track

from keypoint_core.errors import KeypointError
from keypoint_core.runs import git_revision, new_run_folder, write_summary
from keypoint_sim.contact_sheet import Band, Block, Color, Sheet
from keypoint_sim.disturbances import DisturbanceSettings
from keypoint_sim.experts_table import WIDTH, check_names
from keypoint_sim.gallery_pictures import COLORS, LARGE, Job, draw
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks import TASKS

CONDITIONS = {
    "rp": "poses",
    "rb": "and textures",
    "ro": "and distractors",
    "light": "and light",
    "camera": "moved a little",
    "occluder": "a hand passes",
    "nudge": "pushed (white: before)",
}
SMALL = 160  # height of a sample in gallery.png [px]


def describe(task: str) -> tuple[str, tuple[tuple[str, Color], ...]]:
    """What a task asks for in one sentence, and the legend of its regions."""
    made = TASKS.create(task)
    words = sys.modules[type(made).__module__].__doc__ or ""
    return words.splitlines()[0], tuple(zip(made.regions, COLORS, strict=False))


def draw_all(jobs: list[Job], processes: int) -> Iterator[Block]:
    """Blocks in the order of the jobs."""
    if processes <= 1:
        yield from map(draw, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(draw, jobs)


def make_bands(jobs: list[Job], blocks: list[Block]) -> list[Band]:
    """One band per task, with a block per robot."""
    bands = []
    for task in dict.fromkeys(job.task for job in jobs):
        words, legend = describe(task)
        mine = tuple(block for job, block in zip(jobs, blocks, strict=True) if job.task == task)
        columns = tuple((name, CONDITIONS.get(name, "")) for name in jobs[0].conditions)
        bands.append(Band(task, words, legend, columns, mine))
    return bands


def write(folder: Path, bands: list[Band]) -> None:
    """Writes the pages."""
    title, words = (
        "The simulated world",
        f"reference views, and samples of the same seeds under each condition; {git_revision()}",
    )
    Sheet(SMALL).page(title, words, bands).save(folder / "gallery.png")
    for band in bands:
        Sheet(LARGE, LARGE / SMALL).page(title, words, [band]).save(folder / f"{band.title}.png")


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keypoint_sim.gallery", description="One picture of what the simulation can show."
    )
    parser.add_argument("--task", action="append", help="may be given several times (default: every task)")
    parser.add_argument("--robot", action="append", help="may be given several times (default: every robot)")
    parser.add_argument("--condition", action="append", help="may be given several times (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--n", type=int, default=2, help="seeds per robot (default: %(default)s)")
    parser.add_argument("--textures-dir", default="", help="folder of pictures for table and wall")
    parser.add_argument("--objects-dir", default="", help="folder of OBJ, STL or MJCF files for distractors")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    options = parser.parse_args()
    if options.n < 1 or options.seed < 0:
        parser.error(f"--n must be >= 1 and --seed >= 0, got {options.n} and {options.seed}")
    return options


def make_jobs(options: argparse.Namespace) -> list[Job]:
    """What is to be drawn; every robot shows scenes of its own.

    Raises:
        UnknownNameError: a task, robot or condition is not known.
    """
    tasks, conditions = options.task or list(TASKS), tuple(options.condition or CONDITIONS)
    robots = [check_names(tasks, options.robot or list(ROBOTS), condition) for condition in conditions][0]
    settings = DisturbanceSettings(textures_dir=options.textures_dir, objects_dir=options.objects_dir)
    first = {robot: options.seed + options.n * i for i, robot in enumerate(robots)}
    return [
        Job(task, robot, conditions, tuple(range(first[robot], first[robot] + options.n)), settings)
        for task in tasks
        for robot in robots
    ]


def main() -> int:
    """Draws and writes everything; 2 on bad input."""
    options, console = parse_options(), Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    try:
        jobs = make_jobs(options)
        drawing = draw_all(jobs, min(options.processes, len(jobs)))
        blocks = list(track(drawing, "tasks x robots", total=len(jobs), console=console))
    except KeypointError as error:
        console.print(f"error: {error}", markup=False)
        return 2
    folder = new_run_folder("gallery")
    write(folder, make_bands(jobs, blocks))
    write_summary(
        folder,
        seed=options.seed,
        mode="in_process",
        tasks=list(dict.fromkeys(job.task for job in jobs)),
        robots=list(dict.fromkeys(job.robot for job in jobs)),
        conditions=jobs[0].conditions,
    )
    console.print(f"{folder}/gallery.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

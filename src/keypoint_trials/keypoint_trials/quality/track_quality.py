"""Measures trackers on recorded episodes: `make track-quality TASK=clock_button TRACKER=lucas_kanade,hybrid`.

    python -m keypoint_trials.quality.track_quality --task clock_button --condition light,light+sheet --n 10

Episodes are recorded once (see `episodes`) and reused. Every result goes into the run's folder as soon as it is there, and
`--resume <run folder>` measures only what that folder lacks. A tracker whose package is missing is left out, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.errors import CheckpointError, InputError, KeypointError, MissingDependencyError
from keypoint_core.registry import Registry
from keypoint_core.runs import new_run_folder, runs_root
from keypoint_core.tracking import TRACKERS
from keypoint_trials.parallel import Workers, in_order
from keypoint_trials.quality.episodes import EpisodeRequest, EpisodeSettings, load_episode
from keypoint_trials.quality.record import Studio, default_folder, known_conditions, known_tasks, make_requests
from keypoint_trials.quality.runner import Measured, follow, from_json, measure, to_json
from keypoint_trials.quality.track_report import WIDTH, report

J, R = TypeVar("J"), TypeVar("R")  # a job and one of its results
CONDITIONS = "rp,light,light+occluder,light+nudge,light+sheet"


@dataclass(frozen=True)
class Job:
    """One episode, the trackers that are to be measured on it, and where episodes and results lie."""

    request: EpisodeRequest
    trackers: tuple[str, ...]
    episodes: Path
    results: Path

    def file(self, tracker: str) -> Path:
        """Of one result."""
        return self.results / self.request.task / self.request.title / f"{self.request.seed}-{tracker}.json"

    @property
    def missing(self) -> list[str]:
        """Trackers without a result."""
        return [tracker for tracker in self.trackers if not self.file(tracker).exists()]

    def load(self) -> list[Measured]:
        """All results."""
        return [from_json(json.loads(self.file(tracker).read_text())) for tracker in self.trackers]


def available(registry: Registry, names: str, make: Callable[[str], object]) -> tuple[list[str], dict[str, str]]:
    """Which backends can be made here, and why the others cannot: a package or weights are missing.

    Args:
        registry: of the backends.
        names: joined by commas, or all.
        make: makes the backend of a name; heavy packages may be imported as late as here.

    Raises:
        UnknownNameError: of an unknown name; the message lists the known ones.
        InputError: none can be made.
    """
    found, missing = [], {}
    asked = list(registry) if names == "all" else [part.strip() for part in names.split(",") if part.strip()]
    for name in dict.fromkeys(asked):
        try:
            registry.load(name)
            make(name)
            found.append(name)
        except (MissingDependencyError, CheckpointError) as error:
            missing[name] = str(error)
    if not found:
        raise InputError(f"no {registry.kind} of '{names}' can be run here. " + " ".join(missing.values()))
    return found, missing


def run_folder(name: str, resume: Path | None) -> Path:
    """A new run's folder, or that of the run that is gone on with.

    Raises:
        InputError: there is no such run.
    """
    if resume is None:
        return new_run_folder(name)
    if not resume.is_dir():
        raise InputError(f"there is no run at {resume}; the newest is {runs_root() / 'latest'}")
    return resume.resolve()


def write(path: Path, text: str) -> None:
    """Writes a file that appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, path)


_studio: Studio | None = None


def run(job: Job) -> list[Measured]:
    """Measures what is missing of one job."""
    global _studio
    _studio = _studio or Studio(job.episodes)
    missing = job.missing
    if missing:
        episode = load_episode(_studio.episode(job.request))
        pixels = episode.pixels[0, episode.queries].astype(np.float32)
        for name in missing:
            tracked = follow(TRACKERS.create(name), episode, pixels)
            write(job.file(name), json.dumps(to_json(measure(name, tracked, episode))) + "\n")
    return job.load()


def run_all(work: Callable[[J], list[R]], jobs: list[J], workers: int, title: str, console: Console) -> list[R]:
    """The results of all jobs in their order; they depend on the jobs alone, times excepted.

    Args:
        work: measures one job; a function of a module, as other processes call it.
        jobs: to do.
        workers: processes; 1 runs everything in this one.
        title: of the progress bar.
        console: to show it on.
    """
    shown = track(in_order(work, jobs, Workers(workers)), title, total=len(jobs), console=console)
    return [result for results in shown for result in results]


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measures trackers on simulated episodes with truth.")
    parser.add_argument("--task", default="clock_button", help="names joined by commas, or all")
    parser.add_argument("--condition", default=CONDITIONS, help="joined by commas; +sheet hides the object for 2 s")
    parser.add_argument("--tracker", default="lucas_kanade,hybrid", help="names joined by commas, or all")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--n", type=int, default=4, help="episodes of each task and condition")
    parser.add_argument("--seed", type=int, default=9001, help="of the first episode")
    parser.add_argument("--points", type=int, default=EpisodeSettings.points, help="that are followed")
    parser.add_argument("--frames", type=int, default=EpisodeSettings.frames, help="of an episode, at most")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--episodes", type=Path, default=default_folder(), help="folder of the recorded episodes")
    parser.add_argument("--resume", type=Path, default=None, metavar="RUN", help="measure what this run lacks")
    arguments = parser.parse_args()
    if arguments.n < 1 or arguments.seed < 0:
        parser.error("--n must be positive and --seed not negative")
    return arguments


def main() -> None:
    """Command line."""
    arguments, console = parse(), Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    try:
        trackers, left_out = available(TRACKERS, arguments.tracker, TRACKERS.create)
        for name, reason in left_out.items():
            console.print(f"[yellow]left out[/] {name}: {reason}")
        settings = EpisodeSettings(arguments.points, arguments.frames)
        seeds = range(arguments.seed, arguments.seed + arguments.n)
        tasks, conditions = known_tasks(arguments.task), known_conditions(arguments.condition)
        requests = make_requests(tasks, conditions, seeds, arguments.robot, settings)
        folder = run_folder("track-quality", arguments.resume)
        jobs = [Job(request, tuple(trackers), arguments.episodes, folder / "results") for request in requests]
        measured = run_all(run, jobs, arguments.workers, "episodes", console)
    except KeypointError as error:
        sys.exit(str(error))
    report(measured, folder, arguments, left_out, console)


if __name__ == "__main__":
    main()

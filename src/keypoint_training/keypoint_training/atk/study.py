"""How far ATK's choice depends on where its multiplier starts and on the seed: a run for every pair of them.

    python -m keypoint_training.atk.study --task clock_button --alphas 0.08,0.25,0.8 --seeds 0,1,2
    python -m keypoint_training.atk.study --resume runs/20260101-120000-study

    seed_<s>/trackability.npz, full/     what is gathered once per seed, for all alphas
    seed_<s>/alpha_<a>/                  a run of ATK
    study.csv, overlap.csv, study.png, summary.json

First come all seeds with the first alpha, then all alphas with the first seed, then the rest: what was stopped early has
compared both. At the end, with the first alpha, the same number of random points on the same bodies get a student: do any
points there serve? The files are written anew after every step.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from rich.console import Console, RenderableType

from keypoint_core.arms.description import robot_name
from keypoint_core.errors import InputError
from keypoint_sim.world import World
from keypoint_training.atk import train as atk
from keypoint_training.atk.cell import Cell
from keypoint_training.atk.overlap import RADIUS
from keypoint_training.atk.settings import AtkSettings, SelectionSettings
from keypoint_training.atk.study_figure import write_figure
from keypoint_training.atk.study_report import Report, tables, write_files
from keypoint_training.command import open_run, run_command
from keypoint_training.dagger import LOG
from keypoint_training.policy_command import SCENES, add_options
from keypoint_training.progress import Bars

METHOD = "study"
PICTURE = "study.png"
OPTIONS = {name: words for name, words in atk.OPTIONS.items() if name != "rendered_episodes"}
SELECTION_OPTIONS = {name: words for name, words in atk.SELECTION_OPTIONS.items() if name != "alpha"}
T = TypeVar("T", int, float)


@dataclass(frozen=True)
class StudySettings:
    """A whole study.

    Attributes:
        alphas: starts of the multiplier.
        seeds: of training.
        scenes: unseen ones to evaluate each student on, per grade of tracks.
        base: what all runs have in common; its seed and alpha are replaced.
    """

    alphas: tuple[float, ...] = (0.08, 0.25, 0.8)
    seeds: tuple[int, ...] = (0, 1, 2)
    scenes: int = SCENES
    base: AtkSettings = field(default_factory=AtkSettings)

    def __post_init__(self) -> None:
        for name, values in (("alphas", self.alphas), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise InputError(f"{name} must be one or more different numbers, got {values}")
        for seed, alpha in itertools.chain(*self.parts):
            _ = self.of(seed, alpha).full_set  # refuses what cannot be run before anything is

    @property
    def parts(self) -> list[list[tuple[int, float]]]:
        """Seed and alpha of every cell, in the parts and the order in which they are run."""
        (first, *seeds), (start, *alphas) = self.seeds, self.alphas
        across = [[(seed, start) for seed in self.seeds], [(first, alpha) for alpha in alphas]]
        return [*across, [(seed, alpha) for alpha in alphas for seed in seeds]]

    def of(self, seed: int, alpha: float) -> AtkSettings:
        """The run of one cell."""
        return replace(self.base, seed=seed, selection=replace(self.base.selection, alpha=alpha))


def study(folder: Path, settings: StudySettings, workers: int, radius: float, console: Console) -> Report:
    """Runs what is missing and writes the files; returns what they hold.

    Args:
        folder: of the study; what it holds already is used.
        settings: of the study.
        workers: processes; 0 runs everything in this one.
        radius: up to which kept points of two runs count as the same [px].
        console: shows progress.
    """
    world = World(settings.base.task, settings.base.robot)
    reference, regions = world.reference(), world.regions()
    parts = [[Cell(folder, settings.of(*pair), workers) for pair in part] for part in settings.parts]
    cells = [cell for part in parts for cell in part]

    def show(work: str, cell: Cell) -> Bars:
        console.print(f"{work}: {cell.name} ({cells.index(cell) + 1} of {len(cells)})", highlight=False)
        return Bars(console)

    def write() -> Report:
        results = [result for cell in cells if (result := cell.result()) is not None]
        report = Report(tuple(sorted(results, key=lambda one: (one.alpha, one.seed))), regions, radius)
        write_files(folder, settings.base.task, settings.base.robot, report)
        write_figure(folder / PICTURE, settings.base.task, reference.frame.color, report)
        return report

    for cell in cells:
        if cell.chosen:  # by a run that was stopped: it is in the files from the beginning
            cell.choose(world, reference, lambda stage, done, total: None)
    for part in parts:
        for cell in part:
            with show("mask", cell) as bars:
                cell.choose(world, reference, bars.show)
            write()
        for cell in part:
            with show("student", cell) as bars:
                cell.train(world, settings.scenes, bars.show)
            write()
    for cell in parts[0]:
        with show("random points on the same bodies", cell) as bars:
            cell.control(world, settings.scenes, bars.show)
    report = write()
    world.close()
    return report


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    default, study = AtkSettings(), StudySettings()
    parser = argparse.ArgumentParser(
        description="Study how ATK's choice depends on the start of alpha and on the seed."
    )
    parser.add_argument("--task", default=default.task)
    parser.add_argument("--robot", type=robot_name, default=default.robot)
    parser.add_argument("--alphas", type=_numbers(float), default=study.alphas, help="starts, with commas between")
    parser.add_argument("--seeds", type=_numbers(int), default=study.seeds, help="with commas between")
    parser.add_argument(
        "--scenes", type=int, default=study.scenes, help="unseen scenes per student and grade of tracks"
    )
    parser.add_argument("--radius", type=float, default=RADIUS, help="up to which kept points count as the same [px]")
    parser.add_argument("--workers", type=int, default=2, help="processes; the results do not depend on it")
    parser.add_argument("--resume", type=Path, help="study to go on with; its settings are used, but for the radius")
    add_options(parser, default, OPTIONS)
    add_options(parser, default.selection, SELECTION_OPTIONS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    options, console = parse(arguments), Console()

    def prepare() -> tuple[Path, StudySettings]:
        chosen = SelectionSettings(**{name: getattr(options, name) for name in SELECTION_OPTIONS})
        given = {name: getattr(options, name) for name in ("task", "robot", *OPTIONS)}
        options.base = AtkSettings(**given, selection=chosen)
        return open_run(METHOD, StudySettings, options, ("alphas", "seeds", "scenes", "base"))

    def work(folder: Path, settings: StudySettings) -> list[RenderableType]:
        report = study(folder, settings, options.workers, options.radius, console)
        return [*tables(report), f"picture: {folder / PICTURE}"]

    go_on = "python -m keypoint_training.atk.study --resume"
    return run_command(console, prepare, work, (LOG, logging.DEBUG), go_on)


def _numbers(kind: type[T]) -> Callable[[str], tuple[T, ...]]:
    """Reads "1,2,3"."""

    def numbers(text: str) -> tuple[T, ...]:
        return tuple(kind(word) for word in text.split(","))

    return numbers


if __name__ == "__main__":
    sys.exit(main())

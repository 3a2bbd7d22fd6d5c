"""Trains what ATK is compared with: the same candidates, data and budget, other keypoints.

    python -m keypoint_training.atk.baselines --task clock_button --method random_select --seed 1

full_set keeps every candidate, random_select as many as the task's ATK checkpoint at random, heuristic as many spread over
the task's objects. The last is told which objects the task names, and nothing else; it stands for the paper's GPTSelect.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from keypoint_core.checkpoint import checkpoint_of_robot, load_checkpoint, models_folder
from keypoint_core.errors import InputError
from keypoint_core.runs import git_revision
from keypoint_core.types import Float32
from keypoint_sim.world import World
from keypoint_training.atk import train as atk
from keypoint_training.atk.run import AtkRun, where
from keypoint_training.atk.selection import Selection
from keypoint_training.atk.settings import AtkSettings
from keypoint_training.command import open_run, run_command
from keypoint_training.crew import load_student
from keypoint_training.dagger import LOG
from keypoint_training.export import export_checkpoint, rig_of
from keypoint_training.policy_command import (
    add_options,
    changed_options,
    command_line,
    figures_table,
    policy_parser,
    write_figures,
)
from keypoint_training.progress import Bars
from keypoint_training.rng import Stream, generator
from keypoint_training.tracks import MIN_LOCATED

FULL_SET, RANDOM_SELECT, HEURISTIC = "full_set", "random_select", "heuristic"
METHODS = (FULL_SET, RANDOM_SELECT, HEURISTIC)


@dataclass(frozen=True)
class BaselineSettings(AtkSettings):
    """A whole run.

    Attributes:
        method: one of METHODS.
        keep: points to keep, but for full_set, which keeps all.
    """

    method: str = RANDOM_SELECT
    keep: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in METHODS:
            raise InputError(f"the method is one of {', '.join(METHODS)}, got '{self.method}'")
        if not MIN_LOCATED <= self.keep <= self.candidates:
            raise InputError(f"keep {MIN_LOCATED} to {self.candidates} points, got {self.keep}")


def choose(settings: BaselineSettings, pixels: Float32, on_object: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of the points that a baseline keeps, ascending.

    Args:
        settings: of the run.
        pixels: [M, 2] candidates.
        on_object: [M] whether each lies on an object that the task names; used by the heuristic alone.

    Raises:
        InputError: the objects carry too few candidates.
    """
    if settings.method == FULL_SET:
        return np.arange(len(pixels))
    if settings.method == RANDOM_SELECT:
        rng = generator(settings.seed, Stream.SELECTION, 20)
        return np.sort(rng.choice(len(pixels), settings.keep, replace=False))
    there = np.flatnonzero(on_object)
    if len(there) < settings.keep:
        raise InputError(f"{settings.keep} points are to be kept, {len(there)} candidates lie on the task's objects")
    return np.sort(there[_spread(pixels[there], settings.keep)])


def _spread(pixels: Float32, count: int) -> list[int]:
    """Indices of points far from one another, beginning with the one nearest to the middle."""
    chosen = [int(np.argmin(np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)))]
    nearest = np.linalg.norm(pixels - pixels[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.linalg.norm(pixels - pixels[chosen[-1]], axis=1))
    return chosen


def train(
    folder: Path, settings: BaselineSettings, workers: int, scenes: int, checkpoint: Path, bars: Bars
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Chooses, trains, evaluates on unseen scenes and exports; returns what was kept and the evaluation's figures.

    Args:
        folder: of the run; what it holds already is used.
        settings: of the run.
        workers: processes; 0 runs everything in this one.
        scenes: to evaluate on, per grade of tracks.
        checkpoint: folder to export to; replaced.
        bars: shows progress.
    """
    started = time.perf_counter()
    world = World(settings.task, settings.robot)
    reference = world.reference()
    candidates = atk.find_candidates(folder, world, reference, settings, bars.show)
    bodies = candidates.traits.bodies
    kept = choose(settings, candidates.pixels, np.isin(bodies, world.task.bodies))
    run = AtkRun(folder, settings, world.camera.intrinsics, candidates, workers, bars.show)
    selection = given(kept, settings)
    weights = run.train(selection)
    figures = run.evaluate(selection, weights, scenes)
    report = {
        "candidates": len(bodies),
        "kept": kept.tolist(),
        "kept_on": where([bodies[i] for i in kept], world.regions()),
    }
    command = training_command(settings, scenes)
    training = {"command": command, "seed": settings.seed, "git": git_revision(), "selection": report}
    metrics = {"without_rendering": {"command": command, "scenes": f"0 .. {scenes - 1}", **figures}}
    student, pixels = settings.student(len(kept)), candidates.pixels[kept]
    policy = load_student(weights)
    export_checkpoint(
        checkpoint, rig_of(world), reference.frame, pixels, policy, student, training, metrics, settings.method
    )
    world.close()
    seconds = round(time.perf_counter() - started, 1)
    write_figures(folder, settings, settings.method, figures, checkpoint, seconds, selection=report)
    return kept, figures


def given(kept: NDArray[np.int64], settings: AtkSettings) -> Selection:
    """A selection that nobody learnt."""
    chances = np.isin(np.arange(settings.candidates), kept).astype(np.float64)
    return Selection(chances, kept, float("nan"), float("nan"), settings.selection.margin, ())


def training_command(settings: BaselineSettings, scenes: int) -> str:
    """The command that makes these weights and figures."""
    options = [f"--method {settings.method}", f"--keep {settings.keep}"]
    options += changed_options(settings, BaselineSettings(), ("robot", *atk.OPTIONS))
    return command_line("keypoint_training.atk.baselines", settings, options, scenes)


def points_of_atk(task: str, robot: str) -> int:
    """How many points the task's ATK checkpoint keeps; raises CheckpointError without one."""
    return len(load_checkpoint(checkpoint_of_robot(f"{task}/{atk.METHOD}", robot)).card.keypoint_ids)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    parser = policy_parser("Train what ATK is compared with.", BaselineSettings())
    parser.add_argument("--method", choices=METHODS, default=RANDOM_SELECT, help="how the points are chosen")
    parser.add_argument("--keep", type=int, default=None, help="points to keep (default: as ATK's checkpoint)")
    add_options(parser, BaselineSettings(), atk.OPTIONS)
    options, console = parser.parse_args(arguments), Console()

    def prepare() -> tuple[Path, BaselineSettings]:
        if options.keep is None and not options.resume:
            options.keep = points_of_atk(options.task, options.robot)
        names = ("task", "robot", "seed", "method", "keep", *atk.OPTIONS)
        return open_run(options.method, BaselineSettings, options, names)

    def work(folder: Path, settings: BaselineSettings) -> tuple[str, Table, str]:
        name = checkpoint_of_robot(f"{settings.task}/{settings.method}", settings.robot, settings.seed)
        checkpoint = options.output or models_folder() / name
        with Bars(console) as bars:
            kept, figures = train(folder, settings, options.workers, options.scenes, checkpoint, bars)
        words = f"{settings.method}: {len(kept)} of {settings.candidates} points"
        return words, figures_table(figures), f"checkpoint: {checkpoint}"

    go_on = "python -m keypoint_training.atk.baselines --resume"
    return run_command(console, prepare, work, (LOG, logging.DEBUG), go_on)


if __name__ == "__main__":
    sys.exit(main())

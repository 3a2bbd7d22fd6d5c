"""Trains the keypoint policy of a task and exports its checkpoint.

    python -m keypoint_training.train --task clock_button --seed 0
    python -m keypoint_training.train --resume runs/20260101-120000-train

Nothing is rendered but the reference view. The run folder keeps data, students, log and figures; it can be taken up
again after a stop and ends in the same weights.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from keypoint_core.checkpoint import checkpoint_of_robot, models_folder
from keypoint_core.runs import git_revision
from keypoint_sim.world import World
from keypoint_training.command import open_run, run_command
from keypoint_training.crew import Crew, load_student
from keypoint_training.dagger import LOG, Dagger
from keypoint_training.evaluation import evaluate
from keypoint_training.export import METHOD, export_checkpoint, rig_of
from keypoint_training.keypoints import choose_keypoints
from keypoint_training.policy_command import (
    add_options,
    changed_options,
    command_line,
    figures_table,
    policy_parser,
    write_figures,
)
from keypoint_training.progress import Bars
from keypoint_training.rng import scene_seed
from keypoint_training.settings import TrainSettings

OPTIONS = {
    "demonstrations": "episodes of the expert",
    "rounds": "of DAgger",
    "round_episodes": "per round",
    "round_steps": "optimiser steps per round",
    "final_steps": "optimiser steps at the end",
}


def train(
    folder: Path, settings: TrainSettings, workers: int, scenes: int, checkpoint: Path, bars: Bars
) -> dict[str, Any]:
    """Trains, evaluates on unseen scenes and exports; returns the figures of the evaluation.

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
    pixels = choose_keypoints(world, reference, settings.keypoints)
    with Crew(settings, pixels, workers) as crew:
        weights = Dagger(folder, settings, world.camera.intrinsics, crew, bars.show).run()
        figures = evaluate(crew, settings, weights, scenes, bars.show)
    seconds = round(time.perf_counter() - started, 1)
    command = training_command(settings, scenes)
    training = {
        "command": command,
        "seed": settings.seed,
        "git": git_revision(),
        "episodes": settings.episodes,
        "scenes": f"{scene_seed(settings.seed, 0)} .. {scene_seed(settings.seed, settings.episodes - 1)}",
    }
    metrics = {"without_rendering": {"command": command, "scenes": f"0 .. {scenes - 1}", **figures}}
    export_checkpoint(
        checkpoint, rig_of(world), reference.frame, pixels, load_student(weights), settings, training, metrics
    )
    world.close()
    LOG.info("checkpoint: %s", checkpoint)
    write_figures(folder, settings, METHOD, figures, checkpoint, seconds, episodes=settings.episodes)
    return figures


def training_command(settings: TrainSettings, scenes: int) -> str:
    """The command that makes these weights and figures."""
    options = changed_options(settings, TrainSettings(), ("robot", *OPTIONS))
    return command_line("keypoint_training.train", settings, options, scenes)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    default = TrainSettings()
    parser = policy_parser("Train the keypoint policy of a task in simulation.", default)
    add_options(parser, default, OPTIONS)
    return parser.parse_args(arguments)


def main() -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    options, console = parse(), Console()

    def work(folder: Path, settings: TrainSettings) -> tuple[Table, str]:
        name = checkpoint_of_robot(f"{settings.task}/{METHOD}", settings.robot, settings.seed)
        checkpoint = options.output or models_folder() / name
        with Bars(console) as bars:
            figures = train(folder, settings, options.workers, options.scenes, checkpoint, bars)
        return figures_table(figures), f"checkpoint: {checkpoint}"

    return run_command(
        console,
        lambda: open_run("train", TrainSettings, options, ("task", "robot", "seed", *OPTIONS)),
        work,
        (LOG, logging.DEBUG),
        "python -m keypoint_training.train --resume",
    )


if __name__ == "__main__":
    sys.exit(main())

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

from keypoint_core.arms.description import robot_name
from keypoint_core.checkpoint import checkpoint_of_robot, models_folder
from keypoint_core.runs import git_revision, write_summary
from keypoint_sim.world import World
from keypoint_training.command import open_run, run_command
from keypoint_training.crew import Crew, load_student
from keypoint_training.dagger import LOG, Dagger
from keypoint_training.evaluation import evaluate
from keypoint_training.export import METHOD, export_checkpoint
from keypoint_training.keypoints import choose_keypoints
from keypoint_training.progress import Bars
from keypoint_training.rng import scene_seed
from keypoint_training.settings import TrainSettings

SCENES = 200  # to evaluate on, per grade of tracks


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
    export_checkpoint(checkpoint, world, reference, pixels, load_student(weights), settings, training, metrics)
    world.close()
    LOG.info("checkpoint: %s", checkpoint)
    write_figures(folder, settings, figures, checkpoint, seconds)
    return figures


def training_command(settings: TrainSettings, scenes: int) -> str:
    """The command that makes these weights and figures."""
    default = TrainSettings()
    words = ["python -m keypoint_training.train", f"--task {settings.task}", f"--seed {settings.seed}"]
    for name in ("robot", "demonstrations", "rounds", "round_episodes", "round_steps", "final_steps"):
        if getattr(settings, name) != getattr(default, name):
            words.append(f"--{name.replace('_', '-')} {getattr(settings, name)}")
    if scenes != SCENES:
        words.append(f"--scenes {scenes}")
    return " ".join(words)


def write_figures(
    folder: Path, settings: TrainSettings, figures: dict[str, Any], checkpoint: Path, seconds: float
) -> None:
    """summary.json; its trials and successes are those of the middle grade of tracks."""
    noisy = figures["noisy_tracks"]
    write_summary(
        folder,
        seed=settings.seed,
        task=settings.task,
        robot=settings.robot,
        method=METHOD,
        condition="noisy_tracks",
        mode="in_process",
        trials=noisy["trials"],
        successes=noisy["successes"],
        grades=figures,
        episodes=settings.episodes,
        checkpoint=str(checkpoint),
        wall_seconds=seconds,
    )


def figures_table(figures: dict[str, Any]) -> Table:
    """For people."""
    table = Table("tracks", "trials", "successes", "rate", "95 % interval", "failures")
    for name, grade in figures.items():
        low, high = grade["wilson_95"]
        failures = ", ".join(f"{count} {reason}" for reason, count in grade["failures"].items()) or "none"
        table.add_row(
            name.replace("_", " "),
            str(grade["trials"]),
            str(grade["successes"]),
            f"{grade['success_rate']:.3f}",
            f"{low:.3f} .. {high:.3f}",
            failures,
        )
    return table


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    default = TrainSettings()
    parser = argparse.ArgumentParser(description="Train the keypoint policy of a task in simulation.")
    parser.add_argument("--task", default=default.task)
    parser.add_argument("--robot", type=robot_name, default=default.robot)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--demonstrations", type=int, default=default.demonstrations, help="episodes of the expert")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="of DAgger")
    parser.add_argument("--round-episodes", type=int, default=default.round_episodes)
    parser.add_argument("--round-steps", type=int, default=default.round_steps, help="optimiser steps per round")
    parser.add_argument("--final-steps", type=int, default=default.final_steps, help="optimiser steps at the end")
    parser.add_argument("--workers", type=int, default=2, help="processes; the weights do not depend on it")
    parser.add_argument("--scenes", type=int, default=SCENES, help="unseen scenes to evaluate on, per grade of tracks")
    parser.add_argument("--output", type=Path, help="checkpoint folder (default: the task's and robot's)")
    parser.add_argument("--resume", type=Path, help="run folder to go on with; its settings are used")
    return parser.parse_args(arguments)


def main() -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    options, console = parse(), Console()
    names = ("task", "robot", "seed", "demonstrations", "rounds", "round_episodes", "round_steps", "final_steps")

    def work(folder: Path, settings: TrainSettings) -> tuple[Table, str]:
        name = checkpoint_of_robot(f"{settings.task}/{METHOD}", settings.robot)
        checkpoint = options.output or models_folder() / name
        with Bars(console) as bars:
            figures = train(folder, settings, options.workers, options.scenes, checkpoint, bars)
        return figures_table(figures), f"checkpoint: {checkpoint}"

    return run_command(
        console,
        lambda: open_run("train", TrainSettings, options, names),
        work,
        (LOG, logging.DEBUG),
        "python -m keypoint_training.train --resume",
    )


if __name__ == "__main__":
    sys.exit(main())

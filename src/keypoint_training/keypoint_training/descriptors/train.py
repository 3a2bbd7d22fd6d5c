"""Trains the dense descriptors and writes their checkpoint.

    python -m keypoint_training.descriptors.train --cache /tmp/descriptors --steps 12000
    python -m keypoint_training.descriptors.train --cache /tmp/descriptors --resume runs/20260101-120000-descriptors

The pictures are drawn first, into the cache folder, where they are found again. The run folder keeps settings, state
and log; a run that was stopped ends in the same weights when it is taken up again.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from keypoint_core.checkpoint import models_folder
from keypoint_core.features.descriptor_card import FOLDER, DescriptorCard, save_descriptors
from keypoint_core.features.descriptors import DenseDescriptors
from keypoint_core.runs import git_revision, write_summary
from keypoint_training.command import open_run, run_command
from keypoint_training.descriptors.fitting import STATE, Fitting
from keypoint_training.descriptors.pairs import Pairs
from keypoint_training.descriptors.scenes import PICTURES, draw_scenes
from keypoint_training.descriptors.settings import DescriptorTraining
from keypoint_training.descriptors.validation import (
    CONDITION,
    FIRST_SEED,
    SCENES,
    Patches,
    Trial,
    UprightSift,
    draw_trials,
    figures_table,
    measure,
)
from keypoint_training.progress import Bars
from keypoint_training.run_folder import save_settings

LOG = logging.getLogger("keypoint_training.descriptors")
SAVE_EVERY, MEASURE_EVERY, LOG_EVERY = 500, 2000, 100  # steps


def train(folder: Path, settings: DescriptorTraining, options: argparse.Namespace, bars: Bars) -> dict[str, Any]:
    """Draws, trains, measures and writes the checkpoint; returns the figures per kind of features.

    Args:
        folder: of the run; what it holds already is used.
        settings: of the run.
        options: of the command line.
        bars: shows progress.
    """
    scenes = draw_scenes(options.cache, settings.seed, settings.scenes, bars.show)
    trials = draw_trials(options.cache, SCENES, bars.show)
    fitting = Fitting(Pairs(scenes, settings), settings, options.device)
    if (folder / STATE).is_file():
        fitting.load(folder)
        LOG.info("taken up at step %d", fitting.done)
    _run(fitting, folder, trials, options.minutes, bars)
    output = options.output or models_folder() / FOLDER
    training = {"command": command(fitting.settings), "seed": settings.seed, "git": git_revision()}
    training |= {"pictures": sum(len(scene.color) for scene in scenes), "steps": fitting.done}
    training["settings"] = asdict(fitting.settings)
    figures = _figures(folder, fitting, trials)
    results = {"descriptors": figures, "upright_sift": measure(UprightSift(), trials)}
    results["patches"] = measure(Patches(), trials)
    metrics = {
        "found_again": {
            "command": "python -m keypoint_training.descriptors.validation --baselines",
            "scenes": f"{FIRST_SEED} .. {FIRST_SEED + SCENES - 1}, condition {CONDITION}",
            **results,
        }
    }
    _write(output, fitting, training, metrics)
    LOG.info("checkpoint: %s", output)
    write_summary(folder, seed=settings.seed, method="descriptors", condition=CONDITION, results=results)
    return results


def _run(fitting: Fitting, folder: Path, trials: list[Trial], minutes: float | None, bars: Bars) -> None:
    """Steps to the end; with `minutes`, so many steps that they take about that long."""
    started, losses = time.monotonic(), list[float]()
    while fitting.done < fitting.settings.steps:
        losses.append(fitting.step())
        done, settings = fitting.done, fitting.settings
        used = (time.monotonic() - started) / 60
        if minutes is not None and used > (1 - settings.cool_down) * minutes:
            fitting.end_at(min(settings.steps, math.ceil(done / (1 - settings.cool_down))))
            save_settings(folder, fitting.settings)
            minutes = None
        if done % LOG_EVERY == 0:
            LOG.info("step %d, loss %.4f, %.1f min", done, np.mean(losses[-LOG_EVERY:]), used)
            bars.show("training", done, fitting.settings.steps)
        if done % SAVE_EVERY == 0:
            fitting.save(folder)
        if done % MEASURE_EVERY == 0:
            LOG.info("step %d: %s", done, _figures(folder, fitting, trials)["all"])
    fitting.save(folder)


def _figures(folder: Path, fitting: Fitting, trials: list[Trial]) -> dict[str, Any]:
    """Of the averaged weights, which it writes into the run folder."""
    checkpoint = folder / "checkpoint"
    _write(checkpoint, fitting, {"steps": fitting.done}, {})
    return measure(DenseDescriptors(checkpoint), trials)


def _write(folder: Path, fitting: Fitting, training: dict[str, Any], metrics: dict[str, Any]) -> None:
    settings = fitting.settings
    card = DescriptorCard(settings.network, settings.loss.temperature, training, metrics)
    save_descriptors(folder, fitting.average, card)


def command(settings: DescriptorTraining) -> str:
    """The command that makes these weights."""
    words = ["python -m keypoint_training.descriptors.train", f"--seed {settings.seed}", f"--steps {settings.steps}"]
    return " ".join([*words, f"--scenes {settings.scenes}"])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    default = DescriptorTraining()
    parser = argparse.ArgumentParser(description="Train the dense descriptors on pictures of the simulated world.")
    parser.add_argument("--cache", type=Path, default=PICTURES, help="folder of the pictures")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--scenes", type=int, default=default.scenes, help="per task and robot, two pictures each")
    parser.add_argument("--steps", type=int, default=default.steps, help="of the optimiser")
    parser.add_argument("--minutes", type=float, help="ends earlier, after about so long; the card says how many steps")
    parser.add_argument("--device", default="cpu", help="of torch")
    parser.add_argument("--output", type=Path, help="checkpoint folder (default: descriptors in the models folder)")
    parser.add_argument("--resume", type=Path, help="run folder to go on with; its settings are used")
    return parser.parse_args(arguments)


def main() -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    options, console = parse(), Console()

    def work(folder: Path, settings: DescriptorTraining) -> tuple[Table]:
        with Bars(console) as bars:
            results = train(folder, settings, options, bars)
        return (figures_table(results),)

    return run_command(
        console,
        lambda: open_run("descriptors", DescriptorTraining, options, ("seed", "scenes", "steps")),
        work,
        (LOG, logging.INFO),
        "--resume",
    )


if __name__ == "__main__":
    sys.exit(main())

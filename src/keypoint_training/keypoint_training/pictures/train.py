"""Distils the expert into a student that looks at pictures: what keypoints are compared with.

    python -m keypoint_training.pictures.train --task clock_button --modality depth
    python -m keypoint_training.pictures.train --resume runs/20260101-120000-rgb

Every episode is rendered, under the condition `rp`. Demonstrations are rendered once for all modalities, into
`runs/picture-demonstrations`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from keypoint_core.checkpoint import checkpoint_of_robot, models_folder
from keypoint_core.policies.image_mlp import MODALITIES
from keypoint_core.runs import git_revision, runs_root
from keypoint_sim.world import World
from keypoint_training.command import open_run, run_command
from keypoint_training.export import export_checkpoint, rig_of
from keypoint_training.pictures.gather import load_student
from keypoint_training.pictures.run import LOG, PictureRun
from keypoint_training.pictures.settings import PictureSettings
from keypoint_training.policy_command import add_options, changed_options, command_line, policy_parser
from keypoint_training.progress import Bars

OPTIONS = {
    "demonstrations": "rendered episodes of the expert",
    "rounds": "of DAgger",
    "round_episodes": "rendered episodes per round",
    "round_steps": "optimiser steps of a student that drives",
    "final_steps": "optimiser steps at the end",
}


def demonstrations_file(settings: PictureSettings) -> Path:
    """Where the demonstrations of a run lie, whatever its modality."""
    s = settings
    name = f"{s.task}-{s.robot}-seed{s.seed}-{s.demonstrations}-{s.width}x{s.height}.npz"
    return runs_root() / "picture-demonstrations" / name


def train(folder: Path, settings: PictureSettings, workers: int, checkpoint: Path, bars: Bars) -> None:
    """Gathers, trains and exports.

    Args:
        folder: of the run; what it holds already is used.
        settings: of the run.
        workers: processes; 0 runs everything in this one.
        checkpoint: folder to export to; replaced.
        bars: shows progress.
    """
    world = World(settings.task, settings.robot)
    camera = world.camera.intrinsics
    weights = PictureRun(folder, demonstrations_file(settings), settings, camera, workers, bars.show).train()
    training = {"command": training_command(settings), "seed": settings.seed, "git": git_revision()}
    none = np.empty((0, 2), dtype=np.float32)
    policy, reference = load_student(weights), world.reference()
    export_checkpoint(
        checkpoint, rig_of(world), reference.frame, none, policy, settings.train, training, {}, settings.modality
    )
    world.close()
    LOG.info("checkpoint: %s", checkpoint)


def training_command(settings: PictureSettings) -> str:
    """The command that makes these weights."""
    options = [f"--modality {settings.modality}"]
    options += changed_options(settings, PictureSettings(), ("robot", *OPTIONS))
    return command_line("keypoint_training.pictures.train", settings, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    default = PictureSettings()
    parser = policy_parser("Distil the expert into a student that looks at pictures.", default, scenes=False)
    parser.add_argument("--modality", choices=MODALITIES, default=default.modality, help="what it looks at")
    add_options(parser, default, OPTIONS)
    options, console = parser.parse_args(arguments), Console()

    def prepare() -> tuple[Path, PictureSettings]:
        names = ("task", "robot", "seed", "modality", *OPTIONS)
        return open_run(options.modality, PictureSettings, options, names)

    def work(folder: Path, settings: PictureSettings) -> tuple[str]:
        name = checkpoint_of_robot(f"{settings.task}/{settings.modality}", settings.robot, settings.seed)
        checkpoint = options.output or models_folder() / name
        with Bars(console) as bars:
            train(folder, settings, options.workers, checkpoint, bars)
        return (
            f"checkpoint: {checkpoint}; its success: make evaluate TASK={settings.task} METHOD={settings.modality}",
        )

    go_on = "python -m keypoint_training.pictures.train --resume"
    return run_command(console, prepare, work, (LOG, logging.DEBUG), go_on)


if __name__ == "__main__":
    sys.exit(main())

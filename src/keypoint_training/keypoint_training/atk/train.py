"""Chooses the keypoints that a task needs, trains the policy on them and exports its checkpoint.

    python -m keypoint_training.atk.train --task clock_button --seed 0
    python -m keypoint_training.atk.train --resume runs/20260101-120000-atk

Little is rendered: the reference view, and a few episodes on which the deployed tracker shows which points it can hold.
Nobody says what in the picture matters. The run folder keeps data, students, the mask, log and figures; it can be taken up
again after a stop and ends in the same weights.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from keypoint_core.checkpoint import checkpoint_of_robot, models_folder, save_card
from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.runs import git_revision
from keypoint_core.tracking import TRACKERS
from keypoint_sim.truth import ReferenceView
from keypoint_sim.world import World
from keypoint_training.atk.candidates import choose_candidates
from keypoint_training.atk.picture import draw_selection
from keypoint_training.atk.run import AtkRun, Candidates, Progress, where
from keypoint_training.atk.selection import Selection
from keypoint_training.atk.settings import AtkSettings, SelectionSettings
from keypoint_training.atk.trackability import load_traits, measure_trackability, save_traits
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
from keypoint_training.rng import SCENES_PER_SEED, scene_seed
from keypoint_training.tracks import Traits

METHOD = "atk"
PICTURE = "selection.png"
TRACKABILITY = "trackability.npz"
OPTIONS = {
    "candidates": "points to choose from",
    "tracker_scenes": "rendered, to measure how well each candidate is found and held",
    "demonstrations": "episodes of the expert",
    "rounds": "of DAgger in which FullSet drives",
    "round_episodes": "per round",
    "student_rounds": "of DAgger in which the student of the kept points drives",
    "round_steps": "optimiser steps of every student that drives",
    "final_steps": "optimiser steps at the end",
    "rendered_episodes": "of a last round on rendered frames, with correspondence and tracker; 0 leaves it out",
}
SELECTION_OPTIONS = {
    "margin": "imitation loss that the mask may cost, as a part of the best",
    "alpha": "weight of the penalty at the start; it adapts",
    "least": "points below which nothing is penalised",
    "worth": "growth of the loss, as a part of it, that every kept point has to prevent",
    "most": "points that are kept at most",
    "full_steps": "optimiser steps of FullSet, which the mask starts with",
    "mask_steps": "optimiser steps of the mask",
}


def train(
    folder: Path, settings: AtkSettings, workers: int, scenes: int, checkpoint: Path, bars: Bars
) -> tuple[Selection, dict[str, Any]]:
    """Selects, trains, evaluates on unseen scenes and exports; returns the selection and the evaluation's figures.

    Args:
        folder: of the run; what it holds already is used.
        settings: of the run.
        workers: processes; 0 runs everything in this one.
        scenes: to evaluate on, per grade of tracks.
        checkpoint: folder to export to; replaced.
        bars: shows progress.

    Raises:
        CollapsedMaskError: the mask kept too few points; nothing is exported.
    """
    started = time.perf_counter()
    world = World(settings.task, settings.robot)
    reference = world.reference()
    candidates = find_candidates(folder, world, reference, settings, bars.show)
    run = AtkRun(folder, settings, world.camera.intrinsics, candidates, workers, bars.show)
    selection = run.select()
    _draw(folder / PICTURE, reference, candidates, selection)
    weights = run.train(selection)
    if settings.rendered_episodes:
        weights = run.refine(selection, weights)
    figures = run.evaluate(selection, weights, scenes)
    command = training_command(settings, scenes)
    report = selection_report(selection, candidates, world)
    export(checkpoint, world, reference, candidates, selection, weights, settings, report, command, scenes, figures)
    world.close()
    LOG.info("checkpoint: %s", checkpoint)
    seconds = round(time.perf_counter() - started, 1)
    write_figures(folder, settings, METHOD, figures, checkpoint, seconds, selection=report)
    return selection, figures


def find_candidates(
    folder: Path, world: World, reference: ReferenceView, settings: AtkSettings, progress: Progress
) -> Candidates:
    """Chooses the candidates and measures how well each is found and held, unless the folder says so already."""
    pixels, path = choose_candidates(reference.frame, settings.candidates, settings.seed), folder / TRACKABILITY
    if not path.is_file():
        points = world.attach(pixels.astype(np.float64))
        last = SCENES_PER_SEED - settings.tracker_scenes
        scenes = [scene_seed(settings.seed, last + i) for i in range(settings.tracker_scenes)]
        measured = Traits(points.bodies)
        if scenes:
            view = Reference.of(reference.frame, pixels)
            deployed = CORRESPONDENCES.create(settings.correspondence, view), TRACKERS.create(settings.tracker)
            measured = measure_trackability(world, points, *deployed, scenes, progress)
        save_traits(path, measured)
    return Candidates(pixels, load_traits(path))


def export(
    folder: Path,
    world: World,
    reference: ReferenceView,
    candidates: Candidates,
    selection: Selection,
    weights: Path,
    settings: AtkSettings,
    report: dict[str, Any],
    command: str,
    scenes: int,
    figures: dict[str, Any],
) -> None:
    """Writes the checkpoint with its card, and the picture of the selection beside them."""
    training = {
        "command": command,
        "seed": settings.seed,
        "git": git_revision(),
        "selection": {
            **report,
            "candidate_u": candidates.pixels[:, 0].tolist(),
            "candidate_v": candidates.pixels[:, 1].tolist(),
            "probabilities": np.round(selection.probabilities, 3).tolist(),
            "settings": asdict(settings.selection),
        },
    }
    metrics = {"without_rendering": {"command": command, "scenes": f"0 .. {scenes - 1}", **figures}}
    student, pixels = settings.student(len(selection.kept)), candidates.pixels[selection.kept]
    policy = load_student(weights)
    card = export_checkpoint(folder, rig_of(world), reference.frame, pixels, policy, student, training, metrics, METHOD)
    _draw(folder / PICTURE, reference, candidates, selection)
    save_card(folder, card)


def selection_report(selection: Selection, candidates: Candidates, world: World) -> dict[str, Any]:
    """What was kept, what that cost, and where candidates and kept points sit; plain data."""
    regions, traits = world.regions(), candidates.traits
    bodies, error = traits.bodies, traits.error
    return {
        "candidates": len(selection.probabilities),
        "kept": selection.kept.tolist(),
        "kept_on": where([bodies[i] for i in selection.kept], regions),
        "candidates_on": where(bodies, regions),
        "held_out_loss": {"full_set": round(selection.full_loss, 6), "kept": round(selection.kept_loss, 6)},
        "within_margin": selection.within_margin,
        "alpha_at_the_end": selection.checks[-1].alpha,
        "tracker_error_px": None if error is None else np.round(error[selection.kept], 2).tolist(),
    }


def training_command(settings: AtkSettings, scenes: int) -> str:
    """The command that makes these weights and figures."""
    options = changed_options(settings, AtkSettings(), ("robot", *OPTIONS))
    options += changed_options(settings.selection, SelectionSettings(), SELECTION_OPTIONS)
    return command_line("keypoint_training.atk.train", settings, options, scenes)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    default = AtkSettings()
    parser = policy_parser("Choose a task's keypoints and train its policy in simulation.", default)
    add_options(parser, default, OPTIONS)
    add_options(parser, default.selection, SELECTION_OPTIONS)
    return parser.parse_args(arguments)


def main() -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    options, console = parse(), Console()

    def work(folder: Path, settings: AtkSettings) -> tuple[str, Table, str]:
        name = checkpoint_of_robot(f"{settings.task}/{METHOD}", settings.robot, settings.seed)
        checkpoint = options.output or models_folder() / name
        with Bars(console) as bars:
            selection, figures = train(folder, settings, options.workers, options.scenes, checkpoint, bars)
        kept = f"kept {len(selection.kept)} of {len(selection.probabilities)} points: {folder / PICTURE}"
        return kept, figures_table(figures), f"checkpoint: {checkpoint}"

    def prepare() -> tuple[Path, AtkSettings]:
        options.selection = SelectionSettings(**{name: getattr(options, name) for name in SELECTION_OPTIONS})
        return open_run(METHOD, AtkSettings, options, ("task", "robot", "seed", *OPTIONS, "selection"))

    return run_command(
        console,
        prepare,
        work,
        (LOG, logging.DEBUG),
        "python -m keypoint_training.atk.train --resume",
    )


def _draw(path: Path, reference: ReferenceView, candidates: Candidates, selection: Selection) -> None:
    picture = draw_selection(reference.frame.color, candidates.pixels, selection.probabilities, selection.kept)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    sys.exit(main())

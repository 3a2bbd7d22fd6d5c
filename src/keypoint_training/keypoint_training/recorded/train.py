r"""Chooses keypoints and trains a policy from recorded demonstrations: bags in, checkpoint out; nothing is simulated.

    python -m keypoint_training.recorded.train --demonstrations runs/mine --task pour_tea --robot franka \
        --camera-pose 1.1 0 0.32 0.6079 0.6079 -0.3612 -0.3612

What a demonstration is, says `keypoint_trials.demonstration`. Candidates on the first frame of the first one are located in
all others and tracked as in deployment; the mask is learnt on these tracks, and the policy on the kept ones. Nobody can be
asked what he would have done elsewhere: there is no DAgger, so show the task from many sides (40 times or more).
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from keypoint_core.arms.description import DEFAULT_ROBOT, load_arm, robot_name
from keypoint_core.checkpoint import checkpoint_of_robot, models_folder, save_card
from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.geometry.pose import Pose
from keypoint_core.policies.keypoint_mlp import KeypointMlpPolicy
from keypoint_core.runs import git_revision, write_summary
from keypoint_core.tracking import TRACKERS
from keypoint_sim.experts import DT, HORIZON
from keypoint_training import episodes as storage
from keypoint_training.atk.candidates import choose_candidates
from keypoint_training.atk.picture import draw_selection
from keypoint_training.atk.run import MASK, load_selection, save_selection, write_checks
from keypoint_training.atk.selection import Data, Selection, select
from keypoint_training.atk.settings import SelectionSettings
from keypoint_training.atk.subsets import split, take_recorded_points
from keypoint_training.command import open_run, run_command
from keypoint_training.crew import load_student, save_student
from keypoint_training.dagger import FINAL, LOG
from keypoint_training.episodes import Episodes
from keypoint_training.export import Rig, export_checkpoint
from keypoint_training.fitting import fit, make_samples, policy_settings
from keypoint_training.policy_command import add_options
from keypoint_training.progress import Bars
from keypoint_training.recorded.settings import RecordedSettings
from keypoint_training.recorded.tracks import Progress, first_frame, follow_all, reference_of
from keypoint_training.rng import Stream, generator
from keypoint_trials.demonstration import Demonstration, find_demonstrations, read_demonstration

METHOD = "recorded"
TRACKS = "tracks.npz"
PICTURE = "selection.png"
OPTIONS = {"candidates": "points to choose from", "final_steps": "optimiser steps of the policy"}
SELECTION_OPTIONS = {
    "margin": "imitation loss that the mask may cost, as a part of the best",
    "least": "points below which nothing is penalised",
    "full_steps": "optimiser steps of FullSet, which the mask starts with",
    "mask_steps": "optimiser steps of the mask",
}


def train(folder: Path, settings: RecordedSettings, checkpoint: Path, bars: Bars) -> Selection:
    """Follows, selects, trains and exports; what the run's folder holds already is used.

    Raises:
        BagError: a demonstration cannot be read.
        InputError: too few of them can be learnt from.
        CollapsedMaskError: the mask kept too few points; nothing is exported.
    """
    started = time.perf_counter()
    demonstrations = read_all(settings)
    reference = first_frame(demonstrations[0])
    pixels = choose_candidates(reference, settings.candidates, settings.seed)
    episodes = find_tracks(folder, demonstrations, settings, bars.show)
    selection = learn_mask(folder, episodes, demonstrations[0], settings, bars.show)
    weights = fit_policy(folder, take_recorded_points(episodes, selection.kept), demonstrations[0], settings, bars.show)
    report = {
        "candidates": len(pixels),
        "kept": selection.kept.tolist(),
        "held_out_loss": {"full_set": round(selection.full_loss, 6), "kept": round(selection.kept_loss, 6)},
        "within_margin": selection.within_margin,
        "probabilities": np.round(selection.probabilities, 3).tolist(),
        "demonstrations": {"given": len(demonstrations), "used": len(episodes), "frames": episodes.frames},
    }
    training = {
        "command": training_command(settings),
        "seed": settings.seed,
        "git": git_revision(),
        "selection": report,
    }
    rig = Rig(
        joints=list(load_arm(settings.robot).joint_names),
        intrinsics=demonstrations[0].intrinsics,
        camera_pose=Pose(settings.camera_pose[:3], settings.camera_pose[3:]).matrix,
        camera_rate=round(float(np.median([one.rate for one in demonstrations])), 2),
    )
    student, kept, policy = settings.student(len(selection.kept)), pixels[selection.kept], load_student(weights)
    card = export_checkpoint(checkpoint, rig, reference, kept, policy, student, training, {}, METHOD)
    picture = draw_selection(reference.color, pixels, selection.probabilities, selection.kept)
    cv2.imwrite(str(checkpoint / PICTURE), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    save_card(checkpoint, card)
    seconds = round(time.perf_counter() - started, 1)
    named = {"seed": settings.seed, "task": settings.task, "robot": settings.robot, "method": METHOD}
    write_summary(folder, **named, selection=report, checkpoint=str(checkpoint), wall_seconds=seconds)
    return selection


def read_all(settings: RecordedSettings) -> list[Demonstration]:
    """The demonstrations of a run, by name."""
    joints = load_arm(settings.robot).joint_names
    return [read_demonstration(bag, joints, HORIZON, DT) for bag in find_demonstrations(Path(settings.demonstrations))]


def find_tracks(
    folder: Path, demonstrations: Sequence[Demonstration], settings: RecordedSettings, progress: Progress
) -> Episodes:
    """All candidates through all demonstrations, unless the folder has them already."""
    path = folder / TRACKS
    if not path.is_file():
        pixels = choose_candidates(first_frame(demonstrations[0]), settings.candidates, settings.seed)
        correspondence = CORRESPONDENCES.create(settings.correspondence, reference_of(demonstrations[0], pixels))
        tracker = TRACKERS.create(settings.tracker)
        storage.save(path, follow_all(demonstrations, correspondence, tracker, progress))
    return storage.load(path)


def learn_mask(
    folder: Path, episodes: Episodes, one: Demonstration, settings: RecordedSettings, progress: Progress
) -> Selection:
    """Which candidates are needed, unless the folder says so already."""
    path, s = folder / MASK, settings
    if not path.is_file():
        train, k = s.student(s.candidates), one.intrinsics
        rest, held = split(episodes, s.selection.held_out, generator(s.seed, Stream.SELECTION, 10))
        parts = (*split(rest, s.selection.gate_part, generator(s.seed, Stream.SELECTION, 11)), held)
        noise = [generator(s.seed, Stream.SELECTION, 12 + i) for i in range(len(parts))]
        data = Data(*(make_samples(part, train, rng) for part, rng in zip(parts, noise, strict=True)))
        size = np.array([k.width, k.height], dtype=np.float32)
        places = (choose_candidates(first_frame(one), s.candidates, s.seed) + 0.5) / size
        selection = select(data, policy_settings(train, episodes, k, DT), places, train, s.selection, progress)
        write_checks(folder / "selection.csv", selection.checks)
        save_selection(path, selection)
        words = "mask: %d of %d points, held-out loss %.5f against FullSet's %.5f"
        LOG.info(words, len(selection.kept), s.candidates, selection.kept_loss, selection.full_loss)
    return load_selection(path)


def fit_policy(
    folder: Path, episodes: Episodes, one: Demonstration, settings: RecordedSettings, progress: Progress
) -> Path:
    """The policy on the kept points, unless the folder has it already; returns its weights."""
    path, train = folder / FINAL, settings.student(episodes.pixels.shape[1])
    if not path.is_file():
        samples = make_samples(episodes, train, generator(settings.seed, Stream.REPLAY, 0))
        shape, steps = policy_settings(train, episodes, one.intrinsics, DT), settings.final_steps
        network, loss = fit(samples, shape, train, 0, steps, lambda done, _: progress("policy", done, steps))
        save_student(path, KeypointMlpPolicy(network))
        LOG.info("policy: loss %.5f", loss)
    return path


def training_command(settings: RecordedSettings) -> str:
    """The command that makes these weights, but for the place of the demonstrations."""
    pose = " ".join(f"{number:g}" for number in settings.camera_pose)
    words = [f"--task {settings.task}", f"--robot {settings.robot}", f"--seed {settings.seed}", f"--camera-pose {pose}"]
    default = SelectionSettings()
    pairs = [(name, getattr(settings.selection, name), getattr(default, name)) for name in SELECTION_OPTIONS]
    pairs += [("final_steps", settings.final_steps, RecordedSettings.final_steps)]
    pairs += [("candidates", settings.candidates, RecordedSettings.candidates)]
    words += [f"--{name.replace('_', '-')} {value}" for name, value, usual in pairs if value != usual]
    return " ".join(["python -m keypoint_training.recorded.train --demonstrations FOLDER", *words])


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Choose keypoints and train a policy from recorded demonstrations.")
    parser.add_argument("--demonstrations", default="", help="folder of the bags")
    parser.add_argument("--task", default="", help="name for the checkpoint")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument(
        "--camera-pose",
        type=float,
        nargs="+",
        default=[],
        help="x y z [m] and quaternion x y z w in the arm's base frame",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="checkpoint folder (default: models/<task>/recorded)")
    parser.add_argument("--resume", type=Path, help="run folder to go on with; its settings are used")
    add_options(parser, RecordedSettings, OPTIONS)
    add_options(parser, SelectionSettings(), SELECTION_OPTIONS)
    options = parser.parse_args(arguments)
    if not options.resume and not (options.demonstrations and options.task and options.camera_pose):
        parser.error("give --demonstrations, --task and --camera-pose, or --resume")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C."""
    options, console = parse(arguments), Console()

    def prepare() -> tuple[Path, RecordedSettings]:
        options.camera_pose = tuple(options.camera_pose)
        options.selection = SelectionSettings(**{name: getattr(options, name) for name in SELECTION_OPTIONS})
        names = ("demonstrations", "camera_pose", "task", "robot", "seed", *OPTIONS, "selection")
        return open_run(METHOD, RecordedSettings, options, names)

    def work(folder: Path, settings: RecordedSettings) -> tuple[str, str]:
        name = checkpoint_of_robot(f"{settings.task}/{METHOD}", settings.robot, settings.seed)
        checkpoint = options.output or models_folder() / name
        with Bars(console) as bars:
            selection = train(folder, settings, checkpoint, bars)
        kept = f"kept {len(selection.kept)} of {len(selection.probabilities)} points: {checkpoint / PICTURE}"
        return kept, f"checkpoint: {checkpoint}"

    go_on = "python -m keypoint_training.recorded.train --resume"
    return run_command(console, prepare, work, (LOG, logging.DEBUG), go_on)


if __name__ == "__main__":
    sys.exit(main())

"""One run of ATK in a folder: gather with all candidates, select, train on what was kept.

    trackability.npz how well the tracker holds each candidate
    full/            data and students of FullSet's DAgger
    selection.npz    the mask; selection.csv: how it came about
    student/         data and students of the kept points' DAgger
    rendered/        data of the student on rendered frames, and the one fitted to them as well

Each stage leaves its files when it is done; a run that is taken up again goes on behind the last of them.
"""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoint_core.policies.keypoint_mlp import KeypointMlpPolicy
from keypoint_core.types import Float32, Intrinsics
from keypoint_sim.experts import DT
from keypoint_training import episodes as storage
from keypoint_training.atk.rendered import Deployment, gather
from keypoint_training.atk.selection import Check, Data, Selection, select
from keypoint_training.atk.settings import AtkSettings
from keypoint_training.atk.subsets import split, take_recorded_points
from keypoint_training.crew import Crew, save_student
from keypoint_training.dagger import FINAL, Dagger, data_file
from keypoint_training.episodes import Episodes
from keypoint_training.evaluation import evaluate
from keypoint_training.fitting import fit, join_samples, make_samples, policy_settings, recorded_samples
from keypoint_training.rng import Stream, generator, scene_seed
from keypoint_training.tracks import Traits

LOG = logging.getLogger("keypoint_training")
MASK = "selection.npz"

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Candidates:
    """Points to choose from.

    Attributes:
        pixels: [M, 2] in the reference view.
        traits: what each sticks to and how well the tracker holds it. Privileged: for the track noise, and to say where
            kept points sit; nobody who chooses or acts is told.
    """

    pixels: Float32
    traits: Traits


class AtkRun:
    """One run.

    Args:
        folder: of the run.
        settings: of the run.
        camera: that the policy will see through.
        candidates: to choose from.
        workers: processes; 0 runs everything in this one.
        progress: told how far each stage is.
    """

    def __init__(
        self,
        folder: Path,
        settings: AtkSettings,
        camera: Intrinsics,
        candidates: Candidates,
        workers: int,
        progress: Progress,
    ) -> None:
        self._folder, self._settings, self._camera = folder, settings, camera
        self._candidates, self._workers, self._progress = candidates, workers, progress

    def select(self) -> Selection:
        """Gathers and learns the mask, as far as that is not done."""
        path = self._folder / MASK
        if not path.is_file():
            save_selection(path, self._learn_mask(self._gather()))
        return load_selection(path)

    def train(self, selection: Selection) -> Path:
        """Trains the student of the kept points, as far as that is not done; returns its weights."""
        settings = self._settings.student(len(selection.kept))
        folder = self._folder / "student"
        folder.mkdir(exist_ok=True)
        if not (folder / data_file(0)).is_file():
            storage.save(folder / data_file(0), take_recorded_points(self._gather(), selection.kept))
        traits = self._candidates.traits.take(selection.kept)
        with self._student_crew(selection) as crew:
            return Dagger(folder, settings, self._camera, crew, self._named("student"), traits).run()

    def refine(self, selection: Selection, weights: Path) -> Path:
        """Lets the student act on rendered frames and fits it anew to all data, as far as that is not done.

        Args:
            selection: the kept points.
            weights: of the student that acts.

        Returns:
            The new student's weights.
        """
        s, train = self._settings, self._settings.student(len(selection.kept))
        folder, first = self._folder / "rendered", train.episodes
        path, data, final = folder / FINAL, folder / data_file(0), train.rounds + 1
        folder.mkdir(exist_ok=True)
        if not data.is_file():
            scenes = [scene_seed(s.seed, first + i) for i in range(s.rendered_episodes)]
            storage.save(data, gather(self._deployment(selection), weights, scenes, self._workers, self._progress))
        if not path.is_file():
            gathered = [storage.load(self._folder / "student" / data_file(i)) for i in range(final)]
            noise, traits = generator(s.seed, Stream.REPLAY, final), self._candidates.traits.take(selection.kept)
            noisy = make_samples(storage.join(gathered), train, noise, traits)
            samples = join_samples(noisy, recorded_samples(storage.load(data), train.fit.copies))
            shape, steps = policy_settings(train, gathered[0], self._camera, DT), train.final_steps
            network, _ = fit(
                samples, shape, train, final, steps, lambda done, _: self._progress("rendered: fit", done, steps)
            )
            save_student(path, KeypointMlpPolicy(network))
        return path

    def evaluate(self, selection: Selection, weights: Path, scenes: int) -> dict[str, Any]:
        """Figures on so many unseen scenes per grade of tracks."""
        with self._student_crew(selection) as crew:
            return evaluate(crew, self._settings.student(len(selection.kept)), weights, scenes, self._progress)

    def _student_crew(self, selection: Selection) -> Crew:
        kept, candidates = selection.kept, self._candidates
        settings = self._settings.student(len(kept))
        return Crew(settings, candidates.pixels[kept], self._workers, candidates.traits.take(kept))

    def _deployment(self, selection: Selection) -> Deployment:
        s, pixels = self._settings, self._candidates.pixels[selection.kept]
        return Deployment(s.task, s.robot, pixels, s.correspondence, s.tracker, s.student(len(pixels)).rollout)

    def _gather(self) -> Episodes:
        """Everything that FullSet's DAgger recorded, with all candidates."""
        settings, candidates = self._settings.full_set, self._candidates
        folder = self._folder / "full"
        folder.mkdir(exist_ok=True)
        with Crew(settings, candidates.pixels, self._workers, candidates.traits) as crew:
            dagger = Dagger(folder, settings, self._camera, crew, self._named("FullSet"), candidates.traits)
            return dagger.gather()

    def _learn_mask(self, data: Episodes) -> Selection:
        s, train = self._settings, self._settings.full_set
        rest, held = split(data, s.selection.held_out, generator(s.seed, Stream.SELECTION, 10))
        parts = (*split(rest, s.selection.gate_part, generator(s.seed, Stream.SELECTION, 11)), held)
        noise = [generator(s.seed, Stream.SELECTION, 12 + i) for i in range(len(parts))]
        traits = self._candidates.traits
        samples = Data(*(make_samples(part, train, rng, traits) for part, rng in zip(parts, noise, strict=True)))
        shape = policy_settings(train, data, self._camera, DT)
        size = np.array([self._camera.width, self._camera.height], dtype=np.float32)
        places = (self._candidates.pixels + 0.5) / size
        selection = select(samples, shape, places, train, s.selection, self._progress)
        write_checks(self._folder / "selection.csv", selection.checks)
        LOG.info(
            "mask: %d of %d points, held-out loss %.5f against FullSet's %.5f (margin %.2f)",
            len(selection.kept),
            len(selection.probabilities),
            selection.kept_loss,
            selection.full_loss,
            selection.margin,
        )
        if not selection.within_margin:
            LOG.warning("the kept points miss the margin; give more data or steps, or a smaller margin")
        return selection

    def _named(self, who: str) -> Progress:
        """Progress whose stages say whose they are."""
        return lambda stage, done, total: self._progress(f"{who}: {stage}", done, total)


def where(bodies: Sequence[str], regions: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Region of the scene -> how many of the points with these bodies are on it; "other" for none of them."""
    names = {body: region for region, members in regions.items() for body in members}
    return dict(Counter(names.get(body, "other") for body in bodies))


def save_selection(path: Path, selection: Selection) -> None:
    """Writes .npz; the file appears whole or not at all."""
    part = path.with_suffix(".part.npz")
    checks = np.array([list(asdict(check).values()) for check in selection.checks], dtype=np.float64)
    np.savez(part, **{**vars(selection), "checks": checks})
    part.replace(path)


def load_selection(path: Path) -> Selection:
    """Reads what `save_selection` wrote."""
    with np.load(path, allow_pickle=False) as data:
        rows = data["checks"].tolist()
        return Selection(
            probabilities=data["probabilities"],
            kept=data["kept"],
            full_loss=float(data["full_loss"]),
            kept_loss=float(data["kept_loss"]),
            margin=float(data["margin"]),
            checks=tuple(Check(int(a), b, c, d, e, int(f)) for a, b, c, d, e, f in rows),
        )


def write_checks(path: Path, checks: Sequence[Check]) -> None:
    """How the mask came about, one line per check."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Check.__annotations__)
        writer.writerows(vars(check).values() for check in checks)

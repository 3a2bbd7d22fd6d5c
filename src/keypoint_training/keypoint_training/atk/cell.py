"""One cell of the study: a run of ATK with one seed and one start of the multiplier, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoint_sim.truth import ReferenceView
from keypoint_sim.world import World
from keypoint_training.atk.baselines import given
from keypoint_training.atk.overlap import Points, on_bodies
from keypoint_training.atk.run import MASK, AtkRun, Candidates, Progress, load_selection
from keypoint_training.atk.selection import CollapsedMaskError, Selection
from keypoint_training.atk.settings import AtkSettings
from keypoint_training.atk.train import find_candidates
from keypoint_training.rng import Stream, generator

FULL, FIGURES, COLLAPSED, CONTROL = "full", "evaluation.json", "collapsed.txt", "control"


@dataclass(frozen=True)
class Result:
    """What a cell has shown so far.

    Attributes:
        seed, alpha: of the cell.
        candidates: that it chose from.
        selection: what it kept; None where the mask collapsed.
        figures: name of the grade of tracks -> successes and so on, as `evaluate` gives them; None before.
        control: the same of as many random points on the same bodies; None before, or without.
    """

    seed: int
    alpha: float
    candidates: Candidates
    selection: Selection | None
    figures: dict[str, Any] | None
    control: dict[str, Any] | None = None

    @property
    def points(self) -> Points:
        """What was chosen from and kept; raises ValueError where the mask collapsed."""
        if self.selection is None:
            raise ValueError("a mask that collapsed keeps nothing")
        return Points(self.candidates.pixels, np.array(self.candidates.traits.bodies), self.selection.kept)


class Cell:
    """One cell. What is gathered for a seed does not depend on alpha: all its cells share it by a link.

    Args:
        folder: of the study.
        settings: of this run.
        workers: processes; 0 runs everything in this one.
    """

    def __init__(self, folder: Path, settings: AtkSettings, workers: int) -> None:
        self._settings, self._workers = settings, workers
        self._shared = folder / f"seed_{settings.seed}"
        self._own = self._shared / f"alpha_{settings.selection.alpha:g}"
        self._candidates: Candidates | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"seed {self._settings.seed}, alpha {self._settings.selection.alpha:g}"

    @property
    def chosen(self) -> bool:
        """Whether the mask is there, or has collapsed."""
        return (self._own / MASK).is_file() or (self._own / COLLAPSED).is_file()

    def choose(self, world: World, reference: ReferenceView, progress: Progress) -> None:
        """Gathers and learns the mask, as far as that is not done. A mask that collapses is a result as well."""
        (self._shared / FULL).mkdir(parents=True, exist_ok=True)
        _share(self._own)
        self._candidates = find_candidates(self._shared, world, reference, self._settings, progress)
        if (self._own / COLLAPSED).is_file():
            return
        try:
            self._run(self._own, world, progress).select()
        except CollapsedMaskError as error:
            (self._own / COLLAPSED).write_text(f"{error}\n")

    def train(self, world: World, scenes: int, progress: Progress) -> None:
        """Trains the student of the kept points and evaluates it, as far as that is not done; `choose` comes before."""
        result = self.result()
        if result is not None and result.selection is not None:
            self._train(self._own, result.selection, world, scenes, progress)

    def control(self, world: World, scenes: int, progress: Progress) -> None:
        """The same with as many random points on the same bodies: what choosing among these is worth."""
        result = self.result()
        if result is not None and result.selection is not None:
            folder = self._own / CONTROL
            _share(folder)
            kept = on_bodies(result.points, generator(self._settings.seed, Stream.SELECTION, 30))
            self._train(folder, given(kept, self._settings), world, scenes, progress)

    def result(self) -> Result | None:
        """What there is; None before the mask."""
        if self._candidates is None or not self.chosen:
            return None
        return Result(
            self._settings.seed,
            self._settings.selection.alpha,
            self._candidates,
            load_selection(self._own / MASK) if (self._own / MASK).is_file() else None,
            _read(self._own / FIGURES),
            _read(self._own / CONTROL / FIGURES),
        )

    def _train(self, folder: Path, selection: Selection, world: World, scenes: int, progress: Progress) -> None:
        if (folder / FIGURES).is_file():
            return
        run, part = self._run(folder, world, progress), folder / f"{FIGURES}.part"
        figures = run.evaluate(selection, run.train(selection), scenes)
        part.write_text(json.dumps(figures, indent=2) + "\n")
        part.replace(folder / FIGURES)

    def _run(self, folder: Path, world: World, progress: Progress) -> AtkRun:
        if self._candidates is None:
            raise RuntimeError("`choose` comes first")
        return AtkRun(folder, self._settings, world.camera.intrinsics, self._candidates, self._workers, progress)


def _share(folder: Path) -> None:
    """Makes the folder of a run; what is gathered goes to the folder above."""
    folder.mkdir(exist_ok=True)
    if not (folder / FULL).is_symlink():
        (folder / FULL).symlink_to(Path("..") / FULL)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None

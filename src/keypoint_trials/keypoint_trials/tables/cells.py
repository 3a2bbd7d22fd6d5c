"""Cells of the tables, and the folder that keeps their episodes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.runs import git_revision
from keypoint_core.statistics import wilson_interval
from keypoint_trials.evaluate import EpisodeResult, EvaluationRequest


@dataclass(frozen=True)
class Cell:
    """One checkpoint under one condition.

    Attributes:
        task, method, condition, robot: names.
        training_seed: of the checkpoint.
        correspondence, tracker: that it is deployed with.
    """

    task: str
    method: str
    condition: str
    training_seed: int
    robot: str
    correspondence: str = "descriptors"
    tracker: str = "hybrid"

    def request(self) -> EvaluationRequest:
        """What its episodes are."""
        return EvaluationRequest(
            self.task,
            self.method,
            self.condition,
            self.robot,
            self.correspondence,
            self.tracker,
            latency=0,
            training_seed=self.training_seed,
        )


def fingerprint(checkpoint: str) -> str:
    """Eight letters that change with a checkpoint's weights, reference view or keypoints; raises CheckpointError."""
    card = load_checkpoint(checkpoint).card
    text = json.dumps([card.files, card.keypoint_ids, card.keypoint_pixels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Book:
    """Episodes of cells, one line each, written as soon as they end: what is there is not run again.

    Episodes of a checkpoint that was trained anew since are not counted. Each line says by which commit of the sources it
    was run.

    Args:
        folder: of the tables.
        shipped: folder of other tables, whose episodes count as well; nothing is written there.
    """

    def __init__(self, folder: Path, shipped: Path | None = None) -> None:
        self._folder, self._shipped = folder, shipped
        self._revision = git_revision()

    def path(self, cell: Cell) -> Path:
        """File of a cell's episodes; raises CheckpointError without its checkpoint."""
        return self._folder / _name(cell)

    def load(self, cell: Cell) -> dict[int, EpisodeResult]:
        """Scene seed -> its episode; a line that was cut off by a crash does not count."""
        name = _name(cell)
        folders = [folder for folder in (self._shipped, self._folder) if folder is not None]
        return {seed: episode for folder in folders for seed, episode in _read(folder / name)}

    def add(self, cell: Cell, episode: EpisodeResult) -> None:
        """Writes down one episode."""
        path = self.path(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.is_file() and not path.read_bytes().endswith(b"\n")
        with path.open("a") as file:
            line = json.dumps({**asdict(episode), "git": self._revision})
            file.write(("\n" if torn else "") + line + "\n")


def _name(cell: Cell) -> Path:
    """File of a cell's episodes below a folder of tables."""
    name = f"{cell.robot}-{cell.correspondence}-{cell.tracker}-seed{cell.training_seed}"
    version = fingerprint(cell.request().checkpoint)
    return Path("episodes", cell.task, cell.method, cell.condition, f"{name}-{version}.jsonl")


def _read(path: Path) -> Iterator[tuple[int, EpisodeResult]]:
    """Scene seeds and episodes of a file, none where there is no file."""
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        values.pop("git", None)
        yield int(values["seed"]), EpisodeResult(**{**values, "pose": tuple(values["pose"])})


@dataclass(frozen=True)
class Score:
    """A method on a task under a condition, over all training seeds.

    Attributes:
        task, method, condition: names.
        trials, successes: one entry per training seed that has a checkpoint.
        failures: class -> count.
    """

    task: str
    method: str
    condition: str
    trials: tuple[int, ...]
    successes: tuple[int, ...]
    failures: dict[str, int]

    @property
    def rate(self) -> float:
        """Part of all trials that succeed; NaN without any."""
        return sum(self.successes) / sum(self.trials) if sum(self.trials) else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate over all trials."""
        return wilson_interval(sum(self.successes), sum(self.trials))

    @property
    def spread(self) -> float:
        """Standard deviation of the rate between training seeds; NaN with fewer than two."""
        rates = [won / tried for won, tried in zip(self.successes, self.trials, strict=True) if tried]
        return float(np.std(rates)) if len(rates) > 1 else float("nan")


def failure_class(reason: str) -> str:
    """A verdict's reason without its details."""
    return reason.split(":")[0]


def score(task: str, method: str, condition: str, seeds: Sequence[Sequence[EpisodeResult]]) -> Score:
    """Sums up episodes, one sequence per training seed."""
    lost = Counter(failure_class(one.reason) for episodes in seeds for one in episodes if not one.success)
    return Score(
        task,
        method,
        condition,
        tuple(len(episodes) for episodes in seeds),
        tuple(sum(one.success for one in episodes) for episodes in seeds),
        dict(lost.most_common()),
    )

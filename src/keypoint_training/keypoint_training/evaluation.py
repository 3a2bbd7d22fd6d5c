"""Quick evaluation without rendering: success on unseen scenes under three grades of tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keypoint_core.runs import success_figures
from keypoint_sim.tasks.base import Outcome
from keypoint_training.crew import Crew, Job
from keypoint_training.rollout import Conditions
from keypoint_training.settings import TrainSettings
from keypoint_training.tracks import NO_NOISE, TrackNoise


@dataclass(frozen=True)
class Grade:
    """One kind of tracks.

    Attributes:
        name: in summaries and cards.
        noise, severity: of the tracks.
        latency: from exposure to the arm having the chunk [s].
        dropped: part of the frames that never reach the policy.
    """

    name: str
    noise: TrackNoise
    severity: float
    latency: float = 0.0
    dropped: float = 0.0


GRADES = (
    Grade("exact_tracks", NO_NOISE, 0.0),
    Grade("noisy_tracks", TrackNoise(), 0.5),
    Grade("heavy_noise_latency_100ms", TrackNoise(), 1.0, latency=0.1, dropped=0.1),
)


def evaluate(
    crew: Crew, settings: TrainSettings, weights: Path, scenes: int, progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Name of the grade -> trials, successes, rate, Wilson interval, reasons of failures and failed scenes.

    Scenes 0 .. scenes - 1, which training never sees, under the same random numbers whatever the training seed.
    """
    figures: dict[str, Any] = {}
    for number, grade in enumerate(GRADES):
        conditions = [Conditions(scene, grade.latency, 0.0, grade.dropped) for scene in range(scenes)]
        jobs = [
            Job((0, 1_000_000 + number, c.scene), c, grade.noise, grade.severity, weights, label=False)
            for c in conditions
        ]
        statuses = []
        for done, result in enumerate(crew.run(jobs), 1):
            statuses.append(result.status)
            progress(f"evaluation: {grade.name}", done, len(jobs))
        failed = [scene for scene, status in enumerate(statuses) if status.outcome != Outcome.SUCCESS]
        reasons = Counter(statuses[scene].reason for scene in failed)
        figures[grade.name] = {
            **success_figures(scenes - len(failed), scenes),
            "failures": dict(reasons),
            "failed_scenes": failed,
        }
    return figures

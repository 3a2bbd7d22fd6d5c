"""Measures how well a correspondence finds the reference's keypoints in unseen scenes: `make transfer TASK=all N=200`.

    python -m keypoint_trials.quality.transfer --task clock_button,sushi_pick_place --condition light+camera --n 100

The keypoints are those of the task's checkpoint where it has one, else spread corners of the simulation's reference view.
Every result goes into the run's folder as soon as it is there; `--resume <run folder>` measures only what it lacks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.checkpoint import checkpoint_of_robot, load_checkpoint, models_folder
from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CorrespondenceError, InputError, KeypointError
from keypoint_core.protocols import Correspondence
from keypoint_sim.disturbances import parse_condition
from keypoint_sim.world import World
from keypoint_trials.quality.located import Located, crop_of, from_json, to_json
from keypoint_trials.quality.points import pick_points
from keypoint_trials.quality.record import known_tasks
from keypoint_trials.quality.scenes import Scene, kinds_of_scenes, make_scene
from keypoint_trials.quality.track_quality import available, run_all, run_folder, write
from keypoint_trials.quality.transfer_report import WIDTH, report

POINTS = 12
SAME_VIEW = 0.01  # the checkpoint's reference view shows the keypoints at this distance of the simulation's [m]


@dataclass(frozen=True)
class View:
    """What the keypoints are picked on.

    Attributes:
        task, robot: of the world.
        method: names the checkpoint `models/<task>/<method>` whose keypoints are taken where it exists; empty for none.
        points: to spread where no checkpoint is taken.
    """

    task: str
    robot: str
    method: str
    points: int


@dataclass(frozen=True)
class Job:
    """One scene, the correspondences that are to be measured on it, and where the results lie."""

    view: View
    condition: str
    seed: int
    kind: str
    backends: tuple[str, ...]
    results: Path

    @property
    def file(self) -> Path:
        """Of the results; the picture lies beside it."""
        return self.results / self.view.task / self.condition / f"{self.seed}-{self.kind}.json"

    def load(self) -> dict[str, Located]:
        """The results that there are."""
        if not self.file.exists():
            return {}
        return {name: from_json(values) for name, values in json.loads(self.file.read_text()).items()}


def make_reference(world: World, view: View) -> Reference:
    """The reference with its keypoints.

    Raises:
        InputError: the checkpoint's view is not the simulation's, so that the truth of its keypoints is not known.
    """
    name = checkpoint_of_robot(f"{view.task}/{view.method}", view.robot) if view.method else ""
    if not name or not (models_folder() / name).is_dir():
        return pick_points(world, view.points)
    reference, frame = load_checkpoint(name).reference(), world.reference().frame
    if reference.color.shape != frame.color.shape or reference.depth is None or frame.depth is None:
        raise InputError(f"{name}: its camera is not the simulation's; measure with --method '' instead")
    column, row = np.round(reference.pixels).astype(int).T
    apart = float(np.nanmedian(np.abs(reference.depth[row, column] - frame.depth[row, column])))
    if not apart <= SAME_VIEW:
        raise InputError(
            f"{name}: its reference shows the keypoints {1e3 * apart:.0f} mm from where the simulation's does, so their "
            "truth is not known; train it again, or measure with --method ''"
        )
    return reference


class Bench:
    """One task's world and the correspondences made for its reference."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._world = World(view.task, view.robot)
        self.reference = make_reference(self._world, view)
        self._points = self._world.attach(self.reference.pixels.astype(np.float64))
        self._backends: dict[str, Correspondence | str] = {}

    def scene(self, job: Job) -> Scene:
        """The scene of a job."""
        return make_scene(self._world, self._points, job.seed, job.condition, job.kind)

    def locate(self, name: str, job: Job, scene: Scene) -> Located:
        """What a correspondence finds in a scene, or why it refuses."""
        backend, found, reason = self.make(name), None, ""
        start = time.thread_time()
        if isinstance(backend, str):
            reason = backend
        else:
            try:
                found = backend.locate(scene.frame)
            except CorrespondenceError as error:
                reason = str(error)
        seconds = round(time.thread_time() - start, 6)
        return Located.of(self.view.task, job.condition, job.kind, job.seed, name, scene, found, reason, seconds)

    def make(self, name: str) -> Correspondence | str:
        """A correspondence for the reference, or why it cannot work with it.

        Raises:
            MissingDependencyError, CheckpointError: its package or its weights are missing.
        """
        if name not in self._backends:
            try:
                self._backends[name] = CORRESPONDENCES.create(name, self.reference)
            except InputError as error:
                self._backends[name] = f"cannot be made: {error}"
        return self._backends[name]

    def close(self) -> None:
        """Frees the renderer."""
        self._world.close()


_bench: Bench | None = None


def bench_of(view: View) -> Bench:
    """The bench of a view; only the newest one is kept."""
    global _bench
    if _bench is None or _bench.view != view:
        if _bench is not None:
            _bench.close()
        _bench = Bench(view)
    return _bench


def run(job: Job) -> list[Located]:
    """Measures what is missing of one job."""
    done = job.load()
    missing = [name for name in job.backends if name not in done]
    if missing:
        bench = bench_of(job.view)
        scene = bench.scene(job)
        done |= {name: bench.locate(name, job, scene) for name in missing}
        job.file.parent.mkdir(parents=True, exist_ok=True)
        *_, picture = crop_of(scene.frame.color, scene.truth)
        cv2.imwrite(str(job.file.with_suffix(".jpg")), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        write(job.file, json.dumps({name: to_json(one) for name, one in done.items()}) + "\n")
        done = job.load()
    return [done[name] for name in job.backends]


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measures correspondences on simulated scenes.")
    parser.add_argument("--task", default="clock_button", help="names joined by commas, or all")
    parser.add_argument("--condition", default="light", help="of the simulation")
    parser.add_argument("--correspondence", default="descriptors", help="names joined by commas, or all")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--n", type=int, default=100, help="plain scenes of each task")
    parser.add_argument("--seed", type=int, default=5000, help="of the first scene")
    parser.add_argument("--hard", type=float, default=0.4, help="hard scenes on top, as a share of n")
    parser.add_argument("--method", default="atk", help="checkpoint whose keypoints are taken; '' for spread corners")
    parser.add_argument("--points", type=int, default=POINTS, help="keypoints where there is no checkpoint")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--resume", type=Path, default=None, metavar="RUN", help="measure what this run lacks")
    arguments = parser.parse_args()
    if arguments.n < 1 or arguments.hard < 0 or arguments.seed < 0:
        parser.error("--n must be positive, --hard and --seed not negative")
    return arguments


def make_jobs(arguments: argparse.Namespace, backends: list[str], folder: Path) -> list[Job]:
    """All scenes of all tasks."""
    kinds = kinds_of_scenes(arguments.n, arguments.hard)
    return [
        Job(view, arguments.condition.lower(), arguments.seed + i, kind, tuple(backends), folder / "results")
        for view in (
            View(task, arguments.robot, arguments.method, arguments.points) for task in known_tasks(arguments.task)
        )
        for i, kind in enumerate(kinds)
    ]


def main() -> None:
    """Command line."""
    arguments, console = parse(), Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    try:
        parse_condition(arguments.condition)
        first = View(known_tasks(arguments.task)[0], arguments.robot, arguments.method, arguments.points)
        backends, left_out = available(CORRESPONDENCES, arguments.correspondence, bench_of(first).make)
        for name, reason in left_out.items():
            console.print(f"[yellow]left out[/] {name}: {reason}")
        folder = run_folder("transfer", arguments.resume)
        jobs = make_jobs(arguments, backends, folder)
        located = run_all(run, jobs, arguments.workers, "scenes", console)
    except KeypointError as error:
        sys.exit(str(error))
    references: dict[str, Any] = {job.view.task: bench_of(job.view).reference for job in jobs}
    report(located, references, folder, arguments, left_out, console)


if __name__ == "__main__":
    main()

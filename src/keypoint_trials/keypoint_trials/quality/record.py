"""Records episodes of the simulated world: `python -m keypoint_trials.quality.record --task clock_button --n 2`.

The scene is played first and drawn afterwards, from snapshots, so that a sheet can be put where the object will be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.errors import InputError, KeypointError
from keypoint_core.runs import runs_root
from keypoint_core.types import SECOND, Float32
from keypoint_sim.camera import Snapshot
from keypoint_sim.disturbances import parse_condition
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World
from keypoint_trials.console import make_console
from keypoint_trials.quality.episodes import EpisodeRequest, EpisodeSettings, Truth, load_episode, save_episode
from keypoint_trials.quality.points import pick_points
from keypoint_trials.quality.sheet import SECONDS, SLIDE, hide, plan_sheet, start_of

AFTER = 1.0  # an episode goes on for this long after the trial's end, and after a sheet [s]


class Studio:
    """Records episodes; keeps the world of the task and robot that it was asked for last."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name: tuple[str, str, int] | None = None
        self._world: World | None = None

    def episode(self, request: EpisodeRequest) -> Path:
        """The folder of an episode, which is recorded unless it is there.

        Raises:
            UnknownNameError: of task, robot or condition; the message lists the known ones.
            InputError: nothing can be followed: fewer than two points are visible in the first frame.
        """
        folder = request.folder(self._root)
        if folder.exists():
            load_episode(folder)
            return folder
        world, points, reference_pixels = self._stage(request)
        snapshots, truth, outcome = act(world, points, request, reference_pixels)
        if truth.visible[0].sum() < 2:
            raise InputError(
                f"{request.task}, {request.condition}, seed {request.seed}: only {truth.visible[0].sum()} of "
                f"{len(points)} points are visible in the first frame; take another seed"
            )
        frames = map(world.capture, snapshots)
        if request.settings.sheet:
            sheet = plan_sheet(truth, world.camera.intrinsics, request.settings.sheet, request.seed)
            truth, frames = hide(truth, sheet), map(sheet.before, frames)
        return save_episode(self._root, request, frames, truth, outcome)

    def close(self) -> None:
        """Frees the renderer; safe to call twice."""
        if self._world is not None:
            self._world.close()
        self._name = self._world = None

    def _stage(self, request: EpisodeRequest) -> tuple[World, SurfacePoints, Float32]:
        name = (request.task, request.robot, request.settings.points)
        if self._world is None or self._name != name:
            self.close()
            self._world = World(request.task, request.robot)
            self._pixels = pick_points(self._world, request.settings.points).pixels
            self._points = self._world.attach(self._pixels.astype(np.float64))
            self._name = name
        return self._world, self._points, self._pixels


def act(
    world: World, points: SurfacePoints, request: EpisodeRequest, reference_pixels: Float32
) -> tuple[list[Snapshot], Truth, str]:
    """Lets the expert act and notes the truth at every exposure.

    Returns:
        what is needed to draw the frames, the truth, and the name of the trial's outcome in lower case.
    """
    world.reset(request.seed, request.condition)
    expert, state = world.expert(), world.state()
    player = ChunkPlayer(state.position, state.gripper)
    expert.reset()
    sheet = request.settings.sheet
    last = start_of(request.seed) + 2 * SLIDE + sheet + AFTER if sheet else 0.0
    snapshots: list[Snapshot] = []
    rows = []
    while len(snapshots) < request.settings.frames:
        status = world.status()
        if status.outcome != Outcome.RUNNING and world.stamp >= max(status.elapsed + AFTER, last) * SECOND:
            break
        if world.frame_due:
            player.take(expert.act())
            snapshots.append(world.snapshot())
            rows.append((world.stamp, *world.tracks(points), world.camera_pose.copy()))
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
    stamps, pixels, visible, positions, poses = (np.array(column) for column in zip(*rows, strict=True))
    ids = np.array([world.model.body(name).id for name in points.bodies])
    rigid = np.unique(world.model.body_weldid[ids], return_inverse=True)[1].astype(np.int32)
    truth = Truth(stamps, pixels, visible, positions, poses, np.array(points.bodies), rigid, reference_pixels)
    return snapshots, truth, world.status().outcome.name.lower()


def default_folder() -> Path:
    """Where episodes are kept: `episodes` among the runs."""
    return runs_root() / "episodes"


def known_tasks(text: str) -> list[str]:
    """Tasks of a comma-separated list; "all" gives all.

    Raises:
        UnknownNameError: of an unknown task; the message lists the known ones.
    """
    names = list(TASKS) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        TASKS.load(name)
    return names


def known_conditions(text: str) -> list[tuple[str, float]]:
    """The simulation's condition and the sheet's time [s] of each condition in a comma-separated list.

    A part "sheet" of a condition is no disturbance of the simulation: it puts a sheet before the object, see `Sheet`.

    Raises:
        UnknownNameError: of an unknown condition; the message lists the known ones.
    """
    conditions = []
    for name in text.lower().split(","):
        parts = [part.strip() for part in name.split("+") if part.strip()]
        rest = "+".join(part for part in parts if part != "sheet") or "rp"
        parse_condition(rest)
        conditions.append((rest, SECONDS if "sheet" in parts else 0.0))
    return conditions


def make_requests(
    tasks: list[str], conditions: list[tuple[str, float]], seeds: Iterable[int], robot: str, settings: EpisodeSettings
) -> list[EpisodeRequest]:
    """One request for each task, condition and seed, in this order."""
    return [
        EpisodeRequest(task, condition, seed, robot, replace(settings, sheet=sheet))
        for task, (condition, sheet), seed in product(tasks, conditions, seeds)
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Records episodes with their truth.")
    parser.add_argument("--task", default="clock_button", help="names joined by commas, or all")
    parser.add_argument("--condition", default="light", help="conditions joined by commas; +sheet hides the object")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--n", type=int, default=2, help="seeds")
    parser.add_argument("--seed", type=int, default=9001, help="the first one")
    parser.add_argument("--points", type=int, default=EpisodeSettings.points)
    parser.add_argument("--frames", type=int, default=EpisodeSettings.frames, help="at most")
    parser.add_argument("--folder", type=Path, default=default_folder())
    args = parser.parse_args()
    cv2.setNumThreads(1)
    console, studio = make_console(), Studio(args.folder)
    try:
        settings = EpisodeSettings(args.points, args.frames)
        seeds = range(args.seed, args.seed + args.n)
        for request in make_requests(
            known_tasks(args.task), known_conditions(args.condition), seeds, args.robot, settings
        ):
            episode = load_episode(studio.episode(request))
            console.print(f"{episode.path}: {len(episode)} frames, {len(episode.queries)} points, {episode.outcome}")
    except KeypointError as error:
        sys.exit(str(error))
    finally:
        studio.close()


if __name__ == "__main__":
    main()

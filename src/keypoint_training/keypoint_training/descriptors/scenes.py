"""Pictures of the simulated world with the exact places of surface points, drawn once into a folder.

    <cache>/<task>/points.npz          the task's P surface points: bodies [P], local [P, 3]
    <cache>/<task>/<robot>-<seed>.npy  color [K, H, W, 3] uint8, K pictures of one scene
    <cache>/<task>/<robot>-<seed>.npz  pixels [K, P, 2] float32, visible [K, P] bool
    <cache>/<task>/reference.*         the same of the reference view, K = 1

All pictures of a task show the same points, so any two of them are a pair with exact correspondences, whatever moved
in between: the objects, the camera, the light. Privileged: `World` is asked where the points are. Scenes that lie in
the folder already are not drawn again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64
from keypoint_sim.camera import jitter, look_at
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.truth import SurfacePoints, pick
from keypoint_sim.world import World
from keypoint_training.rng import Stream, generator, scene_seed

CONDITIONS = ("rp", "rb", "ro", "light", "light", "light")  # of the scenes, in turn
VIEWS = 12  # scenes that a task's points are taken from
POINTS_PER_VIEW = 64
GRID = 3  # [px] between the pixels that points are chosen from
ORBIT = (14.0, 8.0)  # the camera goes round its target by up to this, across and up [deg]
NEARER = (0.75, 1.15)  # and to this part of its distance
REFERENCE = "reference"
PICTURES = Path("runs/descriptor_pictures")  # where they are kept unless told otherwise
MOST_SCENES = 1000  # per task and robot


@dataclass(frozen=True)
class Scene:
    """K pictures of one scene of a task.

    Attributes:
        task: name.
        color: [K, H, W, 3] uint8, read from the file when asked for.
        pixels: [K, P, 2] float32 (u, v) of the task's points.
        visible: [K, P] bool, in the picture and not hidden.
        reference: whether it is the reference view, where points that are not visible are merely unknown.
    """

    task: str
    color: NDArray[np.uint8]
    pixels: Float32
    visible: NDArray[np.bool_]
    reference: bool


def draw_scenes(cache: Path, seed: int, count: int, show: Callable[[str, int, int], None]) -> list[Scene]:
    """All scenes of all tasks and robots, `count` of each; draws those that the folder lacks."""
    found: list[Scene] = []
    for number, task in enumerate(TASKS):
        for robot in sorted(ROBOTS):
            names = [f"{robot}-{scene_seed(seed, number * MOST_SCENES + i)}" for i in range(count)]
            _draw_missing(cache / task, task, robot, names, show)
            found += [read_scene(cache / task / name) for name in names]
        found.append(read_scene(cache / task / REFERENCE))
    return found


def read_scene(path: Path) -> Scene:
    """The scene of the files `path`.npy and `path`.npz."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as tracks:
        pixels, visible = tracks["pixels"], tracks["visible"]
    color = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    return Scene(path.parent.name, color, pixels, visible, path.name == REFERENCE)


def _draw_missing(folder: Path, task: str, robot: str, names: list[str], show: Callable[[str, int, int], None]) -> None:
    missing = [name for name in names if not (folder / f"{name}.npz").is_file()]
    if not missing and (folder / f"{REFERENCE}.npz").is_file():
        return
    world = World(task, robot)
    points = task_points(folder, world)
    if not (folder / f"{REFERENCE}.npz").is_file():
        write_scene(folder / REFERENCE, *_reference(folder, world))
    for done, name in enumerate(missing):
        number = int(name.rpartition("-")[2])
        write_scene(folder / name, *draw_scene(world, points, number, CONDITIONS[number % len(CONDITIONS)]))
        show(f"pictures of {task}, {robot}", done + 1, len(missing))
    world.close()


def draw_scene(
    world: World, points: SurfacePoints, seed: int, condition: str
) -> tuple[NDArray[np.uint8], Float32, NDArray[np.bool_]]:
    """Two pictures: at the start, and at a random moment of the expert's work from another place."""
    rng = generator(seed, Stream.DESCRIPTORS, 0)
    world.reset(seed, condition)
    shots = []
    for moment in (0.0, rng.uniform(0.5, 6.0)):
        _work(world, moment)
        world.camera_pose = _stand(world, rng)
        pixels, visible, _ = world.tracks(points)
        shots.append((world.capture().color, pixels.astype(np.float32), visible))
    color, pixels, visible = (np.stack(column) for column in zip(*shots, strict=True))
    return color, pixels, visible


def task_points(folder: Path, world: World) -> SurfacePoints:
    """The points of a task: those on its bodies in the reference view, and in views from around. Read or chosen."""
    path = folder / "points.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _, shown = _reference_points(world)
        bodies, local = list(shown.bodies), [shown.local]
        for view in range(VIEWS):
            more = _seen(world, generator(view, Stream.DESCRIPTORS, 1))
            bodies += more.bodies
            local.append(more.local)
        _save(path, bodies=np.array(bodies), local=np.concatenate(local))
    with np.load(path, allow_pickle=False) as data:
        return SurfacePoints(tuple(str(name) for name in data["bodies"]), data["local"])


def _seen(world: World, rng: np.random.Generator) -> SurfacePoints:
    """Points on the task's bodies as seen at some moment of a scene."""
    world.reset(scene_seed(0, int(rng.integers(1000))), "rp")
    _work(world, rng.uniform(0, 6))
    points = pick(world.model, world.data, _stand(world, rng), world.camera.intrinsics, _grid(world))
    chosen = _balanced(np.array(points.bodies), world.task.bodies, POINTS_PER_VIEW, rng)
    return SurfacePoints(tuple(points.bodies[i] for i in chosen), points.local[chosen])


def _reference_points(world: World) -> tuple[Float64, SurfacePoints]:
    """Pixels in the reference view and the points there."""
    pixels = _grid(world)
    points = world.attach(pixels)
    rng = generator(0, Stream.DESCRIPTORS, 2)
    chosen = _balanced(np.array(points.bodies), world.task.bodies, 4 * POINTS_PER_VIEW, rng)
    return pixels[chosen], SurfacePoints(tuple(points.bodies[i] for i in chosen), points.local[chosen])


def _reference(folder: Path, world: World) -> tuple[NDArray[np.uint8], Float32, NDArray[np.bool_]]:
    pixels, shown = _reference_points(world)
    total = len(task_points(folder, world))
    places, visible = np.zeros((1, total, 2), np.float32), np.zeros((1, total), bool)
    places[0, : len(shown)], visible[0, : len(shown)] = pixels, True
    return world.reference().frame.color[None], places, visible


def _balanced(names: NDArray[Any], bodies: tuple[str, ...], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of up to `count` points on the bodies; small bodies get more than their share."""
    on = np.flatnonzero(np.isin(names, bodies))
    _, kind, sizes = np.unique(names[on], return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(sizes[kind])
    return rng.choice(on, min(count, len(on)), replace=False, p=weights / weights.sum())


def _grid(world: World) -> Float64:
    k = world.camera.intrinsics
    v, u = np.mgrid[2 : k.height : GRID, 2 : k.width : GRID]
    return np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)


def _stand(world: World, rng: np.random.Generator) -> Float64:
    """A pose [4, 4] of the camera: near its stand half of the time, else somewhere round its target."""
    target = np.array(world.camera.target)
    arm = np.array(world.camera.position) - target
    if rng.random() < 0.5:
        return jitter(look_at(world.camera.position, world.camera.target), rng, 0.03, 3.0)
    across, up = np.deg2rad(rng.uniform(-1, 1, 2) * ORBIT)
    reach, height = np.hypot(arm[0], arm[1]), np.arctan2(arm[2], np.hypot(arm[0], arm[1])) + up
    round_ = np.arctan2(arm[1], arm[0]) + across
    length = np.hypot(reach, arm[2]) * rng.uniform(*NEARER)
    level = np.cos(height)
    place = target + length * np.array([level * np.cos(round_), level * np.sin(round_), np.sin(height)])
    return jitter(look_at(tuple(place), tuple(target)), rng, 0.0, 5.0)


def _work(world: World, seconds: float) -> None:
    """Lets the expert work for so long, or until it is done."""
    state, expert = world.state(), world.expert()
    player, end = ChunkPlayer(state.position, state.gripper), world.stamp + int(seconds * 1e9)
    period = world.timing.control_period
    while world.stamp < end and world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            player.take(expert.act())
        world.step(player.command(world.stamp + period, period))


def write_scene(path: Path, color: NDArray[np.uint8], pixels: Float32, visible: NDArray[np.bool_]) -> None:
    """Writes `path`.npy and `path`.npz; the tracks last, so that a scene whose tracks exist is whole."""
    partial = path.with_suffix(".partial.npy")
    np.save(partial, color)
    os.replace(partial, path.with_suffix(".npy"))
    _save(path.with_suffix(".npz"), pixels=pixels, visible=visible)


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    os.replace(partial, path)

"""What the gallery shows: reference views with their regions, and a telling moment of each condition."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Intrinsics
from keypoint_sim.camera import Snapshot
from keypoint_sim.contact_sheet import Block, Color, Picture, mark, shrink
from keypoint_sim.disturbances import DisturbanceSettings
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.truth import cast_rays
from keypoint_sim.world import World

# Told apart by people with any colour vision (Okabe and Ito, 2008).
COLORS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (240, 228, 66),
)
LARGE = 240  # height of the samples that are kept [px]
SIGHT = -1.0  # what is moved by hand waits below this height until its time comes [m]
PUSHED, SETTLED = 0.008, 7  # a push shows by this shift [m], and is over so many frames later
WHITE: Color = (255, 255, 255)


@dataclass(frozen=True)
class Job:
    """All pictures of one task with one robot."""

    task: str
    robot: str
    conditions: tuple[str, ...]
    seeds: tuple[int, ...]
    disturbances: DisturbanceSettings = DisturbanceSettings()


def draw(job: Job) -> Block:
    """Draws them."""
    os.environ["LP_NUM_THREADS"] = "0"  # the software renderer works in the calling thread
    world = World(job.task, job.robot, disturbances=job.disturbances)
    reference = reference_view(world)
    samples = tuple(tuple(sample(world, seed, condition) for condition in job.conditions) for seed in job.seeds)
    world.close()
    word = "seed" if len(job.seeds) == 1 else "seeds"
    return Block(f"{job.robot}, {word} {', '.join(map(str, job.seeds))}", reference, samples)


def reference_view(world: World) -> Picture:
    """The reference view with the regions that keypoints may lie on."""
    picture, shown = world.reference().frame.color.copy(), seen_bodies(world)
    for color, bodies in zip(COLORS, world.task.regions.values(), strict=False):
        mark(picture, enlarged(np.isin(shown, bodies), world.camera.intrinsics), color)
    return picture


def seen_bodies(world: World) -> NDArray[np.str_]:
    """[H / 2, W / 2] names of the bodies that the reference view shows."""
    k = world.camera.intrinsics
    v, u = np.mgrid[0.5 : k.height : 2, 0.5 : k.width : 2]
    bodies = world.attach(np.stack([u.ravel(), v.ravel()], axis=1)).bodies
    return np.array(bodies).reshape(u.shape)


def sample(world: World, seed: int, condition: str) -> Picture:
    """The scene of a seed at the moment that shows best what its condition does."""
    world.reset(seed, condition)
    moment = MOMENTS.get(condition)
    picture = moment(world) if moment else world.capture().color
    return shrink(picture, (round(LARGE * picture.shape[1] / picture.shape[0]), LARGE))


def hand_in_view(world: World) -> Picture:
    """The middle of the time that somebody's hand is in the view."""
    shots = [shot for shot in watch(world) if (shot.mocap[:, 2] > SIGHT).any()]
    return world.capture(shots[len(shots) // 2] if shots else None).color


def after_push(world: World) -> Picture:
    """The end of the push, with a white outline of the object where it was before."""
    address = int(world.model.joint(world.task.placements[0].joint).qposadr[0])
    start, outline, late = world.data.qpos[address : address + 2].copy(), object_mask(world), -1
    for shot in watch(world):
        late += float(np.linalg.norm(shot.qpos[address : address + 2] - start)) > PUSHED
        if late == SETTLED:
            picture = world.capture(shot).color.copy()
            mark(picture, outline, WHITE, share=0.0, width=3)
            return picture
    return world.capture().color


MOMENTS: dict[str, Callable[[World], Picture]] = {"occluder": hand_in_view, "nudge": after_push}


def watch(world: World) -> Iterator[Snapshot]:
    """Lets the expert act, and yields each exposure of the trial."""
    state, period = world.state(), world.timing.control_period
    player, expert = ChunkPlayer(state.position, state.gripper), world.expert()
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            yield world.snapshot()
            player.take(expert.act())
        world.step(player.command(world.stamp + period, period))


def object_mask(world: World) -> NDArray[np.bool_]:
    """[H, W] where the camera sees the object that the task is about, and what lies on it."""
    model, placement, k = world.model, world.task.placements[0], world.camera.intrinsics
    roots = [int(model.joint(name).bodyid[0]) for name in (placement.joint, *placement.riders)]
    v, u = np.mgrid[0.5 : k.height : 2, 0.5 : k.width : 2]
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones_like(u)], axis=-1).reshape(-1, 3)
    camera = world.camera_pose
    _, geoms = cast_rays(model, world.data, camera[:3, 3], rays @ camera[:3, :3].T)
    seen = np.isin(model.body_rootid[model.geom_bodyid[geoms]], roots) & (geoms >= 0)
    return enlarged(seen.reshape(u.shape), k)


def enlarged(mask: NDArray[np.bool_], intrinsics: Intrinsics) -> NDArray[np.bool_]:
    """A mask of half the size in the size of the picture."""
    size = (intrinsics.width, intrinsics.height)
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)

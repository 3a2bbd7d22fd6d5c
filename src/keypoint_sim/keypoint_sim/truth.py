"""Privileged knowledge: where surface points really are. For training and measuring, never for acting.

Nothing here may reach a deployed policy, tracker or correspondence; those get `Frame` and `RobotState` only.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float64, Frame, Intrinsics
from keypoint_sim.scene import COLLISION_GROUP

TOLERANCE = 0.002  # a ray may end this much before the point and still see it [m]
GROUPS = np.array([group != COLLISION_GROUP for group in range(6)], dtype=np.uint8)
MOVES, RESTS = 0, 1  # groups of geoms while rays are cast: of what moves, and of what rests
ONLY = np.eye(6, dtype=np.uint8)
BOTH = ONLY[MOVES] | ONLY[RESTS]
UNMOVED = 2e-5  # up to this a body has not moved [m], nor turned [rad]


@dataclass(frozen=True)
class SurfacePoints:
    """Points fixed to bodies.

    Attributes:
        bodies: [N] names.
        local: [N, 3] float64 [m], in each body's frame.
    """

    bodies: tuple[str, ...]
    local: Float64

    def __post_init__(self) -> None:
        if self.local.shape != (len(self.bodies), 3):
            raise InputError(f"{len(self.bodies)} bodies need points [{len(self.bodies)}, 3], got {self.local.shape}")

    def __len__(self) -> int:
        return len(self.bodies)


@dataclass(frozen=True)
class ReferenceView:
    """The picture that keypoints are chosen on.

    Attributes:
        frame: colour and depth.
        world_to_camera: [4, 4], world -> optical frame of this view, which differs a little from the deployed one.
    """

    frame: Frame
    world_to_camera: Float64


def cast_rays(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    origin: Float64,
    directions: Float64,
    groups: NDArray[np.uint8] = GROUPS,
) -> tuple[Float64, NDArray[np.int32]]:
    """Distance [N] along each direction [N, 3] to the first visible surface (-1: none), and that geom's id [N].

    Args:
        model, data: the scene.
        origin: [3] in the world [m].
        directions: in the world, of any length; distances are in multiples of it.
        groups: [6] 0 or 1, groups of geoms that rays meet; by default all that are drawn.
    """
    count = len(directions)
    geoms, distances = np.full(count, -1, dtype=np.int32), np.full(count, -1.0)
    if count:
        flat = np.ascontiguousarray(directions, dtype=np.float64).ravel()
        mujoco.mj_multiRay(model, data, origin, flat, groups, 1, -1, geoms, distances, count, 100.0)
    return distances, geoms


def pick(
    model: mujoco.MjModel, data: mujoco.MjData, camera: Float64, intrinsics: Intrinsics, pixels: Float64
) -> SurfacePoints:
    """The surface points seen at pixels [N, 2] by a camera at pose [4, 4].

    Raises:
        InputError: a pixel's ray meets nothing.
    """
    k = intrinsics
    pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    rays = np.column_stack([(pixels[:, 0] - k.cx) / k.fx, (pixels[:, 1] - k.cy) / k.fy, np.ones(len(pixels))])
    directions = rays @ camera[:3, :3].T
    distances, geoms = cast_rays(model, data, camera[:3, 3], directions)
    if (distances < 0).any():
        raise InputError(f"no surface lies at pixel {pixels[distances < 0][0].tolist()} of the reference view")
    world = camera[:3, 3] + directions * distances[:, None]
    ids = model.geom_bodyid[geoms]
    rotations = data.xmat[ids].reshape(-1, 3, 3)
    local = np.einsum("nij,ni->nj", rotations, world - data.xpos[ids])
    return SurfacePoints(tuple(model.body(int(i)).name for i in ids), local)


class Visibility:
    """Whether points are hidden, with the costly part kept for as long as what it depends on stands still.

    A ray through a mesh costs thirty times one past it, and the rays to an object's points all go through its meshes. So
    for points on what rests, what rests is asked apart from what moves: the robot, what is moved by hand, and bodies that
    moved since the last time. The answer is kept until a body begins or ceases to move, and at most until the next reset.

    Args:
        model: of the scene; copied, for groups of geoms are changed in it.
        bodies: [N] ids of the bodies that the points are fixed to.
    """

    def __init__(self, model: mujoco.MjModel, bodies: NDArray[np.int64]) -> None:
        self._model, self._bodies = copy.copy(model), bodies
        driven = model.jnt_bodyid[model.actuator_trnid[:, 0]]
        self._restless = np.isin(model.body_rootid, model.body_rootid[driven]) | (model.body_mocapid >= 0)
        self._movable = np.flatnonzero(~self._restless & (model.body_weldid > 0))
        self._drawn = np.flatnonzero(model.geom_group != COLLISION_GROUP)
        self._time = np.inf

    def clear(self, data: mujoco.MjData, eye: Float64, rays: Float64) -> NDArray[np.bool_]:
        """Whether the rays [N, 3] from an eye [3] to the points get there."""
        poses = np.hstack([data.xpos[self._movable], data.xmat[self._movable]])
        if data.time < self._time or (eye != self._eye).any():
            self._rest = self._last = poses
            self._keep(np.zeros(len(poses), dtype=bool), data, eye, rays)
        left = (np.abs(poses - self._rest) > UNMOVED).any(axis=1) & ~self._moving
        moving = (np.abs(poses - self._last) > UNMOVED).any(axis=1) | left
        if (moving != self._moving).any():
            self._rest = poses
            self._keep(moving, data, eye, rays)
        self._time, self._last = data.time, poses
        clear, open_ = self._shown.copy(), np.flatnonzero(self._shown)
        clear[open_] = _past(self._model, data, eye, rays[open_], ONLY[MOVES])
        clear[self._afloat] = _past(self._model, data, eye, rays[self._afloat], BOTH)
        return clear

    def _keep(self, moving: NDArray[np.bool_], data: mujoco.MjData, eye: Float64, rays: Float64) -> None:
        """Sorts the geoms by which of the movable bodies move, asks about those at rest, and keeps the answer."""
        apart = self._restless.copy()
        apart[self._movable[moving]] = True
        groups = np.where(apart[self._model.geom_bodyid], MOVES, RESTS)
        self._model.geom_group[self._drawn] = groups[self._drawn]
        still, self._afloat = np.flatnonzero(~apart[self._bodies]), np.flatnonzero(apart[self._bodies])
        self._shown = np.zeros(len(rays), dtype=bool)
        self._shown[still] = _past(self._model, data, eye, rays[still], ONLY[RESTS])
        self._moving, self._eye = moving, eye.copy()


def _past(
    model: mujoco.MjModel, data: mujoco.MjData, eye: Float64, rays: Float64, groups: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Whether no geom of some groups stops each ray [N, 3] before its end."""
    distances, _ = cast_rays(model, data, eye, rays, groups)
    length = np.sqrt(np.einsum("ni,ni->n", rays, rays))
    return (distances < 0) | (distances * length > length - TOLERANCE)


class Projector:
    """Follows the same surface points through many states, with the look-ups done once."""

    def __init__(self, model: mujoco.MjModel, points: SurfacePoints, intrinsics: Intrinsics) -> None:
        self._intrinsics = intrinsics
        self._ids = np.array([int(model.body(name).id) for name in points.bodies], dtype=np.int64)
        self._visibility = Visibility(model, self._ids)
        self._local = points.local

    def project(self, data: mujoco.MjData, camera: Float64) -> tuple[Float64, NDArray[np.bool_], Float64]:
        """Pixels [N, 2], visible [N] (in the image and not hidden), points [N, 3] in the optical frame [m]."""
        rotations = data.xmat[self._ids].reshape(-1, 3, 3)
        world = data.xpos[self._ids] + np.einsum("nij,nj->ni", rotations, self._local)
        rays = world - camera[:3, 3]
        optical = rays @ camera[:3, :3]
        k, depth = self._intrinsics, np.maximum(optical[:, 2], 1e-6)
        pixels = np.column_stack([k.fx * optical[:, 0] / depth + k.cx, k.fy * optical[:, 1] / depth + k.cy])
        inside = (pixels > -0.5).all(axis=1) & (pixels < (k.width - 0.5, k.height - 0.5)).all(axis=1)
        clear = self._visibility.clear(data, camera[:3, 3], rays)
        return pixels, inside & clear & (optical[:, 2] > 0), optical

"""Privileged knowledge: where surface points really are. For training and measuring, never for acting.

Nothing here may reach a deployed policy, tracker or correspondence; those get `Frame` and `RobotState` only.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float64, Frame, Intrinsics
from keypoint_sim.scene import COLLISION_GROUP

TOLERANCE = 0.002  # a ray may end this much before the point and still see it [m]
GROUPS = np.array([group != COLLISION_GROUP for group in range(6)], dtype=np.uint8)


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
    model: mujoco.MjModel, data: mujoco.MjData, origin: Float64, directions: Float64
) -> tuple[Float64, NDArray[np.int32]]:
    """Distance [N] along each direction [N, 3] to the first visible surface (-1: none), and that geom's id [N]."""
    count = len(directions)
    geoms, distances = np.full(count, -1, dtype=np.int32), np.full(count, -1.0)
    if count:
        flat = np.ascontiguousarray(directions, dtype=np.float64).ravel()
        mujoco.mj_multiRay(model, data, origin, flat, GROUPS, 1, -1, geoms, distances, count, 100.0)
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


class Projector:
    """Follows the same surface points through many states, with the look-ups done once."""

    def __init__(self, model: mujoco.MjModel, points: SurfacePoints, intrinsics: Intrinsics) -> None:
        self._model, self._intrinsics = model, intrinsics
        self._ids = np.array([int(model.body(name).id) for name in points.bodies], dtype=np.int64)
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
        distances, _ = cast_rays(self._model, data, camera[:3, 3], rays)
        length = np.linalg.norm(rays, axis=1)
        clear = (distances < 0) | (distances * length > length - TOLERANCE)
        return pixels, inside & clear & (optical[:, 2] > 0), optical

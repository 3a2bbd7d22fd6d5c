"""Things that stand on the table stand on it in the live view too, just moved and turned on it.

A pose from a few matches leans, and slides along a print that repeats itself. Set upright, three of its six degrees of
freedom are left, and the thing's shape over the table tells where its ends are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.round_things import HIGHEST, STANDS_OUT, things_of
from keypoint_core.geometry import camera
from keypoint_core.geometry.table import Table
from keypoint_core.types import Float32, Float64, Frame, Intrinsics

_SEED = 5
_POINTS = 200  # of a thing's shape
_LEAST = 40  # fewer are no shape
# A shape is moved [m] and turned [rad] by so much, while depths so far from each other [m] have nothing to do with each other.
_STEPS = ((0.004, 0.08, 0.03), (0.003, 0.06, 0.03), (0.002, 0.04, 0.03), (0.001, 0.02, 0.01))
_TIMES = 2  # each
_BEHIND = 0.7  # what a point behind something costs, and
_UNKNOWN = 0.5  # where no depth is known, of what one costs where nothing stands
_LEANS = np.deg2rad(30)  # a pose that leans more is not set upright: it belongs to what turned by itself
_STANDS = np.deg2rad(12)  # one pose must lean less, else the plane is not what things stand on


@dataclass(frozen=True)
class Ground:
    """A live depth image and the table in it.

    Attributes:
        table: in the live optical frame.
        depth: [H, W] [m].
        intrinsics: of the live camera.
    """

    table: Table
    depth: Float32
    intrinsics: Intrinsics

    @classmethod
    def of(cls, frame: Frame) -> Ground | None:
        """Of a frame; None without depth or without a table."""
        table = None if frame.depth is None else Table.of(frame.depth, frame.intrinsics)
        return None if table is None or frame.depth is None else cls(table, frame.depth, frame.intrinsics)


class Standing:
    """What stood on the table of a reference with depth.

    Args:
        reference: with N keypoints.

    Attributes:
        shapes: [P, 3] of each thing with a keypoint on it, by its number: points in the frame of the table [m].
    """

    def __init__(self, reference: Reference) -> None:
        depth = np.asarray(reference.depth)
        self._table = Table.of(depth, reference.intrinsics)
        self._things = things_of(reference)
        self.shapes: dict[int, Float64] = {}
        if self._table is None:
            return
        points = _moved(self._table.from_camera, _points(depth, reference.intrinsics, 1))
        out = (points[:, 2] > STANDS_OUT) & (points[:, 2] < HIGHEST)
        rng = np.random.default_rng(_SEED)
        for thing in np.unique(self.thing_at(reference.pixels)):
            mine = np.flatnonzero(out & (self._things.ravel() == thing))
            if thing and len(mine) >= _LEAST:
                self.shapes[int(thing)] = points[np.sort(rng.permutation(mine)[:_POINTS])]

    def thing_at(self, pixels: Float32 | Float64) -> NDArray[np.int32]:
        """[N] number of the thing at pixels [N, 2] of the reference, 0 for none."""
        u, v = np.round(pixels).astype(np.int64).T
        things: NDArray[np.int32] = self._things[v, u]
        return things

    def leaning(self, ground: Ground, poses: Float64) -> Float64:
        """[H] angle [rad] by which poses [H, 4, 4] live_from_reference tilt the table; 0 where the reference has none."""
        if self._table is None:
            return np.zeros(len(poses))
        turned = np.einsum("hij,j->hi", poses[:, :3, :3], self._table.normal)
        angle: Float64 = np.arccos(np.clip(np.einsum("hi,i->h", turned, ground.table.normal), -1.0, 1.0))
        return angle

    def raised(self, ground: Ground, poses: Float64, points: Float64) -> Float64:
        """[H, N] how much higher over the table [m] poses put points [N, 3] of the reference than they were."""
        if self._table is None:
            return np.zeros((len(poses), len(points)))
        moved = np.einsum("hij,nj->hni", poses[:, :3, :3], points) + poses[:, None, :3, 3]
        higher: Float64 = ground.table.height(moved) - self._table.height(points)
        return higher

    def ground(self, frame: Frame, poses: Float64) -> Ground | None:
        """The ground of a live frame; None unless one of the poses [H, 4, 4] leaves things standing on it."""
        found = None if self._table is None else Ground.of(frame)
        if found is None or self.leaning(found, poses).min() > _STANDS:
            return None
        return found

    def upright(self, ground: Ground, poses: Float64, centres: Float64) -> Float64:
        """Poses [H, 4, 4] set upright, those that lean too much left out.

        Args:
            ground: of the live frame.
            poses: live_from_reference.
            centres: [H, 3] points of the reference that stay where they are in the image; NaN leaves the pose out.
        """
        if self._table is None:
            return np.empty((0, 4, 4))
        kept = []
        taken = (self.leaning(ground, poses) <= _LEANS) & np.isfinite(centres).all(axis=1)
        for pose, centre in zip(poses[taken], centres[taken], strict=True):
            up = np.einsum("ij,j->i", pose[:3, :3], self._table.normal)
            axis, cosine = np.cross(up, ground.table.normal), np.einsum("i,i->", up, ground.table.normal)
            sine = np.linalg.norm(axis)
            turn = Rotation.from_rotvec(axis / max(sine, 1e-12) * np.arctan2(sine, cosine)).as_matrix()
            result = np.eye(4)
            result[:3, :3] = np.einsum("ij,jk->ik", turn, pose[:3, :3])
            seen = _moved(pose, centre[None])[0]
            climb = np.einsum("i,i->", ground.table.normal, seen)
            if abs(climb) < 1e-6:
                continue  # seen along the table
            height = self._table.height(centre)
            seen = seen * (height - ground.table.offset) / climb
            if seen[2] <= 0:
                continue
            result[:3, 3] = seen - np.einsum("ij,j->i", result[:3, :3], centre)
            kept.append(result)
        return np.array(kept).reshape(-1, 4, 4)

    def laid(self, ground: Ground, poses: Float64, thing: int) -> Float64:
        """Upright poses [H, 4, 4] moved along the table until a thing's shape lies over what stands there.

        Args:
            ground: of the live frame.
            poses: upright.
            thing: one of `shapes`.
        """
        if self._table is None or not len(poses):
            return poses
        shape = self.shapes[thing]
        moves = np.einsum("ij,hjk,kl->hil", ground.table.from_camera, poses, self._table.to_camera)
        middle = np.einsum("hij,j->hi", moves[:, :3, :3], shape.mean(axis=0)) + moves[:, :3, 3]
        for shift, turn, apart in _STEPS:
            for _ in range(_TIMES):
                tried = np.einsum("hsij,hjk->hsik", _steps(middle, shift, turn), moves)
                cost = _misfit(ground, shape, tried.reshape(-1, 4, 4), apart).reshape(tried.shape[:2])
                moves = np.take_along_axis(tried, cost.argmin(axis=1)[:, None, None, None], axis=1)[:, 0]
                middle = np.einsum("hij,j->hi", moves[:, :3, :3], shape.mean(axis=0)) + moves[:, :3, 3]
        return np.asarray(np.einsum("ij,hjk,kl->hil", ground.table.to_camera, moves, self._table.from_camera))


def along(table: Table) -> Float64:
    """[3, 6] the steps of a pose (a turn [rad] and a shift [m]) that leave upright what is: for `fit_pose`."""
    steps = np.zeros((3, 6))
    steps[0, :3] = table.normal
    steps[1:, 3:] = table.axes
    return steps


def distinct(places: Float64, apart: float) -> NDArray[np.int64]:
    """Which of H poses put N points farther than `apart` [px] from where one before them does; places [H, N, 2]."""
    flat = np.nan_to_num(places.reshape(len(places), -1), nan=-1e4)
    kept: list[int] = []
    for k, one in enumerate(flat):
        if not kept or (np.abs(flat[kept] - one).max(axis=1) > apart).all():
            kept.append(k)
    return np.array(kept, dtype=np.int64)


def _moved(pose: Float64, points: Float64) -> Float64:
    """Points [K, 3] under a pose [4, 4].

    By einsum instead of a product of matrices, whose order of summation depends on the number of threads.
    """
    moved: Float64 = np.einsum("ij,kj->ki", pose[:3, :3], points) + pose[:3, 3]
    return moved


def _steps(middle: Float64, shift: float, turn: float) -> Float64:
    """[H, 27, 4, 4] steps of -1, 0 or 1 times shift [m] along x and y and turn [rad] about middles [H, 3]; first: none."""
    one = np.array([0.0, -1.0, 1.0])
    turns, dx, dy = (grid.ravel() for grid in np.meshgrid(turn * one, shift * one, shift * one, indexing="ij"))
    steps = np.tile(np.eye(4), (len(middle), len(turns), 1, 1))
    steps[..., :3, :3] = Rotation.from_rotvec(turns[:, None] * [0.0, 0.0, 1.0]).as_matrix()
    steps[..., :3, 3] = middle[:, None] - np.einsum("hsij,hj->hsi", steps[..., :3, :3], middle)
    steps[..., :2, 3] += np.stack([dx, dy], axis=1)
    return steps


def _misfit(ground: Ground, shape: Float64, moves: Float64, apart: float) -> Float64:
    """[H] 0..1 how badly a shape [P, 3] fits the live depth under motions [H, 4, 4] from table to table.

    Depths `apart` [m] from each other, or more, do not fit at all.
    """
    poses = np.einsum("ij,hjk->hik", ground.table.to_camera, moves)
    points = np.einsum("hij,pj->hpi", poses[:, :3, :3], shape) + poses[:, None, :3, 3]
    pixels = camera.project(points.reshape(-1, 3), ground.intrinsics)
    height, width = ground.depth.shape
    at = np.round(np.nan_to_num(pixels, nan=-1e4)).astype(np.int64)
    inside = ((at >= 0) & (at < [width, height])).all(axis=1)
    seen = ground.depth[np.clip(at[:, 1], 0, height - 1), np.clip(at[:, 0], 0, width - 1)]
    farther = np.where(inside, seen - points[..., 2].ravel(), np.nan)
    cost = np.minimum(np.abs(farther) / apart, np.where(farther < 0, _BEHIND, 1.0))
    return np.asarray(np.where(np.isfinite(cost), cost, _UNKNOWN).reshape(points.shape[:2]).mean(axis=1))


def _points(depth: Float32, intrinsics: Intrinsics, step: int) -> Float64:
    """[K, 3] [m] in the optical frame of every so many pixels of a depth image; NaN where unknown."""
    v, u = np.mgrid[: depth.shape[0] : step, : depth.shape[1] : step]
    pixels = np.column_stack([u.ravel(), v.ravel()]).astype(np.float64)
    return camera.deproject(pixels, depth[v, u].ravel().astype(np.float64), intrinsics)

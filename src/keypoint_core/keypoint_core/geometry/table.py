"""The table: the plane that most of a depth image lies on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keypoint_core.geometry import camera
from keypoint_core.geometry.pose import inverse
from keypoint_core.types import Float32, Float64, Intrinsics

_SEED = 11
_SAMPLES = 200
_STEP = 8  # between the pixels that vote [px]
_LEAST = 50  # of them must have depth
_FLAT = 0.006  # a point this near to the plane is on it [m]


@dataclass(frozen=True)
class Table:
    """A plane seen by a camera.

    Attributes:
        normal: [3] of unit length in the camera's optical frame, up from the table.
        offset: height of the camera over it [m].
    """

    normal: Float64
    offset: float

    @classmethod
    def of(cls, depth: Float32, intrinsics: Intrinsics) -> Table | None:
        """The table of a depth image [H, W] [m]; None where hardly any depth is known."""
        v, u = np.mgrid[: depth.shape[0] : _STEP, : depth.shape[1] : _STEP]
        pixels = np.column_stack([u.ravel(), v.ravel()]).astype(np.float64)
        points = camera.deproject(pixels, depth[v, u].ravel(), intrinsics)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points) < _LEAST:
            return None
        corners = points[np.random.default_rng(_SEED).integers(0, len(points), (_SAMPLES, 3))]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        offsets = -np.einsum("sj,sj->s", normals, corners[:, 0])
        # einsum instead of products of matrices, whose order of summation depends on the number of threads.
        count = (np.abs(np.einsum("sj,pj->sp", normals, points) + offsets[:, None]) <= _FLAT).sum(axis=1)
        best = int(np.argmax(count))
        on = points[np.abs(np.einsum("pj,j->p", points, normals[best]) + offsets[best]) <= _FLAT]
        centre = on.mean(axis=0)
        spread = np.einsum("pi,pj->ij", on - centre, on - centre)
        normal = np.linalg.eigh(spread)[1][:, 0]
        normal = -normal if normal @ centre > 0 else normal
        return cls(normal, float(-normal @ centre))

    def height(self, points: Float64) -> Float64:
        """[...] over the table [m] of points [..., 3] in the optical frame."""
        over: Float64 = np.einsum("...j,j->...", points, self.normal) + self.offset
        return over

    @property
    def axes(self) -> Float64:
        """[2, 3] two directions along the table, square to each other."""
        first = np.cross(self.normal, np.eye(3)[np.argmin(np.abs(self.normal))])
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(self.normal, first)])

    @property
    def from_camera(self) -> Float64:
        """[4, 4] from the optical frame to one whose x and y lie in the table and whose z is up."""
        pose = np.eye(4)
        pose[:2, :3], pose[2, :3], pose[2, 3] = self.axes, self.normal, self.offset
        return pose

    @property
    def to_camera(self) -> Float64:
        """[4, 4], the way back."""
        return inverse(self.from_camera)

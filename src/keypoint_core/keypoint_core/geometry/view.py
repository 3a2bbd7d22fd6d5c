"""Keypoints as the camera of the training would have seen them.

A policy that sees pixels of one view fails when the camera stands elsewhere. Where the camera's pose is known, each
keypoint's point is projected into the pose that the policy was trained for. Depth need not be good for that: with a
camera 3 cm off and the object at 0.8 m, an error of 2 cm in depth moves a pixel by half a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import deproject, inside, project, transform
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.geometry.pose import difference, inverse
from keypoint_core.types import Float32, Float64, Intrinsics, Keypoints, KeypointStatus

if TYPE_CHECKING:
    from keypoint_core.checkpoint import Checkpoint


@dataclass(frozen=True)
class ViewSettings:
    """When and how keypoints are moved into the training view.

    Attributes:
        distance, angle: a camera that is nearer than this to that of the training counts as the same [m], [rad]; about
            what a calibration is worth.
        neighbours: nearest keypoints with depth that stand in for one without.
        odd_depth: a depth that differs from theirs by more belongs to what is behind or in front [m].
    """

    distance: float = 0.003
    angle: float = math.radians(0.25)
    neighbours: int = 3
    odd_depth: float = 0.15


class TrainingView:
    """Moves keypoints into the view that a policy was trained for; one per track, `reset` before the next.

    Nothing is changed, not a bit, while the camera's pose is unknown or that of the training. Once it was another one,
    keypoints are moved until the next reset, so that a camera at the limit does not make them jump.

    Args:
        camera_pose: [4, 4] of the training's colour optical frame in the arm's base frame.
        intrinsics: of the training's camera.
        depth: distance of the object in the training [m], where no keypoint has any depth; NaN when unknown.
        settings: see there.
    """

    def __init__(
        self,
        camera_pose: ArrayLike,
        intrinsics: Intrinsics,
        depth: float = math.nan,
        settings: ViewSettings | None = None,
    ) -> None:
        self._pose = np.array(camera_pose, dtype=np.float64)
        if self._pose.shape != (4, 4):
            raise InputError(f"the training's camera pose must be [4, 4], got {self._pose.shape}")
        self._intrinsics, self._depth = intrinsics, depth
        self._settings = settings or ViewSettings()
        self.reset()

    def reset(self) -> None:
        """Forgets the track."""
        self._moved = False
        self._ids: NDArray[np.int32] | None = None

    @property
    def moved(self) -> bool:
        """Whether keypoints have been moved since the reset."""
        return self._moved

    def apply(self, keypoints: Keypoints) -> Keypoints:
        """The keypoints in the training view: pixels, points, camera_pose, and OUT_OF_VIEW where it does not reach.

        A hidden keypoint whose pixel stands still stays where it was in the training view, whatever the camera does.
        Where neither depth nor a stand-in for it is known, keypoints come back unchanged.
        """
        self._begin(keypoints)
        if keypoints.camera_pose is None or not self._elsewhere(keypoints.camera_pose):
            return self._remember(keypoints, keypoints)
        to_training = inverse(self._pose) @ keypoints.camera_pose
        points = transform(to_training, self._points(keypoints))
        pixels = project(points, self._intrinsics)
        if not np.isfinite(pixels[keypoints.visible]).all():
            return self._remember(keypoints, keypoints)
        return self._remember(keypoints, self._moved_keypoints(keypoints, to_training, pixels))

    def _begin(self, keypoints: Keypoints) -> None:
        """Starts anew where the keypoints are not those of before."""
        if self._ids is not None and np.array_equal(self._ids, keypoints.ids):
            return
        self._ids = keypoints.ids.copy()
        self._given: Float32 | None = None
        self._shown = keypoints.pixels
        self._last_depth = np.full(len(keypoints), np.nan)

    def _elsewhere(self, pose: Float64) -> bool:
        if not self._moved:
            distance, angle = difference(self._pose, pose)
            self._moved = distance > self._settings.distance or angle > self._settings.angle
        return self._moved

    def _remember(self, given: Keypoints, shown: Keypoints) -> Keypoints:
        self._given, self._shown = given.pixels.copy(), shown.pixels.copy()
        return shown

    def _moved_keypoints(self, keypoints: Keypoints, to_training: Float64, pixels: Float64) -> Keypoints:
        """The keypoints with new pixels [N, 2], where these can be shown."""
        visible = keypoints.visible
        if self._given is not None:
            still = ~visible & (keypoints.pixels == self._given).all(axis=1)
            pixels = np.where(still[:, None], self._shown, pixels)
        limit = (self._intrinsics.width - 1, self._intrinsics.height - 1)
        outside = ~inside(pixels, self._intrinsics)  # NaN is
        known = np.isfinite(pixels).all(axis=1)[:, None]
        pixels = np.where(outside[:, None], np.clip(np.where(known, pixels, self._shown), 0, limit), pixels)
        status = np.where(visible & outside, np.uint8(KeypointStatus.OUT_OF_VIEW), keypoints.status)
        points = transform(to_training, keypoints.points)
        return replace(
            keypoints,
            pixels=pixels.astype(np.float32),
            status=status.astype(np.uint8),
            points=points.astype(np.float32),
            camera_pose=self._pose,
        )

    def _points(self, keypoints: Keypoints) -> Float64:
        """[N, 3] in the present optical frame: as measured, else along the pixel's ray at a stand-in for its depth."""
        points = keypoints.points.astype(np.float64)
        depth = points[:, 2]
        known = np.isfinite(points).all(axis=1)
        around = _median_of_nearest(keypoints.pixels, depth, known, self._settings.neighbours)
        sound = known & ~(np.abs(depth - around) > self._settings.odd_depth)
        self._last_depth[sound] = depth[sound]
        stand_in = np.where(np.isfinite(self._last_depth), self._last_depth, around)
        stand_in = np.where(np.isfinite(stand_in), stand_in, self._depth)
        along = deproject(keypoints.pixels - self._offset(keypoints, known), stand_in, self._intrinsics)
        return np.where(sound[:, None], points, along)

    def _offset(self, keypoints: Keypoints, known: NDArray[np.bool_]) -> Float64:
        """[2] by how much pixels differ from where a camera with the training's intrinsics would see the same points.

        Measured points hold the present camera's intrinsics; this lets rays of the other keypoints agree with them.
        """
        if not known.any():
            return np.zeros(2)
        expected = project(keypoints.points[known], self._intrinsics)
        offset: Float64 = np.nan_to_num(np.median(keypoints.pixels[known] - expected, axis=0))
        return offset


def training_view(checkpoint: Checkpoint) -> TrainingView:
    """The view that a checkpoint was trained for; keypoints without any depth get that of its reference view."""
    reference, card = checkpoint.reference(), checkpoint.card
    depth = np.empty(0) if reference.depth is None else depth_at(reference.depth, reference.pixels)
    known = depth[np.isfinite(depth)]
    return TrainingView(card.camera_pose, card.intrinsics, float(np.median(known)) if len(known) else math.nan)


def _median_of_nearest(pixels: Float32, depth: Float64, known: NDArray[np.bool_], count: int) -> Float64:
    """[N] median depth of the `count` nearest others with depth; NaN where there are none."""
    if not known.any():
        return np.full(len(pixels), np.nan)
    away = np.linalg.norm(pixels[:, None].astype(np.float64) - pixels[None], axis=2)
    np.fill_diagonal(away, np.inf)
    away[:, ~known] = np.inf
    nearest = np.argsort(away, axis=1, kind="stable")[:, :count]
    usable = np.isfinite(np.take_along_axis(away, nearest, axis=1))
    values = np.where(usable, depth[nearest], np.nan)
    result = np.full(len(pixels), np.nan)
    rows = usable.any(axis=1)
    result[rows] = np.nanmedian(values[rows], axis=1)
    return result

"""What perception is compared with: keypoints that are never tracked or known exactly, and pictures without keypoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CorrespondenceError, TrackingError
from keypoint_core.protocols import Policy
from keypoint_core.tracking.tracks import checked_ids, checked_pixels, new_ids, rows_without
from keypoint_core.types import (
    ActionChunk,
    Float32,
    Float64,
    Frame,
    Keypoints,
    KeypointStatus,
    Observation,
    RobotState,
)
from keypoint_sim.world import World


class FrozenTracker:
    """Says of every keypoint for ever that it is where it was located: the control that shows what tracking is worth."""

    def __init__(self) -> None:
        self._held: Keypoints | None = None

    def start(self, frame: Frame, pixels: Float32, ids: ArrayLike | None = None) -> Keypoints:
        """Takes pixels [N, 2] of that frame; raises TrackingError when one lies outside."""
        array = checked_pixels(pixels, frame.color.shape[:2])
        self._held = _seen(frame.stamp, checked_ids(ids, len(array)), array)
        return self._held

    def track(self, frame: Frame) -> Keypoints:
        """The same pixels; raises TrackingError before `start`."""
        self._held = replace(self._started(), stamp=frame.stamp)
        return self._held

    def add(self, pixels: Float32, ids: ArrayLike) -> None:
        """Adds keypoints at pixels [N, 2]; raises TrackingError when an id is taken."""
        held = self._started()
        numbers = np.concatenate([held.ids, new_ids(ids, len(pixels), held.ids)])
        self._held = _seen(held.stamp, numbers, np.concatenate([held.pixels, np.asarray(pixels, np.float32)]))

    def remove(self, ids: ArrayLike) -> None:
        """Drops keypoints; raises TrackingError when an id is unknown."""
        held = self._started()
        keep = rows_without(ids, held.ids)
        self._held = _seen(held.stamp, held.ids[keep], held.pixels[keep])

    def reset(self) -> None:
        """Forgets everything."""
        self._held = None

    def _started(self) -> Keypoints:
        if self._held is None:
            raise TrackingError("nothing is tracked; call start first")
        return self._held


class Truth:
    """Where a simulated world's keypoints really are. Privileged: for comparison, never for deployment.

    Args:
        world: that is looked at.
        reference: with the N keypoints, in the reference view of that world.
    """

    def __init__(self, world: World, reference: Reference) -> None:
        self._world, self._points = world, world.attach(reference.pixels.astype(np.float64))
        self._ids = reference.ids

    def keypoints(self, frame: Frame) -> Keypoints:
        """All N in the present frame; OCCLUDED where something is in front, or out of the picture."""
        pixels, visible, _ = self._world.tracks(self._points)
        height, width = frame.color.shape[:2]
        visible &= ((pixels >= 0) & (pixels <= [width - 1, height - 1])).all(axis=1)
        return _seen(frame.stamp, self._ids, pixels.astype(np.float32), visible)


class ExactCorrespondence:
    """Finds every keypoint that is in sight, exactly."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    def locate(self, frame: Frame) -> Keypoints:
        """Raises CorrespondenceError when none is in sight."""
        found = self._truth.keypoints(frame)
        if not found.visible.any():
            raise CorrespondenceError("none of the keypoints is in sight")
        return found


class ExactTracker(FrozenTracker):
    """Follows exactly; a keypoint that something hides keeps the last pixel it was seen at."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self._truth = truth

    def track(self, frame: Frame) -> Keypoints:
        """Where the keypoints are; raises TrackingError before `start`."""
        held, now = self._started(), self._truth.keypoints(frame)
        rows = np.searchsorted(now.ids, held.ids)
        visible = now.visible[rows]
        pixels = np.where(visible[:, None], now.pixels[rows], held.pixels)
        self._held = _seen(frame.stamp, held.ids, pixels, visible)
        return self._held


class PicturePipeline:
    """In the place of `Pipeline` for policies that look at pictures: nothing is located or tracked."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._frame: Frame | None = None

    def start(self, frame: Frame, camera_pose: Float64 | None = None) -> Keypoints:
        """Begins anew; there are no keypoints."""
        self._policy.reset()
        return self.track(frame)

    def track(self, frame: Frame) -> Keypoints:
        """Keeps the frame to be acted on."""
        self._frame = frame
        return _seen(frame.stamp, np.empty(0, np.int32), np.empty((0, 2), np.float32))

    def act(self, keypoints: Keypoints, state: RobotState) -> ActionChunk:
        """The action chunk for the newest frame."""
        return self._policy.act(Observation(keypoints, state, self._frame))


def _seen(stamp: int, ids: ArrayLike, pixels: Float32, visible: ArrayLike | None = None) -> Keypoints:
    """Keypoints that are where they are said to be, or hidden."""
    n = len(pixels)
    shown = np.ones(n, dtype=np.bool_) if visible is None else np.asarray(visible, dtype=np.bool_)
    status = np.where(shown, KeypointStatus.VISIBLE, KeypointStatus.OCCLUDED).astype(np.uint8)
    nowhere = np.full((n, 3), np.nan, dtype=np.float32)
    return Keypoints(stamp, np.asarray(ids, np.int32), pixels, shown.astype(np.float32), status, nowhere)

"""One track from start to end: the tracker follows what was located, the rest stays lost, order and length stay fixed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from keypoint_core.errors import TrackingError
from keypoint_core.protocols import Tracker
from keypoint_core.types import Float64, Frame, Keypoints, KeypointStatus

if TYPE_CHECKING:
    from keypoint_core.camera_monitor.monitor import CameraMonitor


class TrackingSession:
    """Keeps the full set of keypoints in the order they were located in, and knows where their camera is.

    Args:
        tracker: follows the keypoints.
        monitor: notices when the camera is moved; None for none.
    """

    def __init__(self, tracker: Tracker, monitor: CameraMonitor | None = None) -> None:
        self._tracker = tracker
        self._monitor = monitor
        self._calibrated: Float64 | None = None
        self._located: Keypoints | None = None

    @property
    def active(self) -> bool:
        """Whether something is being tracked."""
        return self._located is not None

    @property
    def camera_report(self) -> str:
        """What a person should know of the camera; empty while it stands where it should."""
        return self._monitor.report if self._monitor is not None else ""

    @property
    def camera_pose(self) -> Float64 | None:
        """[4, 4] the camera in the arm's base frame, as calibrated or as the monitor follows it; None when unknown."""
        return self._monitor.camera_pose if self._monitor is not None else self._calibrated

    def calibrate(self, camera_pose: Float64 | None) -> None:
        """Takes the camera's pose [4, 4] in the arm's base frame; None when unknown. It holds until the next one."""
        self._calibrated = camera_pose
        if self._monitor is not None:
            self._monitor.calibrate(camera_pose)

    def start(self, frame: Frame, located: Keypoints) -> Keypoints:
        """Starts on the keypoints that are VISIBLE in `located`; the others stay LOST where they are.

        Raises:
            TrackingError: the frame is not the one they were located in, or none is VISIBLE.
        """
        if located.stamp != frame.stamp:
            raise TrackingError(f"keypoints belong to the frame {located.stamp}, got the frame {frame.stamp}")
        found = located.visible
        if not found.any():
            raise TrackingError("none of the keypoints was located; nothing to track")
        self._located = located
        if self._monitor is not None:
            self._monitor.start(frame)
        return self._complete(self._tracker.start(frame, located.pixels[found], located.ids[found]))

    def track(self, frame: Frame) -> Keypoints:
        """Follows into the next frame; before `start` raises TrackingError."""
        if self._located is None:
            raise TrackingError("nothing is being tracked; start first")
        tracked = self._tracker.track(frame)
        if self._monitor is not None:
            self._monitor.update(frame)
        return self._complete(tracked)

    def reset(self) -> None:
        """Ends the track."""
        self._tracker.reset()
        self._located = None

    def _complete(self, tracked: Keypoints) -> Keypoints:
        """All keypoints in their fixed order, with what the tracker says about those it follows."""
        located, pose = self._located, self.camera_pose
        if located is None or len(tracked) == len(located):
            return tracked if pose is None else replace(tracked, camera_pose=pose)
        rows = np.searchsorted(located.ids, tracked.ids, sorter=np.argsort(located.ids))
        rows = np.argsort(located.ids)[rows]
        result = replace(
            located,
            stamp=tracked.stamp,
            pixels=located.pixels.copy(),
            confidence=np.zeros_like(located.confidence),
            status=np.full_like(located.status, KeypointStatus.LOST),
            points=np.full_like(located.points, np.nan),
            camera_pose=pose,
        )
        for name in ("pixels", "confidence", "status", "points"):
            getattr(result, name)[rows] = getattr(tracked, name)
        return result

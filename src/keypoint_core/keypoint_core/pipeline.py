"""Perception to action in one process, made of the objects that the ROS nodes run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keypoint_core.protocols import Correspondence, Policy, Tracker
from keypoint_core.tracking.session import TrackingSession
from keypoint_core.types import ActionChunk, Float64, Frame, Keypoints, Observation, RobotState

if TYPE_CHECKING:
    from keypoint_core.camera_monitor.monitor import CameraMonitor
    from keypoint_core.geometry.view import TrainingView


class Pipeline:
    """Locates once, then tracks and acts on every frame.

    Args:
        correspondence, tracker, policy: the stages.
        view: moves keypoints into the view that the policy was trained for; None leaves them as they are.
        monitor: notices when the camera is moved; None for none.
    """

    def __init__(
        self,
        correspondence: Correspondence,
        tracker: Tracker,
        policy: Policy,
        view: TrainingView | None = None,
        monitor: CameraMonitor | None = None,
    ) -> None:
        self._correspondence = correspondence
        self._session = TrackingSession(tracker, monitor)
        self._policy, self._view = policy, view

    def start(self, frame: Frame, camera_pose: Float64 | None = None) -> Keypoints:
        """Locates the keypoints in the first frame and starts to track them; raises CorrespondenceError.

        Args:
            frame: the first one.
            camera_pose: [4, 4] its camera's calibrated pose in the arm's base frame; None when unknown.
        """
        self._policy.reset()
        if self._view is not None:
            self._view.reset()
        self._session.reset()
        self._session.calibrate(camera_pose)
        located = self._correspondence.locate(frame)
        return self._session.start(frame, located)

    def track(self, frame: Frame) -> Keypoints:
        """Follows the keypoints into the next frame."""
        return self._session.track(frame)

    def act(self, keypoints: Keypoints, state: RobotState) -> ActionChunk:
        """The action chunk for the robot's state at the exposure of the keypoints' frame."""
        if self._view is not None:
            keypoints = self._view.apply(keypoints)
        return self._policy.act(Observation(keypoints, state))

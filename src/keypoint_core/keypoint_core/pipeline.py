"""Perception to action in one process, made of the objects that the ROS nodes run."""

from __future__ import annotations

from keypoint_core.protocols import Correspondence, Policy, Tracker
from keypoint_core.tracking.session import TrackingSession
from keypoint_core.types import ActionChunk, Frame, Keypoints, Observation, RobotState


class Pipeline:
    """Locates once, then tracks and acts on every frame."""

    def __init__(self, correspondence: Correspondence, tracker: Tracker, policy: Policy) -> None:
        self._correspondence = correspondence
        self._session = TrackingSession(tracker)
        self._policy = policy

    def start(self, frame: Frame) -> Keypoints:
        """Locates the keypoints in the first frame and starts to track them; raises CorrespondenceError."""
        self._policy.reset()
        self._session.reset()
        located = self._correspondence.locate(frame)
        return self._session.start(frame, located)

    def track(self, frame: Frame) -> Keypoints:
        """Follows the keypoints into the next frame."""
        return self._session.track(frame)

    def act(self, keypoints: Keypoints, state: RobotState) -> ActionChunk:
        """The action chunk for the robot's state at the exposure of the keypoints' frame."""
        return self._policy.act(Observation(keypoints, state))

"""The seams of the stack. A back end implements one of these and is registered by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.types import ActionChunk, ArmCommand, Float32, Frame, Keypoints, Observation, RobotState

if TYPE_CHECKING:
    from keypoint_core.features.feature_map import FeatureMap


class Camera(Protocol):
    """An RGB-D camera whose depth is registered to colour."""

    def open(self) -> None:
        """Connects and starts streaming. Raises KeypointError with the fix when there is no camera."""

    def read(self) -> Frame:
        """Blocks until the next frame; never hands out an old one twice. Raises KeypointError when the stream ends."""

    def close(self) -> None:
        """Stops streaming; safe to call twice and before open."""


class FeatureExtractor(Protocol):
    """Describes what a picture shows, place by place."""

    def extract(self, image: NDArray[np.uint8]) -> FeatureMap:
        """Dense features of an image [H, W, 3] uint8 RGB, whole or a crop; its pixels are those of the image given.

        Raises:
            InputError: another shape or type, or too small an image.
        """


class Correspondence(Protocol):
    """Locates reference keypoints in a live frame."""

    def locate(self, frame: Frame) -> Keypoints:
        """Returns all reference keypoints; confidence is the score, those not accepted are LOST.

        Raises:
            CorrespondenceError: too few keypoints could be located; the message says how many and why.
        """


class Tracker(Protocol):
    """Follows pixels from frame to frame. Causal, one frame in, one result out, bounded memory."""

    def start(self, frame: Frame, pixels: Float32, ids: ArrayLike | None = None) -> Keypoints:
        """Forgets all tracks and starts on pixels [N, 2] of that frame."""

    def track(self, frame: Frame) -> Keypoints:
        """Follows all keypoints into the next frame."""

    def add(self, pixels: Float32, ids: ArrayLike) -> None:
        """Adds keypoints at pixels [N, 2] of the newest frame."""

    def remove(self, ids: ArrayLike) -> None:
        """Drops keypoints; unknown ids raise TrackingError."""

    def reset(self) -> None:
        """Forgets everything."""


class Policy(Protocol):
    """Maps observations to action chunks."""

    def reset(self) -> None:
        """Forgets the history."""

    def act(self, observation: Observation) -> ActionChunk:
        """Takes the observation of the newest frame; the chunk carries its stamp."""


class Arm(Protocol):
    """A robot arm's driver: positions in, feedback out, paced by the robot."""

    def connect(self) -> None:
        """Connects without moving. Raises ArmError with the fix when the robot does not answer."""

    def read(self) -> RobotState:
        """Blocks until the next feedback. Raises ArmError when none comes within the driver's timeout."""

    def write(self, command: ArmCommand) -> None:
        """Sends one gated command."""

    def stop(self) -> None:
        """Brings the robot to rest by its own means."""

    def close(self) -> None:
        """Disconnects; safe to call twice."""

"""Errors of cameras."""

from keypoint_core.errors import KeypointError


class CameraError(KeypointError):
    """The camera does not answer, vanished, or hangs; trying again may help."""


class StreamEndedError(CameraError):
    """A recording has been played to its end."""

"""Errors of the simulated world."""

from keypoint_core.errors import KeypointError


class SimulationError(KeypointError):
    """The world cannot do what it was asked for; the message says why and what to do."""

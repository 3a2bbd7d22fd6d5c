"""Errors that a user can act on: each says what was expected, what came, and what to do."""


class KeypointError(Exception):
    """Base of all errors the stack raises on purpose."""


class UnknownNameError(KeypointError):
    """A back end, task, condition or robot was asked for by a name that is not known."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {kind} '{name}'; known: {', '.join(sorted(known)) or 'none'}")


class MissingDependencyError(KeypointError):
    """A back end needs a package that is not installed."""


class CheckpointError(KeypointError):
    """A checkpoint is damaged, incomplete, or made for another camera, arm or rate."""


class CorrespondenceError(KeypointError):
    """Too few keypoints could be located to start on."""


class TrackingError(KeypointError):
    """The tracker was given something it cannot track."""


class ArmError(KeypointError):
    """The arm's driver failed or its feedback ceased."""


class InputError(KeypointError, ValueError):
    """An argument has the wrong shape, type, range or unit."""

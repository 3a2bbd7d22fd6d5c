"""A frame that knows when its raw images came in."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_core.types import Frame


@dataclass(frozen=True)
class CapturedFrame(Frame):
    """A frame that was computed from a capture.

    Attributes:
        received: when the capture came in, by the system clock [ns].
    """

    received: int = 0

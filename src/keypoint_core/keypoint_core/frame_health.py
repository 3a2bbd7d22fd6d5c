"""Is there anything wrong with the frames of a stream? For whoever must say so before their keypoints are believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Frame

_STRIDE = 8  # every eighth pixel of every eighth row tells how much a picture varies


@dataclass(frozen=True)
class HealthSettings:
    """What counts as wrong.

    Attributes:
        min_spread: standard deviation of every channel's levels below which a picture is blank; a covered lens has the
            sensor's noise of 1 or 2 levels.
        frozen_after: equal pictures in a row, after the first, that count as frozen; a sensor's noise makes two of a
            resting scene differ.
        min_depth: share of valid depth below which the depth counts as missing.
    """

    min_spread: float = 2.5
    frozen_after: int = 15
    min_depth: float = 0.02


@dataclass(frozen=True)
class FrameHealth:
    """What was found in one frame.

    Attributes:
        spread: standard deviation of the levels, of the channel that varies most.
        repeats: equal pictures in a row before this one.
        depth: share of valid depth 0..1; None for a frame without depth.
        blank, frozen, depthless: whether that is wrong with it.
        resized: whether the frame before had another size.
    """

    spread: float
    repeats: int
    depth: float | None
    blank: bool
    frozen: bool
    depthless: bool
    resized: bool

    @property
    def complaint(self) -> str:
        """All that is wrong, for people; empty when nothing is."""
        said = (
            (self.resized, "the image changed its size; start the keypoints again"),
            (self.blank, f"the image is blank (levels vary by {self.spread:.1f}); is the lens covered?"),
            (self.frozen, f"the image has been the same {self.repeats} times; is the camera frozen?"),
            (self.depthless, f"only {(self.depth or 0.0):.1%} of the depth is valid; points have no place in 3D"),
        )
        return "; ".join(text for wrong, text in said if wrong)


class FrameMonitor:
    """Looks at frame after frame; keeps the newest one only.

    Args:
        settings: see there.
    """

    def __init__(self, settings: HealthSettings | None = None) -> None:
        self._settings = settings or HealthSettings()
        self._before: NDArray[np.uint8] | None = None
        self._repeats = 0

    def examine(self, frame: Frame) -> FrameHealth:
        """What is wrong with the newest frame; takes some 0.4 ms at 640x480."""
        settings, before = self._settings, self._before
        resized = before is not None and before.shape != frame.color.shape
        same = before is not None and not resized and np.array_equal(before, frame.color)
        self._repeats = self._repeats + 1 if same else 0
        self._before = frame.color
        spread = float(frame.color[::_STRIDE, ::_STRIDE].std(axis=(0, 1)).max())
        depth = None if frame.depth is None else float(np.isfinite(frame.depth[::_STRIDE, ::_STRIDE]).mean())
        return FrameHealth(
            spread=spread,
            repeats=self._repeats,
            depth=depth,
            blank=spread < settings.min_spread,
            frozen=self._repeats >= settings.frozen_after,
            depthless=depth is not None and depth < settings.min_depth,
            resized=resized,
        )

    def reset(self) -> None:
        """Forgets the newest frame."""
        self._before, self._repeats = None, 0

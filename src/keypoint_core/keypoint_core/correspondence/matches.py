"""The seam between what is found in a picture and what follows from it: 3D points of the reference with live pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64, Frame


@dataclass(frozen=True)
class Matches:
    """M matches between the reference and a live frame; some are wrong.

    Attributes:
        points: [M, 3] float64 [m], of the reference's features in the reference's optical frame.
        sources: [M, 2] float64, where these are seen in the reference (u, v).
        pixels: [M, 2] float64, in the live image (u, v).
        score: [M] float64 in 0..1; of two matches the higher is the surer.
    """

    points: Float64
    sources: Float64
    pixels: Float64
    score: Float64

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def none(cls) -> Matches:
        """No matches."""
        return cls(np.empty((0, 3)), np.empty((0, 2)), np.empty((0, 2)), np.empty(0))

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Matches:
        """Those that an index [K] or a mask [M] chooses."""
        return Matches(self.points[chosen], self.sources[chosen], self.pixels[chosen], self.score[chosen])


class Matcher(Protocol):
    """Finds matches between the reference it was made with and a live frame."""

    def __len__(self) -> int:
        """How many features of the reference it looks for."""

    def match(self, frame: Frame) -> Matches:
        """Matches in a live frame; none is a valid answer."""


class JoinedMatcher:
    """The matches of several matchers together."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._matchers = tuple(matchers)

    def __len__(self) -> int:
        return sum(len(matcher) for matcher in self._matchers)

    def match(self, frame: Frame) -> Matches:
        """The matches of all, one matcher after the other."""
        return joined([matcher.match(frame) for matcher in self._matchers])


def joined(parts: Sequence[Matches]) -> Matches:
    """All matches, part by part."""
    return Matches(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.sources for part in parts]),
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.score for part in parts]),
    )

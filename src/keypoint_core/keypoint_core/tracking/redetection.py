"""Looking for bodies of which too little is seen to say where they are.

A redetector proposes places for single points; each place, or several together, give a motion of the whole body, which the
tracker checks on all of the body's points before it believes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.templates import Templates, TemplateSettings
from keypoint_core.types import Float32, Float64

Index = NDArray[np.intp]
Draw = Callable[[Index, float], Templates]


@dataclass(frozen=True)
class Search:
    """For the points of one body.

    Attributes:
        color: [H, W, 3] uint8, the newest image.
        gray: [H, W] float32, the same.
        members: [M] indices of the points.
        expected: [M, 2] where they should be [px].
        features: [M, D] what the redetector remembered of them.
        draw: templates of points at an index, turned in the image by an angle [rad].
        turn: counts the frames.
    """

    color: NDArray[np.uint8]
    gray: Float32
    members: Index
    expected: Float32
    features: Float32
    draw: Draw
    turn: int


@dataclass(frozen=True)
class Found:
    """P places worth checking.

    Attributes:
        owner: [P] row of `Search.members`.
        pixels: [P, 2] float32.
        angle: [P] by which the body seems to be turned in the image since [rad]; NaN unknown.
    """

    owner: Index
    pixels: Float32
    angle: Float64

    def __len__(self) -> int:
        return len(self.owner)


class Redetector(Protocol):
    """Proposes places for the points of a body; what is there is checked by the tracker."""

    def describe(self, color: NDArray[np.uint8], pixels: Float32) -> Float32:
        """[N, D] what is to be remembered of points at pixels [N, 2]."""

    def find(self, search: Search) -> Found:
        """Looks for some or all of the points."""


@dataclass(frozen=True)
class RedetectionSettings:
    """Of the search by templates.

    Attributes:
        correlation: that a place needs.
        margin: by how much it must beat any other.
        reach: how far around its expected place a point is searched [px].
        far: the same in every other frame, for one point that is not turned [px].
        searches: points searched per frame, in turn; bounds the time per frame.
        angles: that templates are turned by [rad].
    """

    correlation: float = 0.8
    margin: float = 0.1
    reach: int = 40
    far: int = 170
    searches: int = 2
    angles: tuple[float, ...] = (0.0, 0.35, -0.35)


class TemplateSearch:
    """Searches where points were expected: near by at several turns, and in every other frame far around."""

    def __init__(self, settings: RedetectionSettings, template: TemplateSettings) -> None:
        self._settings, self._template = settings, template

    def describe(self, color: NDArray[np.uint8], pixels: Float32) -> Float32:
        """Nothing; the templates are known anyway."""
        return np.empty((len(pixels), 0), np.float32)

    def find(self, search: Search) -> Found:
        """See `Redetector`."""
        s, count = self._settings, len(search.members)
        wide = search.turn % 2 == 1
        angles, reach, searches = ((0.0,), s.far, 1) if wide else (s.angles, s.reach, s.searches)
        rows = np.unique((search.turn // 2 * searches + np.arange(searches)) % count) if count else np.arange(0)
        owner, places, turns = [], [], []
        for angle in angles:
            drawn = search.draw(search.members[rows], angle)
            for k, row in enumerate(rows.tolist()):
                centre = search.expected[row]
                place, peak, margin = patches.search(search.gray, drawn, k, centre, reach, self._template)
                if drawn.fit[k] and peak >= s.correlation and margin >= s.margin:
                    owner.append(row)
                    places.append(place)
                    turns.append(angle)
        pixels = np.array(places, dtype=np.float32).reshape(-1, 2)
        return Found(np.array(owner, dtype=np.intp), pixels, np.array(turns, dtype=np.float64))

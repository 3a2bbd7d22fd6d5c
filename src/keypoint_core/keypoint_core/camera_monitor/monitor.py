"""Notices that the camera was moved, during a trial or between two, and follows it when asked to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keypoint_core.camera_monitor.motion import Sight, consensus, refine
from keypoint_core.camera_monitor.static_points import StaticPoints, StaticPointsSettings
from keypoint_core.errors import InputError
from keypoint_core.geometry.camera import project, rays
from keypoint_core.geometry.pose import difference, inverse
from keypoint_core.types import Float64, Frame, Intrinsics

MODES = ("off", "watch", "follow")
_SEED = 41_907  # of the samples of three points
_SAMPLES = 96


@dataclass(frozen=True)
class MonitorSettings:
    """When the camera counts as moved.

    Attributes:
        tolerance: a point that is within this of where it should be agrees [px].
        minimum: points that must agree, at least.
        majority: part of the points found again that must agree on the motion.
        still: the camera did not move while more than this part of them is where it was; an object or the arm that
            covers half of the image cannot do that.
        spread: part of the squares with points that those which agree must come from.
        distance, angle: a motion that is smaller than both is none [m], [rad].
        points: see there.
    """

    tolerance: float = 1.5
    minimum: int = 12
    majority: float = 0.5
    still: float = 0.35
    spread: float = 0.4
    distance: float = 0.003
    angle: float = math.radians(0.25)
    points: StaticPointsSettings = field(default_factory=StaticPointsSettings)


class CameraMonitor:
    """Watches static points of the scene; one frame in, a verdict out.

    Whatever moves by itself (arm, objects, a hand) is outvoted: a moved camera moves the whole picture, and all of it by
    one rigid motion.

    Args:
        mode: "off", "watch" (says so) or "follow" (also gives the new pose).
        settings: see there.

    Raises:
        InputError: another mode.
    """

    def __init__(self, mode: str = "watch", settings: MonitorSettings | None = None) -> None:
        if mode not in MODES:
            raise InputError(f"camera monitor: expected one of {', '.join(MODES)}, got '{mode}'")
        self._mode, self._settings = mode, settings or MonitorSettings()
        self._points = StaticPoints(self._settings.points)
        self._base: Float64 | None = None
        self._intrinsics: Intrinsics | None = None
        self._blind = ""
        self.calibrate(None)

    @property
    def camera_pose(self) -> Float64 | None:
        """[4, 4] the camera in the arm's base frame: as calibrated, moved on when following; None when unknown."""
        return self._pose

    @property
    def motion(self) -> tuple[float, float] | None:
        """How far the camera has moved since `calibrate`: [m], [rad]; None when it has not."""
        return self._moved_by

    @property
    def report(self) -> str:
        """What a person should know; empty while the camera stands where it should, and this can be seen."""
        if self._moved_by is None:
            return self._blind
        distance, angle = self._moved_by
        words = f"camera moved by {distance * 100:.1f} cm, {math.degrees(angle):.1f} degrees: "
        if self._mode == "watch":
            return words + "re-calibrate, or set camera_monitor to follow"
        if self._pose is None:
            return words + "calibrate it, so that its pose can be followed"
        return words + "its pose is being followed; re-calibrate when you can"

    def calibrate(self, camera_pose: Float64 | None) -> None:
        """Takes the camera's pose [4, 4] in the arm's base frame, None when unknown; past motion is forgotten."""
        self._pose = camera_pose
        self._moved_by: tuple[float, float] | None = None
        self._before = self._shift = np.eye(4)
        self._following = False
        self._samples: NDArray[np.int64] | None = None

    def start(self, frame: Frame) -> None:
        """Remembers the scene as it is in this frame, after a last look at the one remembered before."""
        self.update(frame)
        self._base, self._intrinsics = self._pose, frame.intrinsics
        self._before, self._shift, self._following = self._shift @ self._before, np.eye(4), False
        self._samples, self._blind = None, ""
        if self._mode == "off":
            return
        self._points.start(frame)
        m = len(self._points)
        if m < self._settings.minimum:
            why = "the first frame has no depth" if frame.depth is None else f"the first frame has {m} of them"
            self._blind = f"the camera is not watched: this needs {self._settings.minimum} points with depth, {why}"
            return
        rng = np.random.Generator(np.random.PCG64(_SEED))
        self._samples = np.array([rng.choice(m, 3, replace=False) for _ in range(_SAMPLES)])

    def update(self, frame: Frame) -> None:
        """Looks whether the camera has moved; without enough of the scene in sight nothing is concluded."""
        if self._samples is None or self._intrinsics != frame.intrinsics:
            return
        expected = project(self._points.points @ self._shift[:3, :3].T + self._shift[:3, 3], frame.intrinsics)
        if not np.isfinite(expected).all():
            return
        pixels, good = self._points.follow(frame, expected)
        if good.sum() < self._settings.minimum:
            return
        image = rays(pixels, frame.intrinsics)[:, :2]
        shift = self._motion(Sight(self._points.points, image, frame.intrinsics.fx), good)
        if shift is not None:
            self._accept(shift)

    def _motion(self, sight: Sight, good: NDArray[np.bool_]) -> Float64 | None:
        """The motion [4, 4] since the first frame that the found points speak for; None when it is the one known."""
        s, found = self._settings, sight.take(good)
        stay = found.errors(self._shift) <= s.tolerance
        if stay.mean() > s.still:
            if not self._following or stay.mean() < s.majority:
                return None
            return refine(found, self._shift, s.tolerance)
        rows = self._renumbered(good)
        if rows is None:
            return None
        shift = refine(found, consensus(found, self._shift, rows, 2 * s.tolerance), s.tolerance)
        agree = found.errors(shift) <= s.tolerance
        return shift if self._convinces(agree, stay, good) else None

    def _renumbered(self, good: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """The samples whose three points were all found, as rows of the found ones."""
        if self._samples is None:
            return None
        rows = self._samples[good[self._samples].all(axis=1)]
        return (np.cumsum(good) - 1)[rows] if len(rows) else None

    def _convinces(self, agree: NDArray[np.bool_], stay: NDArray[np.bool_], good: NDArray[np.bool_]) -> bool:
        """Whether enough points, from all over the image, agree on another motion than the one known."""
        s, n = self._settings, int(agree.sum())
        if n < s.minimum or n < s.majority * len(agree) or n < 2 * stay.sum():
            return False
        return _coverage(self._points.cells[good][agree]) >= s.spread * _coverage(self._points.cells)

    def _accept(self, shift: Float64) -> None:
        """Takes a new motion since the first frame."""
        distance, angle = difference(np.eye(4), shift)
        if not self._following and distance < self._settings.distance and angle < self._settings.angle:
            return
        self._shift, self._following = shift, True
        self._moved_by = difference(np.eye(4), shift @ self._before)
        if self._mode == "follow" and self._base is not None:
            self._pose = self._base @ inverse(shift)


def _coverage(cells: NDArray[np.int64]) -> float:
    """How much of the image squares [M, 2] cover: the area of their spread, by standard deviations."""
    if len(cells) < 3:
        return 0.0
    return float(np.sqrt(max(np.linalg.det(np.cov(cells.T)), 0.0)))

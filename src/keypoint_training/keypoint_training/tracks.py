"""Exact tracks in, tracks as a correspondence and a tracker would deliver them out.

A noise model has to hold what a policy meets when deployed, with a reserve: tracks get worse under other light, on
other cameras and with other trackers. The figures beside the fields are what the stack's own Lucas-Kanade tracker and
SIFT correspondence showed on 24 rendered clock-button episodes of the expert under "light" (1,149 frames, against exact
projections), or what a trial with a plainer tracker showed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrackNoise:
    """Strengths at severity 1; every episode draws its own severity.

    Attributes:
        pixel_sigma: of each pixel in each frame [px]; measured .02, templates hold the points fast.
        point_sigma: of each point's error in the first frame, kept for good [px]; measured .15, up to 8 px independent
            error was found harmless, and 2 is what other cameras' distortion and rolling shutter may leave.
        shift_sigma: of an error in the first frame that all points share [px]; measured .17, but 4 px cost .03-.10 of
            success where it was not trained.
        turn_sigma, stretch_sigma: the same as rotation about their centre [rad] and as relative size; a pose from few
            matches is off in all of these.
        outliers: part of the points that start on something else; 10 % untrained brought success down to .75.
        outlier_sigma: how far off those are [px].
        missing: part of the points that are never located; measured .08 on average and .67 at worst, so this is high.
        drift_sigma: random walk of each point, flagged visible [px per square root of a frame]; measured under .02.
        shared_drift_sigma: random walk of all points together [px per square root of a frame].
        kick: chance per point and frame of a jump that is flagged visible.
        kick_sigma: of that jump [px]; 4 px in the trial.
        corrected: chance per point and frame that drift and kicks are taken out, as a template check does.
        loss: chance per point and frame of being occluded without a reason to be seen in the picture; measured .002.
        group_loss: chance per frame that a random half of the points are lost together, as in a shadow or a glare.
        found: chance per occluded point and frame of being seen again, once nothing is in front of it.
        unaware: chance per point and frame that a truly hidden point is still said to be visible.
        tool_reach: a tool nearer than this to a point may drag it along [px].
        drag: part of the tool's motion that a dragged point follows, flagged visible; 18-24 % of points near a tool
            were more than 5 px off in the trial.
        drag_chance: chance per point and frame of being dragged within reach.
    """

    pixel_sigma: float = 0.4
    point_sigma: float = 2.0
    shift_sigma: float = 1.5
    turn_sigma: float = 0.02
    stretch_sigma: float = 0.02
    outliers: float = 0.03
    outlier_sigma: float = 15.0
    missing: float = 0.5
    drift_sigma: float = 0.25
    shared_drift_sigma: float = 0.1
    kick: float = 0.01
    kick_sigma: float = 4.0
    corrected: float = 0.05
    loss: float = 0.02
    group_loss: float = 0.01
    found: float = 0.2
    unaware: float = 0.3
    tool_reach: float = 35.0
    drag: float = 0.6
    drag_chance: float = 0.25

    def scaled(self, factor: float) -> TrackNoise:
        """The same failures, each `factor` as strong or as frequent; chances stay at .9 or below."""
        sizes = {name: getattr(self, name) * factor for name in _SIZES}
        chances = {name: min(0.9, getattr(self, name) * factor) for name in _CHANCES}
        return replace(self, **sizes, **chances)


_SIZES = (
    "pixel_sigma",
    "point_sigma",
    "shift_sigma",
    "turn_sigma",
    "stretch_sigma",
    "drift_sigma",
    "shared_drift_sigma",
)
_CHANCES = ("outliers", "missing", "kick", "loss", "group_loss", "unaware", "drag_chance")
MIN_LOCATED = 4  # a correspondence refuses to start on fewer

NO_NOISE = TrackNoise().scaled(0.0)


@dataclass(frozen=True)
class Traits:
    """What tells points from one another.

    Attributes:
        bodies: [N] which body each is on; each body is located, and drifts, as a whole.
        error: [N] px, of the deployed tracker there while it says that it sees the point (root mean square), at severity
            1; None for none beyond the common noise.
        lost: [N] part of the frames with the point in sight in which the tracker does not say so; it is as likely never
            to be located. None for none beyond the common chance.
    """

    bodies: tuple[str, ...]
    error: Array | None = None
    lost: Array | None = None

    def take(self, kept: NDArray[np.int64]) -> Traits:
        """Those of some of the points."""
        some = (None if values is None else values[kept] for values in (self.error, self.lost))
        return Traits(tuple(self.bodies[i] for i in kept), *some)


@dataclass(frozen=True)
class TrackSample:
    """Tracks of one frame, for K realisations of the noise.

    Attributes:
        pixels: [K, N, 2] float32; where not visible, the last pixel that was believed.
        visible: [K, N] bool, what the tracker says.
        seen: [K, N] bool, located in the first frame.
    """

    pixels: NDArray[np.float32]
    visible: Mask
    seen: Mask


class NoisyTracks:
    """K realisations of the noise over one episode, frame by frame.

    Args:
        noise: strengths at severity 1.
        points: N.
        rng: all randomness.
        copies: K.
        fixed_severity: for all copies; None draws one per copy, evenly from 0..1.
        traits: of the points; None: all on one body, and alike.
    """

    def __init__(
        self,
        noise: TrackNoise,
        points: int,
        rng: np.random.Generator,
        copies: int = 1,
        fixed_severity: float | None = None,
        traits: Traits | None = None,
    ) -> None:
        self._noise, self._rng = noise, rng
        traits = traits or Traits(("",) * points)
        if len(traits.bodies) != points:
            raise InputError(f"{points} points need as many bodies, got {len(traits.bodies)}")
        self._traits = traits
        self._groups: NDArray[np.int64] = np.unique(traits.bodies, return_inverse=True)[1].astype(np.int64)
        severity = rng.uniform(0, 1, (copies, 1)) if fixed_severity is None else np.full((copies, 1), fixed_severity)
        self._severity: Array = severity
        self._shape = (copies, points, 2)
        self._last = np.zeros(self._shape, dtype=np.float32)
        self._drift = np.zeros(self._shape)
        self._started = False

    def step(self, pixels: Array, visible: Mask, tool: Array) -> TrackSample:
        """The next frame.

        Args:
            pixels: [N, 2] exact.
            visible: [N] whether nothing is in front.
            tool: [2] pixel of the tool's tip.
        """
        if self._started:
            self._wander(pixels, tool)
            self._hide(visible)
        else:
            self._locate(pixels, visible)
            self._started = True
        noise = self._normal(self._shape) * (self._noise.pixel_sigma * self._severity)[..., None]
        now = pixels + self._start_error + self._drift + noise
        self._last = np.where(self._visible[..., None], now, self._last).astype(np.float32)
        self._before, self._tool_before = pixels.copy(), tool.copy()
        return TrackSample(self._last.copy(), self._visible.copy(), self._seen.copy())

    def _locate(self, pixels: Array, visible: Mask) -> None:
        """The correspondence: a shared similarity error, independent errors, outliers, points that stay lost."""
        noise, level, n = self._noise, self._severity, len(pixels)
        self._start_error = self._similarity_error(pixels)
        self._start_error += self._normal(self._shape) * (noise.point_sigma * level)[..., None]
        wrong = self._chance(noise.outliers * level, n)[..., None]
        self._start_error += wrong * self._normal(self._shape) * noise.outlier_sigma
        luck = np.where(visible, self._rng.random(self._shape[:2]), -1.0)
        rank = luck * self._hold()
        luckiest = rank >= np.sort(rank, axis=1)[:, [-min(MIN_LOCATED, n)]]
        self._seen = visible & (luckiest | (luck >= np.maximum(noise.missing * level, 1 - self._hold())))
        self._visible = self._seen.copy()

    def _similarity_error(self, pixels: Array) -> Array:
        """[K, N, 2]: by how much a slightly wrong shift, rotation and size of each whole body move its points."""
        noise, level, (k, groups) = self._noise, self._severity, (len(self._severity), self._groups.max() + 1)
        centres = np.stack([pixels[self._groups == group].mean(axis=0) for group in range(groups)])
        arms = pixels - centres[self._groups]
        turn = (self._normal((k, groups)) * noise.turn_sigma * level)[:, self._groups]
        stretch = (self._normal((k, groups)) * noise.stretch_sigma * level)[:, self._groups]
        shift = (self._normal((k, groups, 2)) * (noise.shift_sigma * level)[..., None])[:, self._groups]
        du = arms[:, 0] * stretch - arms[:, 1] * turn
        dv = arms[:, 0] * turn + arms[:, 1] * stretch
        return np.stack([du, dv], axis=-1) + shift

    def _hold(self) -> Array:
        """[K, N] in 0..1, how well the deployed tracker can be expected to hold each point."""
        lost = self._traits.lost
        return np.ones(self._shape[:2]) if lost is None else 1 - lost * self._severity

    def _drift_sigma(self) -> Array:
        """[K, N] of each point's own random walk [px per square root of a frame].

        Its own error, of two axes together, is reached where drift and corrections balance.
        """
        noise, error = self._noise, self._traits.error
        own = 0.0 if error is None else error**2 / 2 * noise.corrected
        return np.broadcast_to(np.sqrt(noise.drift_sigma**2 + own) * self._severity, self._shape[:2])

    def _wander(self, pixels: Array, tool: Array) -> None:
        """Drift, kicks and the pull of the tool; visible points are put right now and then."""
        noise, level, (k, n, _) = self._noise, self._severity, self._shape
        own = self._normal((k, n, 2)) * self._drift_sigma()[..., None]
        groups = self._groups.max() + 1
        shared = (self._normal((k, groups, 2)) * (noise.shared_drift_sigma * level)[..., None])[:, self._groups]
        kicked = self._chance(noise.kick * level, n)[..., None]
        kicks = kicked * self._normal((k, n, 2)) * noise.kick_sigma
        near = np.linalg.norm(pixels - tool, axis=1) < noise.tool_reach
        dragged = near & self._chance(noise.drag_chance * level, n)
        slip = noise.drag * ((tool - self._tool_before) - (pixels - self._before))
        moved = own + shared + kicks + dragged[..., None] * slip
        self._drift = np.where(self._visible[..., None], self._drift + moved, self._drift)
        self._drift[self._visible & self._chance(np.full((k, 1), noise.corrected), n)] = 0.0

    def _hide(self, clear: Mask) -> None:
        """Which points the tracker says it sees, given which are clear [N] of what might be in front."""
        noise, level, (k, n, _) = self._noise, self._severity, self._shape
        still = clear | self._chance(noise.unaware * level, n)
        lost = self._chance(noise.loss * level, n)
        half = self._chance(np.full((k, 1), 0.5), n)
        lost |= half & self._chance(noise.group_loss * level, 1)
        again = clear & self._chance(np.full((k, 1), noise.found), n)
        self._drift[again & ~self._visible] = 0.0
        self._visible = self._seen & np.where(self._visible, still & ~lost, again)

    def _normal(self, shape: tuple[int, ...]) -> Array:
        return self._rng.standard_normal(shape)

    def _chance(self, probability: Array, n: int) -> Mask:
        """[K, n] bool, each true with probability [K, 1]."""
        return self._rng.random((len(self._severity), n)) < probability

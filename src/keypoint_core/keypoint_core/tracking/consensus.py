"""Which points move together, and what that says about each of them.

Points begin as one body. A body's motion is fitted to its points' pixels by vote; points that part from it follow another
body whose motion they share, found a new one when enough of them agree, or else are on their own. Bodies that have moved
apart never share a motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking.rigid_motion import Motion, MotionSettings, Sightings, errors, fit
from keypoint_core.types import Float64

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ConsensusSettings:
    """What counts as moving together.

    Attributes:
        agree: a point agrees with a motion up to this error [px].
        part: when points lie beyond this one, those that do not agree look for another body [px].
        fewest: points that a motion takes to be fitted, and to say anything about others.
        found: points that found a new body; four can agree on a rigid motion by chance.
        patch: points of a part of a body, neighbours at the start, whose motion is tried for all of it.
        seeds: such parts tried.
        quorum: share of a body's points that must agree after the quick fit; else a wider one is tried.
        neighbours: hidden points go with most of that many, nearest to them at the start, when a body is founded.
        motion: of the fit.
    """

    agree: float = 1.5
    part: float = 3.0
    fewest: int = 3
    found: int = 5
    patch: int = 6
    seeds: int = 5
    quorum: float = 0.8
    neighbours: int = 3
    motion: MotionSettings = field(default_factory=MotionSettings)


@dataclass
class Cloud:
    """What is known of N points from the frame they were added in; `body` changes, the rest does not.

    Attributes:
        points: [N, 3] in the optical frame of that frame [m].
        group: [N] points added together share a number; only these have a common motion since then.
        body: [N] number of the body each is on.
    """

    points: Float64
    group: NDArray[np.int32]
    body: NDArray[np.int32]


class Bodies:
    """The bodies of a cloud of points and how each has moved since the points were added.

    Args:
        settings: see there.
        focal: length [px].
    """

    def __init__(self, settings: ConsensusSettings, focal: float) -> None:
        self._settings, self._focal = settings, focal
        self._motions: dict[int, Motion] = {}
        self._groups: dict[int, int] = {}

    def open(self, group: int) -> int:
        """A new body that has not moved; returns its number."""
        body = len(self._motions) and max(self._motions) + 1
        self._motions[body], self._groups[body] = Motion.none(), group
        return body

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._motions))

    def motion(self, body: int) -> Motion:
        """Of one body."""
        return self._motions[body]

    def put(self, body: int, motion: Motion) -> None:
        """Where a body was found again."""
        self._motions[body] = motion

    def of_group(self, group: int) -> list[int]:
        """The bodies that points of a group can be on."""
        return [body for body, owner in self._groups.items() if owner == group]

    def move(self, cloud: Cloud, seen: Sightings, good: Flags) -> None:
        """Fits the motions to where points are seen.

        Args:
            cloud: the points.
            seen: where the N points are seen.
            good: [N] which of them count.
        """
        for body in self:
            members = np.flatnonzero(good & (cloud.body == body))
            if len(members) >= self._settings.fewest:
                self._motions[body] = self._fit(self._motions[body], cloud.points[members], seen.take(members))

    def update(self, cloud: Cloud, seen: Sightings, good: Flags) -> None:
        """Fits the motions, and sorts the points that part from their body; arguments as for `move`.

        Takes places that have been checked: things that pass by drag flow along with one motion too.
        """
        self.move(cloud, seen, good)
        for group in sorted(set(self._groups.values())):
            self._merge(cloud, seen.rays, good & (cloud.group == group), group)
            self._sort(cloud, seen, good & (cloud.group == group), group)
        self._close(cloud)

    def errors(self, cloud: Cloud, rays: Float64) -> Float64:
        """[N] distance of each point from where its body's motion puts it [px]."""
        result = np.empty(len(cloud.body))
        for body, motion in self._motions.items():
            on = cloud.body == body
            result[on] = errors(motion, cloud.points[on], rays[on], self._focal)
        return result

    def support(self, cloud: Cloud, agreeing: Flags) -> NDArray[np.int64]:
        """[N] how many others on the same body agree with its motion."""
        count = np.bincount(cloud.body[agreeing], minlength=max(self._motions, default=0) + 1)
        result: NDArray[np.int64] = count[cloud.body] - agreeing
        return result

    def levelled(self, cloud: Cloud, gap: Float64, agreeing: Flags) -> Float64:
        """[N] gaps [m] less what those points of each body that agree with its motion have in common."""
        result = gap.copy()
        for body in self._motions:
            some = gap[agreeing & (cloud.body == body) & np.isfinite(gap)]
            if len(some) >= self._settings.fewest:
                result[cloud.body == body] -= np.median(some)
        return result

    def moved(self, cloud: Cloud) -> Float64:
        """[N, 3] where the bodies' motions put the points [m]."""
        result = np.empty_like(cloud.points)
        for body, motion in self._motions.items():
            on = cloud.body == body
            result[on] = motion.apply(cloud.points[on])
        return result

    def _fit(self, motion: Motion, points: Float64, seen: Sightings) -> Motion:
        """From near the last motion; where too few agree with that, also from far and from parts of the body.

        A fit to all points of two bodies that begin to part lies between them; one to neighbours lies on either.
        """
        settings = self._settings.motion
        quick = fit(motion, points, seen, self._focal, settings, wide=3.0)
        if self._votes(quick, points, seen) >= self._settings.quorum * len(points):
            return quick
        guesses = [quick, fit(motion, points, seen, self._focal, settings)]
        if len(points) > self._settings.patch:
            away = np.linalg.norm(points[:, None] - points, axis=2)
            for seed in np.unique(np.linspace(0, len(points) - 1, self._settings.seeds).astype(int)):
                near = np.argsort(away[seed], kind="stable")[: self._settings.patch]
                part = fit(motion, points[near], seen.take(near), self._focal, settings)
                guesses.append(fit(part, points, seen, self._focal, settings, wide=self._settings.agree))
        return max(guesses, key=lambda guess: self._score(guess, points, seen))

    def _votes(self, motion: Motion, points: Float64, seen: Sightings) -> int:
        return int((errors(motion, points, seen.rays, self._focal) <= self._settings.agree).sum())

    def _score(self, motion: Motion, points: Float64, seen: Sightings) -> float:
        """Votes, each the less worth the less it agrees (Torr and Zisserman, 2000)."""
        share = errors(motion, points, seen.rays, self._focal) / self._settings.agree
        return float(np.maximum(1 - share**2, 0.0).sum())

    def _merge(self, cloud: Cloud, rays: Float64, good: Flags, group: int) -> None:
        """A body all of whose points agree with the motion of a larger one is a part of that, as far as can be seen."""
        sizes = {body: int((good & (cloud.body == body)).sum()) for body in self.of_group(group)}
        order = sorted(sizes, key=lambda body: sizes[body])
        for i, small in enumerate(order):
            members = np.flatnonzero(good & (cloud.body == small))
            for large in order[:i:-1]:
                off = errors(self._motions[large], cloud.points[members], rays[members], self._focal)
                if len(members) >= self._settings.fewest and off.max() <= self._settings.agree:
                    cloud.body[cloud.body == small] = large
                    break

    def _sort(self, cloud: Cloud, seen: Sightings, good: Flags, group: int) -> None:
        """Lets points that part from their body join another one of the group, or found one."""
        error = self.errors(cloud, seen.rays)
        if not (good & (error > self._settings.part)).any():
            return
        apart = np.flatnonzero(good & (error > self._settings.agree))
        for body in self.of_group(group):
            if len(apart) == 0:
                return
            off = errors(self._motions[body], cloud.points[apart], seen.rays[apart], self._focal)
            fits = (off <= self._settings.agree) & (off < 0.5 * error[apart])
            cloud.body[apart[fits]] = body
            apart = apart[~fits]
        if len(apart) >= self._settings.found:
            self._found(cloud, seen, good, apart, group)

    def _found(self, cloud: Cloud, seen: Sightings, good: Flags, apart: NDArray[np.intp], group: int) -> None:
        """Opens a body for the largest number of stray points that agree, if they are enough."""
        points, stray = cloud.points[apart], seen.take(apart)
        away = np.linalg.norm(points[:, None] - points, axis=2)
        best, votes = Motion.none(), 0
        for seed in range(len(apart)):
            near = np.argsort(away[seed], kind="stable")[: self._settings.found]
            before = self._motions[int(cloud.body[apart[seed]])]
            motion = fit(before, points[near], stray.take(near), self._focal, self._settings.motion, wide=40.0)
            if self._votes(motion, points, stray) > votes:
                best, votes = motion, self._votes(motion, points, stray)
        if votes < self._settings.found:
            return
        body = self.open(group)
        self._motions[body] = self._fit(best, points, stray)
        joined = apart[errors(self._motions[body], points, stray.rays, self._focal) <= self._settings.part]
        left = np.unique(cloud.body[joined])
        cloud.body[joined] = body
        self._follow(cloud, good, np.flatnonzero(~good & (cloud.group == group) & np.isin(cloud.body, left)), body)

    def _follow(self, cloud: Cloud, good: Flags, others: NDArray[np.intp], body: int) -> None:
        """What cannot tell itself goes with a new body if most of its nearest neighbours at the start did."""
        tell = np.flatnonzero(good)
        away = np.linalg.norm(cloud.points[others][:, None] - cloud.points[tell], axis=2)
        near = np.argsort(away, axis=1, kind="stable")[:, : self._settings.neighbours]
        most = (cloud.body[tell[near]] == body).mean(axis=1) > 0.5
        cloud.body[others[most]] = body

    def _close(self, cloud: Cloud) -> None:
        """Forgets bodies that no point is on, but for the first one of a group that has points."""
        for body in [b for b in self._motions if not (cloud.body == b).any()]:
            if self.of_group(self._groups[body])[0] != body or not (cloud.group == self._groups[body]).any():
                del self._motions[body], self._groups[body]

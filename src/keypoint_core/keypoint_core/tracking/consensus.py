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
        found: points that must look right and agree for a body to be found again.
        hint: the same for a new body, whose points have been followed to where they are.
        patch: points of a part of a body, neighbours at the start, whose motion is tried for all of it.
        seeds: such parts tried per frame, in turn.
        rest: share of the other points of a body that must be where they were at first when a part of it leaves.
        quorum: share of a body's points that must agree after the quick fit; else a wider one is tried.
        neighbours: hidden points go with most of that many, nearest to them at the start, when a body is founded.
        motion: of the fit.
    """

    agree: float = 1.5
    part: float = 3.0
    fewest: int = 3
    found: int = 5
    hint: int = 4
    patch: int = 6
    seeds: int = 2
    rest: float = 0.6
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
        part: [N] number of the part of a surface each is on, of those that jumps in depth part; 0 unknown.
    """

    points: Float64
    group: NDArray[np.int32]
    body: NDArray[np.int32]
    part: NDArray[np.int32]


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
        self._seed = 0

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
        self._leave(cloud, seen, good)
        self.move(cloud, seen, good)
        for group in sorted(set(self._groups.values())):
            self._merge(cloud, seen.rays, good & (cloud.group == group), group)
            self._sort(cloud, seen, good & (cloud.group == group), group)
            agreeing = good & (self.errors(cloud, seen.rays) <= self._settings.agree)
            self._gather(cloud, agreeing & (cloud.group == group), group)
        self._close(cloud)

    def _leave(self, cloud: Cloud, seen: Sightings, good: Flags) -> None:
        """Opens a body for a part of the surface that leaves while most of its body rests.

        One motion of all would explain both for long, as a tilt about what rests.
        """
        settings = self._settings
        off = errors(Motion.none(), cloud.points, seen.rays, self._focal)
        for body in self:
            on = good & (cloud.body == body)
            for part in np.unique(cloud.part[on & (cloud.part > 0) & (off > settings.part)]).tolist():
                mine = on & (cloud.part == part)
                others = on & ~mine
                if mine.sum() < settings.found or others.sum() < settings.found:
                    continue
                left, stay = (off[mine] > settings.part).mean(), (off[others] <= settings.agree).mean()
                if left < settings.quorum or stay < settings.rest:
                    continue
                index = np.flatnonzero(mine)
                motion = fit(self._motions[body], cloud.points[index], seen.take(index), self._focal, settings.motion)
                if self._votes(motion, cloud.points[index], seen.take(index)) >= settings.quorum * len(index):
                    self._motions[body] = Motion.none()
                    self.found(cloud, motion, np.flatnonzero((cloud.body == body) & (cloud.part == part)), ~good)
                    on &= ~mine

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
        quick = fit(motion, points, seen, self._focal, settings, near=3.0)
        if self._votes(quick, points, seen) >= self._settings.quorum * len(points):
            return quick
        guesses = [quick, fit(motion, points, seen, self._focal, settings)]
        for part in self._parts(points):
            guess = fit(motion, points[part], seen.take(part), self._focal, settings)
            guesses.append(fit(guess, points, seen, self._focal, settings, near=self._settings.agree))
        return max(guesses, key=lambda guess: self._score(guess, points, seen))

    def _parts(self, points: Float64) -> list[NDArray[np.intp]]:
        """Some groups of neighbours, others every time."""
        size, seeds = self._settings.patch, self._settings.seeds
        if len(points) <= size:
            return []
        self._seed += 1
        first = self._seed * seeds + np.arange(seeds)
        away = np.linalg.norm(points[first * size % len(points)][:, None] - points, axis=2)
        return list(np.argsort(away, axis=1, kind="stable")[:, :size])

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
            fits &= ~self._held(cloud, seen.rays, good & (error <= self._settings.agree), apart, fits, body)
            cloud.body[apart[fits]] = body
            apart = apart[~fits]

    def _held(
        self, cloud: Cloud, rays: Float64, agreeing: Flags, apart: NDArray[np.intp], fits: Flags, body: int
    ) -> Flags:
        """[A] which points that part from their body stay on it, since their part of the surface does.

        What looks like a point where it was at first, now that it is hidden elsewhere, does not make it go back there.

        Args:
            cloud: the points.
            rays: [N, 2] that they are seen along.
            agreeing: [N] which of them agree with their body's motion.
            apart: [A] indices of points that part from theirs.
            fits: [A] which of them agree with another body.
            body: that other one.
        """
        settings, parts = self._settings, cloud.part[apart]
        back = errors(Motion.none(), cloud.points[apart], rays[apart], self._focal) <= settings.agree
        back &= fits & (parts > 0)
        held = np.zeros(len(apart), dtype=np.bool_)
        for part in np.unique(parts[back]).tolist():
            count = np.bincount(cloud.body[agreeing & (cloud.part == part)], minlength=max(self._motions) + 1)
            on = back & (parts == part)
            alone = count[body] + on.sum() < settings.fewest
            held |= on & alone & (count[cloud.body[apart]] >= settings.fewest)
        return held

    def _gather(self, cloud: Cloud, agreeing: Flags, group: int) -> None:
        """Lets few points of a part of the surface go with most of it, where too few agree to move their own body.

        Such a body rests wherever it was last, whatever its points do.
        """
        fewest = self._settings.fewest
        for body in self.of_group(group):
            on = (cloud.body == body) & (cloud.part > 0)
            if (agreeing & (cloud.body == body)).sum() >= fewest:
                continue
            for part in np.unique(cloud.part[on]).tolist():
                left, others = on & (cloud.part == part), agreeing & (cloud.part == part) & (cloud.body != body)
                count = np.bincount(cloud.body[others])
                if left.sum() < fewest and count.max(initial=0) >= self._settings.found:
                    cloud.body[left] = count.argmax()

    def guess(self, cloud: Cloud, seen: Sightings, stray: NDArray[np.intp]) -> Motion | None:
        """A motion that as many stray points as a motion of its own takes roughly share; None without one.

        Args:
            cloud: the points.
            seen: where the N points are seen.
            stray: [S] indices of points of one group that part from their bodies.
        """
        settings, points, loose = self._settings, cloud.points[stray], seen.take(stray)
        away = np.linalg.norm(points[:, None] - points, axis=2)
        best, votes = None, settings.hint - 1
        for seed in np.unique(np.linspace(0, len(stray) - 1, 2 * settings.seeds).astype(int)):
            near = np.argsort(away[seed], kind="stable")[: settings.patch]
            before = self._motions[int(cloud.body[stray[seed]])]
            motion = fit(before, points[near], loose.take(near), self._focal, settings.motion)
            count = int((errors(motion, points, loose.rays, self._focal) <= settings.part).sum())
            if count > votes:
                best, votes = motion, count
        return best

    def whole(self, cloud: Cloud, some: NDArray[np.intp]) -> int | None:
        """The body that points [S] of one group are but a part of: most of their part of the surface has left on it.

        One thing that is seen badly looks like two, and a half of it is soon lost. None for those on the group's first
        body, from which all things part, and where no depth tells things apart.
        """
        body = int(np.bincount(cloud.body[some]).argmax())
        part, group = np.bincount(cloud.part[some[cloud.body[some] == body]]).argmax(), cloud.group[some[0]]
        same = (cloud.group == group) & (cloud.part == part)
        left = part > 0 and body != self.of_group(int(group))[0]
        return body if left and (cloud.body[same] == body).mean() > 0.5 else None

    def found(self, cloud: Cloud, motion: Motion, joined: NDArray[np.intp], undecided: Flags) -> None:
        """Opens a body for points of one group.

        Args:
            cloud: the points; their bodies change.
            motion: of the new body.
            joined: [J] indices of the points that are on it.
            undecided: [N] points that cannot tell by themselves; they come along if most of their nearest neighbours do,
                or most of the other points of their part of the surface.
        """
        left, group = np.unique(cloud.body[joined]), int(cloud.group[joined[0]])
        body = self.open(group)
        self._motions[body] = motion
        cloud.body[joined] = body
        others = np.flatnonzero(undecided & (cloud.group == group) & np.isin(cloud.body, left))
        tell = np.flatnonzero(~undecided & (cloud.group == group))
        away = np.linalg.norm(cloud.points[others][:, None] - cloud.points[tell], axis=2)
        near = np.argsort(away, axis=1, kind="stable")[:, : self._settings.neighbours]
        comes = (cloud.body[tell[near]] == body).mean(axis=1) > 0.5
        for part in np.unique(cloud.part[others][cloud.part[others] > 0]).tolist():
            same = cloud.body[tell[cloud.part[tell] == part]] == body
            comes |= (cloud.part[others] == part) & (same.sum() > 0.5 * max(len(same), self._settings.fewest))
        cloud.body[others[comes]] = body

    def _close(self, cloud: Cloud) -> None:
        """Forgets bodies that no point is on, but for the first one of a group that has points."""
        for body in [b for b in self._motions if not (cloud.body == b).any()]:
            if self.of_group(self._groups[body])[0] != body or not (cloud.group == self._groups[body]).any():
                del self._motions[body], self._groups[body]

"""Finding a body again of which too little is seen, and a new one whose points part from theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.consensus import Bodies, ConsensusSettings
from keypoint_core.tracking.hybrid_tracks import HybridTracks
from keypoint_core.tracking.measurement import Measurement
from keypoint_core.tracking.picture import Picture
from keypoint_core.tracking.redetection import Found, Redetector, Search
from keypoint_core.tracking.rigid_motion import Motion, errors, fit, patch_warps, turned
from keypoint_core.tracking.templates import Templates, TemplateSettings
from keypoint_core.tracking.views import ViewSettings
from keypoint_core.types import Float64

Index = NDArray[np.intp]
_WITNESSES = 3  # points by which a new body was guessed that must still look right under its motion
_WIDE = 30.0  # error of a point [px] under the motion of another that a turn of the body may explain
_GUESSES = 2  # places checked per frame and body
_TURNS = (0.0, 0.35, -0.35)  # in the image, of a motion that one place alone gives [rad]


@dataclass(frozen=True)
class RelocationSettings:
    """When a place where a body may be is believed.

    Attributes:
        likeness: of a patch there that counts.
        stray: likeness of a point that may have parted from its body.
        reach: aligning may move a patch this far [px].
        share: of the body's points that must look right and agree.
        witnesses: share of the points that part from their body that must agree for a new one.
        template, view, consensus: as everywhere in the tracker.
    """

    likeness: float = 0.75
    stray: float = 0.6
    reach: float = 8.0
    share: float = 0.3
    witnesses: float = 0.6
    template: TemplateSettings = field(default_factory=TemplateSettings)
    view: ViewSettings = field(default_factory=ViewSettings)
    consensus: ConsensusSettings = field(default_factory=ConsensusSettings)


def relocate(
    tracks: HybridTracks,
    bodies: Bodies,
    picture: Picture,
    redetector: Redetector,
    turn: int,
    settings: RelocationSettings,
) -> None:
    """Moves the bodies of which fewer points than a motion takes were seen in the last frame to where they are found.

    Args:
        tracks, bodies: the bodies are moved, the tracks stay.
        picture: the newest one.
        redetector: proposes places.
        turn: counts the frames.
        settings: see there.
    """
    fewest = settings.consensus.fewest
    for body in bodies:
        members = np.flatnonzero((tracks.body == body) & tracks.fit)
        if len(members) < settings.consensus.found or tracks.visible[members].sum() >= fewest:
            continue
        searched = _guesses(tracks, bodies.motion(body), members, picture, redetector, turn, settings)
        for guess in chain([Motion.none()], searched):  # most things that something passed by are where they were
            motion, agree = _check(tracks.take(members), guess, picture, settings)
            if agree.sum() >= max(settings.consensus.found, settings.share * len(members)):
                bodies.put(body, motion)
                break


def found(
    tracks: HybridTracks, bodies: Bodies, picture: Picture, measured: Measurement, settings: RelocationSettings
) -> None:
    """Opens a body where points that part from theirs share a motion, under which their patches look right too.

    Args:
        tracks, bodies: points change their body.
        picture: the newest one.
        measured: where the points are in it.
        settings: see there.
    """
    right, cloud = measured.distinct & (measured.likeness >= settings.stray), tracks.cloud
    for group in np.unique(tracks.group[right & (measured.error > settings.consensus.part)]).tolist():
        mine = tracks.group == group
        stray = np.flatnonzero(mine & right & (measured.error > settings.consensus.agree))
        if len(stray) < settings.consensus.hint:
            continue
        guess = bodies.guess(cloud, picture.sightings(measured.place, tracks.sure), stray)
        if guess is None:
            continue
        loose = np.flatnonzero(mine & tracks.fit & ~measured.agreeing)
        motion, agree = _check(tracks.take(loose), guess, picture, settings)
        witnesses = agree[np.isin(loose, stray)].sum()
        if agree.sum() >= settings.consensus.hint and witnesses >= max(_WITNESSES, settings.witnesses * len(stray)):
            part_or_move(tracks, bodies, motion, loose[agree], ~measured.agreeing)


def find_missing(
    tracks: HybridTracks,
    bodies: Bodies,
    picture: Picture,
    gone: NDArray[np.bool_],
    redetector: Redetector,
    turn: int,
    settings: RelocationSettings,
) -> None:
    """Opens a body for points that have left theirs unseen, where they are found together.

    Args:
        tracks, bodies: points change their body.
        picture: the newest one.
        gone: [N] bool, points that are hidden although nothing is known to lie before their place.
        redetector, turn: as for `relocate`.
        settings: see there.
    """
    for body in bodies:
        members = np.flatnonzero(gone & tracks.fit & (tracks.body == body))
        if len(members) < settings.consensus.found:
            continue
        for guess in _guesses(tracks, bodies.motion(body), members, picture, redetector, turn, settings):
            motion, agree = _check(tracks.take(members), guess, picture, settings)
            if agree.sum() >= settings.consensus.found:
                part_or_move(tracks, bodies, motion, members[agree], gone)
                break


def part_or_move(
    tracks: HybridTracks, bodies: Bodies, motion: Motion, joined: Index, undecided: NDArray[np.bool_]
) -> None:
    """Lets points begin a body of their own; what left as a whole moves as a whole, if it looks right in more places.

    Args:
        tracks, bodies: points change their body.
        motion: of the new body.
        joined: [J] indices of the points that are on it.
        undecided: [N] points that cannot tell by themselves where they are.
    """
    whole = bodies.whole(tracks.cloud, joined)
    if whole is None:
        others = undecided.copy()
        others[joined] = False
        bodies.found(tracks.cloud, motion, joined, others)
    elif len(joined) > (~undecided & (tracks.body == whole)).sum():
        bodies.put(whole, motion)


def _guesses(
    tracks: HybridTracks,
    motion: Motion,
    members: Index,
    picture: Picture,
    redetector: Redetector,
    turn: int,
    settings: RelocationSettings,
) -> Iterator[Motion]:
    """Motions of a body under which its points are where the redetector found them, the likeliest first."""

    def draw(index: Index, angle: float) -> Templates:
        spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        warps = spin @ patch_warps(motion, tracks.points[index], tracks.tangents[index], picture.focal)
        return tracks.views.take(index).draw(warps, settings.view, settings.template)[0]

    points, color = tracks.points[members], picture.frame.color
    expected = picture.project(motion.apply(points))
    found = redetector.find(Search(color, picture.gray, members, expected, tracks.features[members], draw, turn))
    owner = members[found.owner]
    return _motions(found, motion, tracks.points[owner], tracks.sure[owner], picture, settings)


def _motions(
    found: Found,
    motion: Motion,
    points: Float64,
    sure: NDArray[np.bool_],
    picture: Picture,
    settings: RelocationSettings,
) -> Iterator[Motion]:
    """Every place by itself gives a motion; those that most others agree with are fitted to all.

    Of one that hardly any agrees with, it is not known how the body is turned: it was perhaps dropped.
    """
    seen, fitting = picture.sightings(found.pixels, sure), replace(settings.consensus.motion, wide=_WIDE, iterations=10)
    rays = seen.rays
    single = [turned(motion, point, ray, angle) for point, ray, angle in zip(points, rays, found.angle, strict=True)]
    votes = np.array([(errors(one, points, rays, picture.focal) < fitting.wide).sum() for one in single])
    for i in np.argsort(-votes, kind="stable")[:_GUESSES].tolist():
        if votes[i] > 2:
            yield fit(single[i], points, seen, picture.focal, fitting)
        else:
            yield from (turned(single[i], points[i], rays[i], angle) for angle in _TURNS)


def _check(
    tracks: HybridTracks, guess: Motion, picture: Picture, settings: RelocationSettings
) -> tuple[Motion, NDArray[np.bool_]]:
    """The motion that the points' patches agree on near a guess, and which points [N] do."""
    agree, focal, points = np.zeros(len(tracks), dtype=bool), picture.focal, tracks.points
    for _ in range(2):
        warps = patch_warps(guess, points, tracks.tangents, focal)
        drawn, _ = tracks.views.draw(warps, settings.view, settings.template)
        start = picture.project(guess.apply(points))
        place, likeness = patches.align(picture.gray, drawn, start, settings.template)
        good = (likeness >= settings.likeness) & (np.linalg.norm(place - start, axis=1) <= settings.reach)
        if good.sum() < settings.consensus.hint:
            return guess, np.zeros(len(tracks), dtype=bool)
        seen = picture.sightings(place, tracks.sure)
        guess = fit(guess, points[good], seen.take(good), focal, settings.consensus.motion)
        agree = good & (errors(guess, points, seen.rays, focal) <= settings.consensus.agree)
    return guess, agree

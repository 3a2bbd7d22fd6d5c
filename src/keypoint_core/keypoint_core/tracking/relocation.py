"""Finding a body again of which too little is seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.consensus import Bodies, ConsensusSettings
from keypoint_core.tracking.hybrid_tracks import HybridTracks
from keypoint_core.tracking.picture import Picture
from keypoint_core.tracking.redetection import Found, Redetector, Search
from keypoint_core.tracking.rigid_motion import Motion, errors, fit, patch_warps, turned
from keypoint_core.tracking.templates import Templates, TemplateSettings
from keypoint_core.tracking.views import ViewSettings
from keypoint_core.types import Float64

Index = NDArray[np.intp]
_GUESSES = 2  # motions checked per frame and body


@dataclass(frozen=True)
class RelocationSettings:
    """When a place where a body may be is believed.

    Attributes:
        likeness: of a patch there that counts.
        reach: aligning may move a patch this far [px].
        share: of the body's points that must look right and agree.
        template, view, consensus: as everywhere in the tracker.
    """

    likeness: float = 0.75
    reach: float = 8.0
    share: float = 0.3
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
        for guess in _guesses(tracks, bodies.motion(body), members, picture, redetector, turn, settings):
            motion, votes = _check(tracks.take(members), guess, picture, settings)
            if votes >= max(settings.consensus.found, settings.share * len(members)):
                bodies.put(body, motion)
                break


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
    """Every place by itself gives a motion; those that most others agree with are fitted to all."""
    seen, fitting = picture.sightings(found.pixels, sure), settings.consensus.motion
    rays = seen.rays
    single = [turned(motion, point, ray, angle) for point, ray, angle in zip(points, rays, found.angle, strict=True)]
    votes = np.array([(errors(one, points, rays, picture.focal) < fitting.wide).sum() for one in single])
    for i in np.argsort(-votes, kind="stable")[:_GUESSES].tolist():
        yield fit(single[i], points, seen, picture.focal, fitting) if votes[i] > 2 else single[i]


def _check(tracks: HybridTracks, guess: Motion, picture: Picture, settings: RelocationSettings) -> tuple[Motion, int]:
    """The motion that the points' patches agree on near a guess, and how many agree."""
    votes, focal, points = 0, picture.focal, tracks.points
    for _ in range(2):
        warps = patch_warps(guess, points, tracks.tangents, focal)
        drawn, _ = tracks.views.draw(warps, settings.view, settings.template)
        start = picture.project(guess.apply(points))
        place, likeness = patches.align(picture.gray, drawn, start, settings.template)
        good = (likeness >= settings.likeness) & (np.linalg.norm(place - start, axis=1) <= settings.reach)
        if good.sum() < settings.consensus.found:
            return guess, 0
        seen = picture.sightings(place[good], tracks.sure[good])
        guess = fit(guess, points[good], seen, focal, settings.consensus.motion)
        votes = int((errors(guess, points[good], seen.rays, focal) <= settings.consensus.agree).sum())
    return guess, votes

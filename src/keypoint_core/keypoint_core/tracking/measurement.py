"""Where the keypoints look right in a picture, and how their bodies moved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.consensus import Bodies
from keypoint_core.tracking.hybrid_tracks import HybridTracks
from keypoint_core.tracking.picture import Picture
from keypoint_core.tracking.templates import Templates, TemplateSettings
from keypoint_core.tracking.views import ViewSettings
from keypoint_core.types import Float32, Float64

Index = NDArray[np.intp]
_APART = 1.0  # [px] between two places to look at; aligning bridges less
_FAR = 10.0  # [px] from where its body puts it, beyond which a place is not the less likely


@dataclass(frozen=True)
class MeasurementSettings:
    """Of the search for the best place.

    Attributes:
        max_correction: aligning may move a patch this far [px].
        likeness: from which on a place counts for the motion of its body.
        stray: likeness of a place that flow leads to, from which on a keypoint may have parted from its body.
        agree: up to this distance from where its body puts it, a place speaks for the body's motion [px].
        supporters: other such points from which on a body tells where those are that nothing looks like.
        pull: by how much likeness a place pays for each pixel that it lies from where its body puts it.
        template, view: as everywhere in the tracker.
    """

    max_correction: float = 4.0
    likeness: float = 0.75
    stray: float = 0.6
    agree: float = 1.5
    supporters: int = 3
    pull: float = 0.02
    template: TemplateSettings = field(default_factory=TemplateSettings)
    view: ViewSettings = field(default_factory=ViewSettings)


@dataclass(frozen=True)
class Measurement:
    """Of N keypoints.

    Attributes:
        place: [N, 2] pixel that looks most like each; where nothing does and its body tells, where that puts it.
        likeness: [N] correlation with the template there, -1 unknown.
        templates: N of them, as they should look now.
        distinct: [N] bool, whether the template can be found by itself; the others are where their bodies put them.
        expected: [N, 2] where the bodies put them [px].
        error: [N] distance between place and that [px].
        support: [N] other points that agree with the body's motion.
        agreeing: [N] bool, those that do.
        away: [N] by how much the nearest view had to be warped for the template.
    """

    place: Float32
    likeness: Float64
    templates: Templates
    distinct: NDArray[np.bool_]
    expected: Float32
    error: Float64
    support: NDArray[np.int64]
    agreeing: NDArray[np.bool_]
    away: Float64


def measure(
    tracks: HybridTracks,
    bodies: Bodies,
    picture: Picture,
    flowed: Float32,
    believed: NDArray[np.bool_],
    before: Float32,
    settings: MeasurementSettings,
) -> Measurement:
    """Aligns templates where flow and bodies put the keypoints; the bodies are moved to where these look right.

    Args:
        tracks, bodies: the bodies have been moved by flow already.
        picture: the newest one.
        flowed: [N, 2] where flow puts the keypoints.
        believed: [N] bool, where flow is believed.
        before: [N, 2] where the bodies put them before flow moved these.
        settings: see there.
    """
    templates, away = tracks.views.draw(tracks.warps(bodies, picture.focal), settings.view, settings.template)
    distinct = tracks.fit & templates.fit
    owner, start = _proposals(tracks, bodies, picture, flowed, believed, before)
    place, likeness = _best(tracks, bodies, picture, templates, owner, start, settings)
    measured = distinct & (likeness >= settings.likeness)
    bodies.update(tracks.cloud, picture.sightings(place, tracks.sure), measured)
    expected = picture.project(bodies.moved(tracks.cloud))
    agreeing = measured & (np.linalg.norm(place - expected, axis=1) <= settings.agree)
    support = bodies.support(tracks.cloud, agreeing)
    stray = believed & (likeness >= settings.stray) & (np.linalg.norm(place - expected, axis=1) > settings.agree)
    vague = np.flatnonzero(~distinct | (~measured & ~stray & (support >= settings.supporters)))
    place[vague] = expected[vague]
    likeness[vague] = _likeness(templates.take(vague), place[vague], picture, settings)
    error = np.linalg.norm(place - expected, axis=1).astype(np.float64)
    return Measurement(place, likeness, templates, distinct, expected, error, support, agreeing, away)


def _best(
    tracks: HybridTracks,
    bodies: Bodies,
    picture: Picture,
    templates: Templates,
    owner: Index,
    start: Float32,
    settings: MeasurementSettings,
) -> tuple[Float32, Float64]:
    """Of each keypoint's proposals, aligned, the one that looks most like it: pixel [N, 2] and likeness [N]."""
    expected = picture.project(bodies.moved(tracks.cloud))
    place, likeness = patches.align(picture.gray, templates.take(owner), start, settings.template)
    near = np.linalg.norm(place - start, axis=1) <= settings.max_correction
    likeness = np.where(near & picture.holds(place), likeness, -1.0)
    off = np.minimum(np.linalg.norm(place - expected[owner], axis=1), _FAR)
    order = np.lexsort((settings.pull * off - likeness, owner))
    best = order[np.unique(owner[order], return_index=True)[1]]
    return place[best], likeness[best]


def _likeness(templates: Templates, place: Float32, picture: Picture, settings: MeasurementSettings) -> Float64:
    """Correlation of patches that are not aligned, whether or not they can be found by themselves."""
    if len(place) == 0:
        return np.empty(0)
    every = replace(templates, fit=np.ones_like(templates.fit))
    return patches.correlation(picture.gray, every, place, settings.template)


def _proposals(
    tracks: HybridTracks,
    bodies: Bodies,
    picture: Picture,
    flowed: Float32,
    believed: NDArray[np.bool_],
    before: Float32,
) -> tuple[Index, Float32]:
    """Which keypoint [P], and where [P, 2] it is looked for: every one at least where its body puts it.

    What flow says of a body may be what covers it; so the places before count too when they differ.
    """
    expected = picture.project(bodies.moved(tracks.cloud))
    hidden, flow = np.flatnonzero(~tracks.visible), np.flatnonzero(believed)
    moved = np.flatnonzero(np.linalg.norm(expected - before, axis=1) > _APART)
    owners = [np.arange(len(tracks)), flow, hidden, moved]
    places = [expected, flowed[flow], tracks.pixels[hidden], before[moved]]
    for group in np.unique(tracks.group[hidden]).tolist():
        mine = hidden[tracks.group[hidden] == group]
        for body in bodies.of_group(group):
            other = mine[tracks.body[mine] != body]
            owners.append(other)
            places.append(picture.project(bodies.motion(body).apply(tracks.points[other])))
    return np.concatenate(owners), np.concatenate(places)

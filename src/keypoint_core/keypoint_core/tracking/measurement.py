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
_FAR = 10.0  # [px] from where its body puts it, beyond which a place is not the less likely


@dataclass(frozen=True)
class MeasurementSettings:
    """Of the search for the best place.

    Attributes:
        max_correction: aligning may move a patch this far [px].
        likeness: from which on a place counts for the motion of its body.
        pull: by how much likeness a place pays for each pixel that it lies from where its body puts it.
        template, view: as everywhere in the tracker.
    """

    max_correction: float = 4.0
    likeness: float = 0.75
    pull: float = 0.02
    template: TemplateSettings = field(default_factory=TemplateSettings)
    view: ViewSettings = field(default_factory=ViewSettings)


@dataclass(frozen=True)
class Measurement:
    """Of N keypoints.

    Attributes:
        place: [N, 2] pixel that looks most like each.
        likeness: [N] correlation with the template there, -1 unknown.
        templates: N of them, as they should look now.
        distinct: [N] bool, whether the template can be found by itself; the others are where their bodies put them.
        away: [N] by how much the nearest view had to be warped for the template.
    """

    place: Float32
    likeness: Float64
    templates: Templates
    distinct: NDArray[np.bool_]
    away: Float64


def measure(
    tracks: HybridTracks,
    bodies: Bodies,
    picture: Picture,
    flowed: Float32,
    believed: NDArray[np.bool_],
    settings: MeasurementSettings,
) -> Measurement:
    """Aligns templates where flow and bodies put the keypoints; the bodies are moved to where these look right.

    Args:
        tracks, bodies: the bodies have been moved by flow already.
        picture: the newest one.
        flowed: [N, 2] where flow puts the keypoints.
        believed: [N] bool, where flow is believed.
        settings: see there.
    """
    templates, away = tracks.views.draw(tracks.warps(bodies, picture.focal), settings.view, settings.template)
    distinct = tracks.fit & templates.fit
    expected = picture.project(bodies.moved(tracks.cloud))
    owner, start = _proposals(tracks, bodies, picture, flowed, believed, expected)
    place, likeness = patches.align(picture.gray, templates.take(owner), start, settings.template)
    near = np.linalg.norm(place - start, axis=1) <= settings.max_correction
    likeness = np.where(near & picture.holds(place), likeness, -1.0)
    off = np.minimum(np.linalg.norm(place - expected[owner], axis=1), _FAR)
    order = np.lexsort((settings.pull * off - likeness, owner))
    best = order[np.unique(owner[order], return_index=True)[1]]
    place, likeness = place[best], likeness[best]
    bodies.update(tracks.cloud, picture.sightings(place, tracks.sure), distinct & (likeness >= settings.likeness))
    vague = np.flatnonzero(~distinct)
    place[vague] = picture.project(bodies.moved(tracks.cloud))[vague]
    likeness[vague] = _vague_likeness(templates.take(vague), place[vague], picture, settings)
    return Measurement(place, likeness, templates, distinct, away)


def _vague_likeness(templates: Templates, place: Float32, picture: Picture, settings: MeasurementSettings) -> Float64:
    """Correlation of patches that cannot be found by themselves, and so are not aligned."""
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
    expected: Float32,
) -> tuple[Index, Float32]:
    """Which keypoint [P], and where [P, 2] it is looked for: every one at least where its body puts it."""
    hidden, flow = np.flatnonzero(~tracks.visible), np.flatnonzero(believed)
    owners = [np.arange(len(tracks)), flow, hidden]
    places = [expected, flowed[flow], tracks.pixels[hidden]]
    for group in np.unique(tracks.group[hidden]).tolist():
        mine = hidden[tracks.group[hidden] == group]
        for body in bodies.of_group(group):
            other = mine[tracks.body[mine] != body]
            owners.append(other)
            places.append(picture.project(bodies.motion(body).apply(tracks.points[other])))
    return np.concatenate(owners), np.concatenate(places)

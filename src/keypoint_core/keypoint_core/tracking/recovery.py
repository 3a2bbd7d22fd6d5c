"""Finding hidden keypoints again by the patches remembered from their first frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.templates import TemplateSettings
from keypoint_core.tracking.tracks import Tracks, inside_image
from keypoint_core.types import Float32, Float64

Index = NDArray[np.intp]


@dataclass(frozen=True)
class RecoverySettings:
    """Where to look, and when to believe.

    Attributes:
        min_correlation: with the first patch, where the keypoint was last or its neighbours say it went.
        search_correlation: the same for a place found by searching, which nothing else speaks for.
        search_margin: by how much such a place must beat any other.
        search_reach: how far around its expected place a hidden keypoint is searched [px].
        searches: keypoints searched per frame, in turn; bounds the time per frame.
        neighbours: visible ones that say where a hidden keypoint went.
        max_correction: aligning may move a patch this far [px].
    """

    min_correlation: float = 0.75
    search_correlation: float = 0.88
    search_margin: float = 0.2
    search_reach: int = 20
    searches: int = 2
    neighbours: int = 3
    max_correction: float = 3.0


def find_hidden(
    tracks: Tracks, gray: Float32, turn: int, settings: RecoverySettings, template: TemplateSettings
) -> tuple[Index, Float32, Float64]:
    """Looks for the keypoints that are not visible.

    Args:
        tracks: N of them; those whose patch is unfit to be found are left out.
        gray: [H, W], the newest image.
        turn: counts the frames, so that the wide search takes its turns.
        settings, template: see there.

    Returns:
        index [M] of those found, their pixels [M, 2] and correlations [M].
    """
    hidden = np.flatnonzero(~tracks.visible & tracks.templates.fit)
    if len(hidden) == 0:
        return hidden, np.empty((0, 2), np.float32), np.empty(0)
    owner, start, needed = _proposals(tracks, gray, hidden, turn, settings, template)
    place, likeness = patches.align(gray, tracks.templates.take(owner), start, template)
    good = (likeness >= needed) & inside_image(place, gray.shape)
    good &= np.linalg.norm(place - start, axis=1) <= settings.max_correction
    owner, place, likeness = owner[good], place[good], likeness[good]
    order = np.lexsort((-likeness, owner))  # by keypoint, the best place first
    index, first = np.unique(owner[order], return_index=True)
    return index, place[order][first], likeness[order][first]


def _proposals(
    tracks: Tracks,
    gray: Float32,
    hidden: Index,
    turn: int,
    settings: RecoverySettings,
    template: TemplateSettings,
) -> tuple[Index, Float32, Float64]:
    """Places [P, 2] in the image to look at, which keypoint [P] each is for, and the correlation [P] it takes.

    A keypoint's last place counts as searched for when its neighbours moved on: they contradict it.
    """
    moved = _moved_with_neighbours(tracks, hidden, settings.neighbours)
    last = tracks.pixels[hidden]
    contradicted = np.linalg.norm(moved - last, axis=1) > settings.max_correction  # false for NaN
    known = inside_image(moved, gray.shape)
    owner, places = [hidden, hidden[known]], [last, moved[known]]
    needed = [
        np.where(contradicted, settings.search_correlation, settings.min_correlation),
        np.full(int(known.sum()), settings.min_correlation),
    ]
    expected = np.where(known[:, None], moved, last)
    for k in range(min(settings.searches, len(hidden))):
        row = (turn * settings.searches + k) % len(hidden)
        i = int(hidden[row])
        place, peak, margin = patches.search(gray, tracks.templates, i, expected[row], settings.search_reach, template)
        if peak >= settings.search_correlation and margin >= settings.search_margin:
            owner.append(hidden[row : row + 1])
            places.append(place[None])
            needed.append(np.array([settings.search_correlation]))
    return np.concatenate(owner), np.concatenate(places), np.concatenate(needed)


def _moved_with_neighbours(tracks: Tracks, hidden: Index, neighbours: int) -> Float32:
    """[M, 2] where the nearest visible keypoints' median motion takes the hidden ones; NaN without enough of them.

    Only keypoints that were added together share a start to count the motion from.
    """
    moved = np.full((len(hidden), 2), np.nan, dtype=np.float32)
    visible = np.flatnonzero(tracks.visible)
    if len(visible) < neighbours:
        return moved
    away = np.linalg.norm(tracks.start[hidden][:, None] - tracks.start[visible], axis=2)
    away[tracks.group[hidden][:, None] != tracks.group[visible]] = np.inf
    nearest = np.argsort(away, axis=1, kind="stable")[:, :neighbours]
    enough = np.isfinite(np.take_along_axis(away, nearest, axis=1)).all(axis=1)
    motion = (tracks.pixels - tracks.start)[visible[nearest]]
    moved[enough] = (tracks.start[hidden] + np.median(motion, axis=1))[enough]
    return moved

"""How far away points are, from how they move.

Depth is missing at edges, and on glass it is that of what lies behind. Whatever has moved shows its distance: under the
right motion of its body, a point with the wrong depth is seen elsewhere on the line that its ray has become. And what still
looks right, where it should be, while depth says that something is in front, was not at that depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keypoint_core.tracking.consensus import Bodies
from keypoint_core.tracking.evidence import Evidence
from keypoint_core.tracking.hybrid_tracks import HybridTracks
from keypoint_core.tracking.measurement import Measurement
from keypoint_core.tracking.picture import Picture
from keypoint_core.tracking.rigid_motion import depth_steps, errors

_STEPS = 6


@dataclass(frozen=True)
class DepthSettings:
    """When pixels correct a depth.

    Attributes:
        likeness: that a point needs.
        supporters: other points whose motion teaches depths; few would only learn each other's errors.
        measured, unknown: weight of a point's own depth, where it was measured and where it was not, against pixels
            that say otherwise [px^2 per square of a relative change].
        stray: a point that parts from its body, but by no more than this [px], has a wrong depth
        explained: if another one puts it that near to where it is seen [px],
        change: and differs by no more than this part.
        right: a point looks right with such a likeness, and such a one of its patch's middle,
        near: no farther than that from where its body puts it [px],
        told: on the word of so many other points.
        in_front: depth denies a point that something lies this much before [m].
        denials: frames running in which depth denies what looks right, after which it is believed no more.
    """

    likeness: float = 0.8
    supporters: int = 8
    measured: float = 2e4
    unknown: float = 100.0
    stray: float = 8.0
    explained: float = 1.0
    change: float = 0.3
    right: float = 0.8
    near: float = 1.5
    told: int = 3
    in_front: float = 0.02
    denials: int = 3


def learn_depths(
    tracks: HybridTracks, bodies: Bodies, picture: Picture, found: Measurement, settings: DepthSettings
) -> None:
    """Moves points along their first rays so that their bodies' motions explain where they are now.

    Args:
        tracks: their points change.
        bodies: how they moved.
        picture: the newest one.
        found: where the keypoints are in it; its errors are those with the new depths afterwards.
        settings: see there.
    """
    right = found.distinct & (found.likeness >= settings.likeness) & (found.support >= settings.supporters)
    stray = right & ~found.agreeing & (found.error <= settings.stray)
    stiffness = np.where(tracks.sure & ~stray, settings.measured, settings.unknown)
    index = np.flatnonzero(stray | (right & found.agreeing))
    for body in bodies:
        rows = index[tracks.body[index] == body]
        if len(rows) == 0:
            continue
        motion, rays, scale = bodies.motion(body), picture.rays(found.place[rows]), np.ones(len(rows))
        for _ in range(_STEPS if stray[rows].any() else 1):
            points = tracks.points[rows] * scale[:, None]
            scale *= 1 + depth_steps(motion, points, rays, picture.focal, stiffness[rows])
        error = errors(motion, tracks.points[rows] * scale[:, None], rays, picture.focal)
        fine = ~stray[rows] | ((error <= settings.explained) & (np.abs(scale - 1) <= settings.change))
        rows, scale, error = rows[fine], scale[fine], error[fine]
        tracks.points[rows] *= scale[:, None]
        tracks.tangents[rows] *= scale[:, None, None]
        tracks.sure[rows[stray[rows]]] = False
        found.error[rows] = error


def doubt_depths(tracks: HybridTracks, evidence: Evidence, settings: DepthSettings) -> None:
    """Ceases to believe first depths which time and again say that something covers a point that can be seen.

    Args:
        tracks: they are told.
        evidence: of the newest frame.
        settings: see there.
    """
    e, s = evidence, settings
    shown = e.distinct & (e.likeness >= s.right) & (e.core >= s.right) & (e.error <= s.near)
    denied = shown & (e.support >= s.told) & (e.nearer > s.in_front)  # false for NaN
    tracks.denied[:] = np.where(denied, tracks.denied + 1, 0)
    tracks.sure[tracks.denied >= s.denials] = False

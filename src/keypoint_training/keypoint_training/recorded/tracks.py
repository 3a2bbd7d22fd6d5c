"""Candidates through recorded demonstrations, followed by what is deployed: nobody knows where they really are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CorrespondenceError, InputError, TrackingError
from keypoint_core.protocols import Correspondence, Tracker
from keypoint_core.tracking.session import TrackingSession
from keypoint_core.types import Float32, Frame
from keypoint_training.episodes import Episodes, join
from keypoint_trials.demonstration import Demonstration

LOG = logging.getLogger("keypoint_training")
FEWEST = 4  # demonstrations: fewer cannot be parted into what is learnt from and what is measured on
NO_TOOL = -1e4  # the tool's pixel, which only the track noise asks for: so far away that it drags nothing along [px]

Progress = Callable[[str, int, int], None]  # stage, done, total


def reference_of(demonstration: Demonstration, pixels: Float32 | None = None) -> Reference:
    """The first frame of a demonstration with keypoints [N, 2] on it."""
    frame = first_frame(demonstration)
    points = np.empty((0, 2), np.float32) if pixels is None else pixels
    return Reference.of(frame, points)


def first_frame(demonstration: Demonstration) -> Frame:
    """With colour and depth."""
    return next(iter(demonstration.frames()))


def follow(demonstration: Demonstration, correspondence: Correspondence, tracker: Tracker) -> Episodes:
    """One demonstration as an episode whose pixels and visible are the tracker's.

    Raises:
        CorrespondenceError: the keypoints were not found in its first frame.
        TrackingError: a frame cannot be tracked.
    """
    session = TrackingSession(tracker)
    tracks = []
    for frame in demonstration.frames():
        tracks.append(session.track(frame) if tracks else session.start(frame, correspondence.locate(frame)))
    one = demonstration
    return Episodes(
        lengths=np.array([len(one)], dtype=np.int64),
        succeeded=np.array([one.succeeded is not False]),
        pixels=np.array([track.pixels for track in tracks], dtype=np.float32),
        visible=np.array([track.visible for track in tracks]),
        tool=np.full((len(one), 2), NO_TOOL, dtype=np.float32),
        joints=one.joints.astype(np.float32),
        opening=one.opening.astype(np.float32),
        targets=one.targets.astype(np.float32),
        gripper=one.gripper.astype(np.float32),
    )


def follow_all(
    demonstrations: Sequence[Demonstration], correspondence: Correspondence, tracker: Tracker, progress: Progress
) -> Episodes:
    """All demonstrations that succeeded and whose keypoints were found; the log says why others are left out.

    Raises:
        InputError: fewer than FEWEST are left.
    """
    followed = []
    for done, one in enumerate(demonstrations, 1):
        if one.succeeded is False:
            LOG.warning("%s: left out, it did not succeed", one.folder.name)
        else:
            try:
                followed.append(follow(one, correspondence, tracker))
            except (CorrespondenceError, TrackingError) as error:
                LOG.warning("%s: left out: %s", one.folder.name, error)
        progress("tracks", done, len(demonstrations))
    if len(followed) < FEWEST:
        raise InputError(
            f"{len(followed)} of {len(demonstrations)} demonstrations can be learnt from, {FEWEST} needed; see the log"
        )
    return join(followed)

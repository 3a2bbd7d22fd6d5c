"""Tracking by Lucas-Kanade flow that is checked against each keypoint's first appearance.

Flow from frame to frame proposes where a keypoint went; the patch remembered from its first frame decides whether that
is it, and takes the drift out. What does not look right is OCCLUDED and keeps its last trusted pixel; it is looked for
there, where its neighbours moved to, and in turn in a wider neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import TrackingError
from keypoint_core.geometry.lifting import lift
from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.frame_check import check_size, checked_gray
from keypoint_core.tracking.optical_flow import FlowSettings, forward_backward
from keypoint_core.tracking.recovery import RecoverySettings, find_hidden
from keypoint_core.tracking.templates import TemplateSettings
from keypoint_core.tracking.tracks import (
    Tracks,
    checked_ids,
    checked_pixels,
    inside_image,
    new_ids,
    odd_motion,
    rows_without,
)
from keypoint_core.types import SECOND, Float32, Float64, Frame, Keypoints, KeypointStatus


@dataclass(frozen=True)
class LucasKanadeSettings:
    """When a keypoint is believed.

    Attributes:
        max_backward: forward-backward error above which flow is not believed [px].
        keep_correlation: with its first patch, from which on a visible keypoint stays visible.
        max_correction: the patch may pull the flow's pixel this far [px]; drift per frame is far smaller.
        max_odd_motion: a keypoint that parts from its neighbours by more, in one frame [px], may be dragged along by
            what covers it and must look like its patch by `odd_correlation`.
        odd_correlation: see there.
        neighbours: nearest visible keypoints that a motion is compared with.
        lost_after: a keypoint not seen for longer is LOST [s].
        flow, template, recovery: of the stages.
    """

    max_backward: float = 1.0
    keep_correlation: float = 0.6
    max_correction: float = 3.0
    max_odd_motion: float = 2.5
    odd_correlation: float = 0.92
    neighbours: int = 3
    lost_after: float = 10.0
    flow: FlowSettings = field(default_factory=FlowSettings)
    template: TemplateSettings = field(default_factory=TemplateSettings)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)


class LucasKanade:
    """Follows keypoints on the CPU; see the module's docstring.

    A LOST keypoint is still looked for: should it appear again unchanged, it is VISIBLE again. Frames that raise leave
    the tracker as it was. Memory grows with the number of keypoints only.

    Args:
        settings: see there.
    """

    def __init__(self, settings: LucasKanadeSettings | None = None) -> None:
        self._settings = settings or LucasKanadeSettings()
        self._tracks: Tracks | None = None
        self._frame: Frame | None = None
        self._gray: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._turn = 0
        self._groups = 0

    def start(self, frame: Frame, pixels: Float32, ids: ArrayLike | None = None) -> Keypoints:
        """Forgets all tracks and starts on pixels [N, 2] of that frame.

        Raises:
            TrackingError: the frame is blank, a pixel lies outside, or the ids do not fit.
        """
        gray = checked_gray(frame)
        array = checked_pixels(pixels, gray.shape)
        numbers = checked_ids(ids, len(array))
        self.reset()
        cut = patches.cut(gray.astype(np.float32), array, self._settings.template)
        self._tracks = Tracks.begin(numbers, array, cut, frame.stamp)
        self._frame, self._gray = frame, gray
        return self._keypoints(frame, self._tracks)

    def track(self, frame: Frame) -> Keypoints:
        """Follows all keypoints into the next frame.

        Raises:
            TrackingError: nothing was started, the image's size changed, or the frame is blank.
        """
        tracks, previous = self._started()
        check_size(frame, previous)
        gray = checked_gray(frame)
        flowed, backward = self._flow(tracks, gray)
        image = gray.astype(np.float32)
        self._follow(tracks, flowed, backward, image, frame.stamp)
        self._recover(tracks, image, frame.stamp)
        self._judge_hidden(tracks, frame.stamp)
        self._frame, self._gray = frame, gray
        return self._keypoints(frame, tracks)

    def add(self, pixels: Float32, ids: ArrayLike) -> None:
        """Adds keypoints at pixels [N, 2] of the newest frame.

        Raises:
            TrackingError: nothing was started, a pixel lies outside, or an id is taken.
        """
        tracks, frame = self._started()
        array = checked_pixels(pixels, self._gray.shape)
        numbers = new_ids(ids, len(array), tracks.ids)
        self._groups += 1
        cut = patches.cut(self._gray.astype(np.float32), array, self._settings.template)
        self._tracks = tracks.joined(Tracks.begin(numbers, array, cut, frame.stamp, self._groups))

    def remove(self, ids: ArrayLike) -> None:
        """Drops keypoints.

        Raises:
            TrackingError: an id is unknown.
        """
        tracks, _ = self._started()
        self._tracks = tracks.kept(rows_without(ids, tracks.ids))

    def reset(self) -> None:
        """Forgets everything."""
        self._tracks = self._frame = None
        self._gray = np.empty((0, 0), np.uint8)
        self._turn = self._groups = 0

    def _started(self) -> tuple[Tracks, Frame]:
        if self._tracks is None or self._frame is None:
            raise TrackingError("nothing is tracked; call start first")
        return self._tracks, self._frame

    def _flow(self, tracks: Tracks, gray: NDArray[np.uint8]) -> tuple[Float32, Float32]:
        """Where flow takes the visible keypoints, [V, 2], and their forward-backward errors [V]."""
        return forward_backward(self._gray, gray, tracks.pixels[tracks.visible], self._settings.flow)

    def _follow(self, tracks: Tracks, flowed: Float32, backward: Float32, image: Float32, stamp: int) -> None:
        """Moves the visible keypoints with the flow where it passes the checks."""
        index = np.flatnonzero(tracks.visible)
        left = (backward <= self._settings.max_backward) & ~inside_image(flowed, image.shape)
        tracks.status[index] = np.where(left, KeypointStatus.OUT_OF_VIEW, KeypointStatus.OCCLUDED)
        place, likeness = patches.align(image, tracks.templates.take(index), flowed, self._settings.template)
        good = likeness >= self._settings.keep_correlation
        good &= np.linalg.norm(place - flowed, axis=1) <= self._settings.max_correction
        good &= (backward <= self._settings.max_backward) & inside_image(place, image.shape)
        odd = odd_motion(tracks.pixels[index], place, self._settings.neighbours) > self._settings.max_odd_motion
        good &= ~odd | (likeness >= self._settings.odd_correlation)
        chosen = index[good]
        tracks.pixels[chosen], tracks.seen[chosen] = place[good], stamp
        tracks.status[chosen] = KeypointStatus.VISIBLE
        tracks.confidence[chosen] = self._confidence(backward[good].astype(np.float64), likeness[good])

    def _recover(self, tracks: Tracks, image: Float32, stamp: int) -> None:
        """Makes the hidden keypoints that are found again visible."""
        self._turn += 1
        index, place, likeness = find_hidden(
            tracks, image, self._turn, self._settings.recovery, self._settings.template
        )
        tracks.pixels[index], tracks.seen[index] = place, stamp
        tracks.status[index] = KeypointStatus.VISIBLE
        tracks.confidence[index] = self._confidence(np.zeros(len(index)), likeness)

    def _judge_hidden(self, tracks: Tracks, stamp: int) -> None:
        """Gives the hidden keypoints up after a time; until then their confidence falls from a half to nothing."""
        hidden = ~tracks.visible
        age = (stamp - tracks.seen[hidden]) / (self._settings.lost_after * SECOND)
        doubt = 0.5 * np.clip(1.0 - age, 0.0, 1.0) * tracks.templates.fit[hidden]
        tracks.confidence[hidden] = np.minimum(tracks.confidence[hidden], doubt)
        tracks.status[np.flatnonzero(hidden)[age > 1.0]] = KeypointStatus.LOST

    def _confidence(self, backward: Float64, likeness: Float64) -> Float64:
        """[N] 0..1: half at the limits of what is believed of the patch, less for flow that does not come back."""
        low = self._settings.keep_correlation
        resemblance = 0.5 + 0.5 * np.clip((likeness - low) / (0.9 - low), 0.0, 1.0)
        confidence: Float64 = resemblance * np.exp(-0.5 * (backward / self._settings.max_backward) ** 2)
        return confidence

    def _keypoints(self, frame: Frame, tracks: Tracks) -> Keypoints:
        points = lift(frame.depth, tracks.pixels, frame.intrinsics)
        points[~tracks.visible] = np.nan
        return Keypoints(
            stamp=frame.stamp,
            ids=tracks.ids.copy(),
            pixels=tracks.pixels.copy(),
            confidence=tracks.confidence.copy(),
            status=tracks.status.copy(),
            points=points.astype(np.float32),
        )

"""Tracking by Lucas-Kanade flow, templates that turn with their body, and the consensus of each rigid body.

Every frame: flow proposes where the visible keypoints went; the bodies' motions say where all keypoints should be; the first
patches, warped by those motions, are aligned at both; the aligned places correct the motions; and each keypoint is judged by
its likeness, by how well it agrees with its body, and by the depth in front of it. What is not seen carries the pixel that
its body predicts, so it is looked for where it will come out. A body that nothing is seen of is looked for everywhere near.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keypoint_core.errors import TrackingError
from keypoint_core.geometry.lifting import lift
from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.companions import CompanionSettings, companions
from keypoint_core.tracking.consensus import Bodies, ConsensusSettings
from keypoint_core.tracking.depth_learning import DepthSettings, doubt_depths, learn_depths
from keypoint_core.tracking.evidence import Evidence, nearer
from keypoint_core.tracking.frame_check import check_size
from keypoint_core.tracking.hybrid_tracks import HybridTracks
from keypoint_core.tracking.judgement import JudgementSettings, confidence, judge
from keypoint_core.tracking.measurement import Measurement, MeasurementSettings, measure
from keypoint_core.tracking.optical_flow import FlowSettings, forward_backward
from keypoint_core.tracking.parts import part_at
from keypoint_core.tracking.picture import Picture
from keypoint_core.tracking.redetection import RedetectionSettings, Redetector, TemplateSearch
from keypoint_core.tracking.relocation import RelocationSettings, find_missing, relocate
from keypoint_core.tracking.relocation import found as open_bodies
from keypoint_core.tracking.surfaces import surfaces
from keypoint_core.tracking.templates import TemplateSettings
from keypoint_core.tracking.tracks import checked_ids, checked_pixels, new_ids, rows_without
from keypoint_core.tracking.views import Views, ViewSettings
from keypoint_core.types import SECOND, Float32, Frame, Keypoints, KeypointStatus

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class HybridSettings:
    """Of the stages.

    Attributes:
        max_backward: forward-backward error above which flow is not believed [px].
        core: half the side of the template's middle [px].
        gone: a hidden keypoint may have left its body where nothing lies more than this before its place [m].
        lost_after: a keypoint not seen for longer is LOST [s].
        companion, flow, template, view, consensus, measurement, depth, redetection, relocation, judgement: see there.
    """

    max_backward: float = 1.0
    core: int = 4
    gone: float = 0.006
    lost_after: float = 10.0
    companion: CompanionSettings = field(default_factory=CompanionSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)
    template: TemplateSettings = field(default_factory=TemplateSettings)
    view: ViewSettings = field(default_factory=ViewSettings)
    consensus: ConsensusSettings = field(default_factory=ConsensusSettings)
    measurement: MeasurementSettings = field(default_factory=MeasurementSettings)
    depth: DepthSettings = field(default_factory=DepthSettings)
    redetection: RedetectionSettings = field(default_factory=RedetectionSettings)
    relocation: RelocationSettings = field(default_factory=RelocationSettings)
    judgement: JudgementSettings = field(default_factory=JudgementSettings)


class HybridTracker:
    """Follows keypoints on the CPU; see the module's docstring.

    Pixels of keypoints that are not VISIBLE are those that their body predicts while enough of it is seen, and else the
    last believed ones. A LOST keypoint is still looked for. Frames that raise leave the tracker as it was. Memory grows
    with the number of keypoints only. Results do not depend on OpenCV's number of threads.

    Args:
        settings: see there.
        redetector: looks for bodies that are not seen any more; by default templates at several turns.
    """

    def __init__(self, settings: HybridSettings | None = None, redetector: Redetector | None = None) -> None:
        self._settings = settings or HybridSettings()
        self._redetector = redetector or TemplateSearch(self._settings.redetection, self._settings.template)
        self._core = patches.middle(self._settings.template, self._settings.core)
        self._tracks: HybridTracks | None = None
        self._picture: Picture | None = None
        self._evidence: Evidence | None = None
        self.reset()

    def start(self, frame: Frame, pixels: Float32, ids: ArrayLike | None = None) -> Keypoints:
        """Forgets all tracks and starts on pixels [N, 2] of that frame.

        Raises:
            TrackingError: the frame is blank, a pixel lies outside, or the ids do not fit.
        """
        picture = Picture.of(frame)
        array = checked_pixels(pixels, picture.bytes.shape)
        numbers = checked_ids(ids, len(array))
        self.reset()
        self._bodies = Bodies(self._settings.consensus, picture.focal)
        self._picture, self._tracks = picture, self._begin(picture, array, numbers, 0)
        return _keypoints(frame, self._tracks)

    def track(self, frame: Frame) -> Keypoints:
        """Follows all keypoints into the next frame.

        Raises:
            TrackingError: nothing was started, the image's size changed, or the frame is blank.
        """
        tracks, previous = self._started()
        check_size(frame, previous.frame)
        picture = Picture.of(frame)
        self._turn += 1
        flowed, backward = self._flow(tracks, picture)
        believed = (backward <= self._settings.max_backward) & picture.holds(flowed)
        before = picture.project(self._bodies.moved(tracks.cloud))
        self._bodies.move(tracks.cloud, picture.sightings(flowed, tracks.sure), believed & tracks.fit)
        relocate(tracks, self._bodies, picture, self._redetector, self._turn, self._settings.relocation)
        found = measure(tracks, self._bodies, picture, flowed, believed, before, self._settings.measurement)
        evidence = self._weigh(tracks, picture, found, backward)
        seen = judge(evidence, self._settings.judgement) & picture.holds(found.place)
        tracks.confidence[:] = confidence(evidence, seen, self._settings.judgement)
        self._settle(tracks, picture, found, seen)
        tracks.place[:], tracks.followed[:] = found.place, seen | (believed & found.distinct & self._likely(found))
        self._keep_views(tracks, picture, found, seen)
        learn_depths(tracks, self._bodies, picture, found, self._settings.depth)
        doubt_depths(tracks, evidence, self._settings.depth)
        open_bodies(tracks, self._bodies, picture, found, self._settings.relocation)
        gone = ~seen & ~(evidence.nearer > self._settings.gone)  # also where depth is unknown
        find_missing(tracks, self._bodies, picture, gone, self._redetector, self._turn, self._settings.relocation)
        left = np.isfinite(backward) & (backward <= self._settings.max_backward) & ~picture.holds(flowed)
        tracks.status[left & ~seen] = KeypointStatus.OUT_OF_VIEW
        self._picture, self._evidence = picture, evidence.take(tracks.own)
        return _keypoints(frame, tracks)

    def add(self, pixels: Float32, ids: ArrayLike) -> None:
        """Adds keypoints at pixels [N, 2] of the newest frame.

        Raises:
            TrackingError: nothing was started, a pixel lies outside, or an id is taken.
        """
        tracks, picture = self._started()
        array = checked_pixels(pixels, picture.bytes.shape)
        numbers = new_ids(ids, len(array), tracks.ids[tracks.own])
        self._tracks = tracks.joined(self._begin(picture, array, numbers, len(tracks)))

    def remove(self, ids: ArrayLike) -> None:
        """Drops keypoints.

        Raises:
            TrackingError: an id is unknown.
        """
        tracks, _ = self._started()
        keep = np.ones(len(tracks), dtype=np.bool_)
        keep[tracks.own] = rows_without(ids, tracks.ids[tracks.own])
        left = tracks.take(keep)
        self._tracks = left.take(np.isin(left.group, left.group[left.own]))  # companions go with the last of theirs

    def reset(self) -> None:
        """Forgets everything."""
        self._tracks = self._picture = self._evidence = None
        self._bodies = Bodies(self._settings.consensus, 1.0)
        self._turn = self._groups = 0

    def evidence(self) -> Evidence:
        """What the newest frame's result was judged by, in the order of its keypoints; for calibration.

        Raises:
            TrackingError: no frame was tracked yet.
        """
        if self._evidence is None:
            raise TrackingError("no frame was tracked yet; call track first")
        return self._evidence

    def _started(self) -> tuple[HybridTracks, Picture]:
        if self._tracks is None or self._picture is None:
            raise TrackingError("nothing is tracked; call start first")
        return self._tracks, self._picture

    def _begin(self, picture: Picture, pixels: Float32, ids: NDArray[np.int32], present: int) -> HybridTracks:
        """Tracks that start in that picture, with companions if those present leave room for them."""
        settings = self._settings
        room = settings.companion.crowd - present - len(pixels)
        others = companions(picture.bytes, pixels, room, settings.companion)
        own = np.arange(len(pixels) + len(others)) < len(pixels)
        pixels, ids = np.concatenate([pixels, others]), np.concatenate([ids, np.full(len(others), -1, np.int32)])
        self._groups += 1
        views = Views.begin(picture.gray, picture.parts, pixels, settings.view)
        fit = views.draw(np.tile(np.eye(2), (len(pixels), 1, 1)), settings.view, settings.template)[0].fit
        return HybridTracks.begin(
            ids=ids,
            pixels=pixels,
            own=own,
            surfaces=surfaces(picture.frame, pixels),
            features=self._redetector.describe(picture.frame.color, pixels),
            views=views,
            fit=fit,
            stamp=picture.frame.stamp,
            group=self._groups,
            body=self._bodies.open(self._groups),
            part=part_at(picture.parts, pixels),
        )

    def _flow(self, tracks: HybridTracks, picture: Picture) -> tuple[Float32, Float32]:
        """Where flow takes the keypoints that it follows, [N, 2], and forward-backward errors [N], NaN for the others."""
        _, previous = self._started()
        flowed, backward = tracks.pixels.copy(), np.full(len(tracks), np.nan, np.float32)
        index = np.flatnonzero(tracks.followed)
        flowed[index], backward[index] = forward_backward(
            previous.bytes, picture.bytes, tracks.place[index], self._settings.flow
        )
        return flowed, backward

    def _weigh(self, tracks: HybridTracks, picture: Picture, found: Measurement, backward: Float32) -> Evidence:
        """All that speaks for and against the places found."""
        _, previous = self._started()
        cloud = tracks.cloud
        gap = nearer(picture.frame.depth, found.place, self._bodies.moved(cloud)[:, 2])
        gap = self._bodies.levelled(cloud, np.where(tracks.sure, gap, np.nan), found.agreeing)
        template = self._settings.template
        return Evidence(
            distinct=found.distinct,
            likeness=found.likeness,
            core=patches.correlation(picture.gray, found.templates, found.place, template, self._core),
            error=found.error,
            support=found.support,
            backward=backward.astype(np.float64),
            nearer=gap,
            hidden=(previous.frame.stamp - tracks.seen) / SECOND,
        )

    def _likely(self, found: Measurement) -> Flags:
        """[N] which keypoints look right where they were found."""
        return found.likeness >= self._settings.measurement.stray

    def _settle(self, tracks: HybridTracks, picture: Picture, found: Measurement, seen: Flags) -> None:
        """Writes down where the keypoints are."""
        stamp, (height, width) = picture.frame.stamp, picture.bytes.shape
        tracks.pixels[seen], tracks.seen[seen] = found.place[seen], stamp
        told = ~seen & (found.support >= self._settings.consensus.fewest)
        tracks.pixels[told] = np.clip(found.expected[told], 0, [width - 1, height - 1])
        tracks.status[:] = np.where(seen, KeypointStatus.VISIBLE, KeypointStatus.OCCLUDED)
        tracks.status[stamp - tracks.seen > self._settings.lost_after * SECOND] = KeypointStatus.LOST
        tracks.status[told & ~picture.holds(found.expected)] = KeypointStatus.OUT_OF_VIEW

    def _keep_views(self, tracks: HybridTracks, picture: Picture, found: Measurement, seen: Flags) -> None:
        """Keeps what keypoints look like now that an older view and their body confirm, and that look rather different."""
        settings = self._settings
        sure = seen & (found.likeness >= settings.view.confirmed) & (found.error <= settings.view.agree)
        sure &= (found.support >= settings.consensus.found) & (found.away > settings.view.keep_after)
        index = np.flatnonzero(sure)
        if len(index):
            warps = tracks.warps(self._bodies, picture.focal)[index]
            tracks.views.keep(index, picture.gray, picture.parts, found.place[index], warps, settings.view)


def _keypoints(frame: Frame, tracks: HybridTracks) -> Keypoints:
    """What others see of the tracks."""
    own = tracks.own
    points = lift(frame.depth, tracks.pixels[own], frame.intrinsics)
    points[~tracks.visible[own]] = np.nan
    return Keypoints(
        stamp=frame.stamp,
        ids=tracks.ids[own],
        pixels=tracks.pixels[own],
        confidence=tracks.confidence[own],
        status=tracks.status[own],
        points=points.astype(np.float32),
    )

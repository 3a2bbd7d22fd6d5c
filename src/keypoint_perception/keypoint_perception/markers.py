"""Tracks as RViz markers: a sphere, a trail and an id per keypoint, coloured by status.

Namespaces "keypoints", "trails" and "ids" can be switched on and off in RViz; a marker's id is that of its keypoint. Each
message repeats whatever is to be seen, so that a viewer that comes late sees all, and markers vanish by themselves when
messages cease. Message objects are kept and changed in place: building them anew costs several times as much.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from keypoint_core.errors import InputError
from keypoint_core.overlay import COLORS
from keypoint_core.types import SECOND, Keypoints, KeypointStatus
from keypoint_ros.conversions import to_header

LIFETIME = 1  # [s] after which markers that are not repeated vanish
_BREAK = 0.1  # a jump larger than this between two frames is no motion and gets no line [m]
_FADED = 0.4  # opacity of a keypoint whose place is not known in this frame


@dataclass
class _Track:
    """The markers of one keypoint.

    Attributes:
        sphere, trail, label: its markers.
        seen: stamp of the newest frame in which its place was known [ns].
        steps: ends of the lines between places in frames that follow each other.
        drawn: whether a viewer may be showing the trail.
    """

    sphere: Marker
    trail: Marker
    label: Marker
    seen: int
    steps: deque[tuple[Point, Point]]
    drawn: bool = False

    @property
    def shown(self) -> tuple[Marker, ...]:
        """Those that are to be seen; to RViz a trail without a line is an error."""
        return (self.sphere, self.trail, self.label) if self.steps else (self.sphere, self.label)


@dataclass(frozen=True)
class _Palette:
    """Colours of every status: of known places, of places that are not known any more, and of trails, oldest first."""

    known: dict[int, ColorRGBA]
    faded: dict[int, ColorRGBA]
    trail: dict[int, list[ColorRGBA]] = field(default_factory=dict)

    @classmethod
    def make(cls, steps: int) -> _Palette:
        """For trails of that many lines."""
        alphas = [alpha for i in range(steps) for alpha in ((i + 0.5) / steps, (i + 1) / steps)]
        return cls(
            {int(status): _color(status) for status in KeypointStatus},
            {int(status): _color(status, _FADED) for status in KeypointStatus},
            {int(status): [_color(status, alpha) for alpha in alphas] for status in KeypointStatus},
        )


class TrackMarkers:
    """Turns keypoints, frame by frame, into marker arrays.

    A keypoint that is hidden, or without depth, stays, faded, where it was last known in 3D for `hold` seconds; one
    that is not in the message any more is deleted at once. Memory is bounded by the keypoints times the length.

    Args:
        length: frames that a trail remembers.
        size: diameter of a sphere [m].
        hold: how long a place is shown that is not known any more [s].

    Raises:
        InputError: the length is below 1 or the size not positive.
    """

    def __init__(self, length: int, size: float, hold: float) -> None:
        if length < 1 or not size > 0:
            raise InputError(f"markers need a length of at least 1 frame and a size > 0 m, got {length} and {size}")
        self._length, self._size, self._hold = length, size, round(hold * SECOND)
        self._tracks: dict[int, _Track] = {}
        self._header, self._before = Header(), -1
        self._palette = _Palette.make(max(1, length - 1))
        self._fresh = True

    def clear(self) -> None:
        """Forgets everything; the next message deletes whatever a viewer still shows."""
        self._tracks.clear()
        self._before, self._fresh = -1, True

    def update(self, keypoints: Keypoints, frame_id: str) -> MarkerArray:
        """The markers of a frame.

        Args:
            keypoints: of the newest frame.
            frame_id: of their points.
        """
        self._header = to_header(keypoints.stamp, frame_id)
        known = np.isfinite(keypoints.points).all(axis=1)
        rows = zip(keypoints.ids.tolist(), keypoints.points.tolist(), keypoints.status.tolist(), known, strict=True)
        for number, place, status, sure in rows:
            if sure:
                self._move(number, place, keypoints.stamp)
            if number in self._tracks:
                self._paint(self._tracks[number], status, bool(sure))
        gone = self._drop(set(keypoints.ids.tolist()), keypoints.stamp)
        self._before = keypoints.stamp
        return MarkerArray(markers=[*gone, *chain.from_iterable(track.shown for track in self._tracks.values())])

    def _move(self, number: int, place: list[float], stamp: int) -> None:
        """Puts a keypoint to its place [m], with a line from where it was in the frame before."""
        track = self._tracks.get(number)
        end = Point(x=place[0], y=place[1], z=place[2])
        if track is None:
            track = self._tracks[number] = self._begin(number)
        elif track.seen == self._before and _distance(track.sphere.pose.position, end) < _BREAK:
            track.steps.append((track.sphere.pose.position, end))
        track.sphere.pose.position, track.seen = end, stamp
        track.label.pose.position = Point(x=end.x, y=end.y - self._size, z=end.z)

    def _paint(self, track: _Track, status: int, sure: bool) -> None:
        """Colours, stamp and trail of one keypoint."""
        if not sure and track.steps:
            track.steps.popleft()  # the trail of a hidden keypoint runs out
        for marker in (track.sphere, track.trail, track.label):
            marker.header = self._header
        track.sphere.color = (self._palette.known if sure else self._palette.faded)[status]
        track.trail.color = self._palette.known[status]
        track.trail.points = list(chain.from_iterable(track.steps))
        track.trail.colors = self._palette.trail[status][-2 * len(track.steps) :]

    def _drop(self, present: set[int], stamp: int) -> list[Marker]:
        """Deletes what is not tracked any more or was not seen for long, and trails that ran out."""
        gone = [number for number, t in self._tracks.items() if number not in present or stamp - t.seen > self._hold]
        removed = [marker for number in gone for marker in self._deleted(self._tracks.pop(number))]
        ended = [track.trail for track in self._tracks.values() if track.drawn and not track.steps]
        for track in self._tracks.values():
            track.drawn = bool(track.steps)
        first = [Marker(header=self._header, action=Marker.DELETEALL)] if self._fresh else []
        self._fresh = False
        return [*first, *removed, *(self._delete(marker) for marker in ended)]

    def _deleted(self, track: _Track) -> list[Marker]:
        return [self._delete(marker) for marker in (track.sphere, track.trail, track.label)]

    def _delete(self, marker: Marker) -> Marker:
        return Marker(header=self._header, ns=marker.ns, id=marker.id, action=Marker.DELETE)

    def _begin(self, number: int) -> _Track:
        sphere = self._marker("keypoints", number, Marker.SPHERE)
        sphere.scale.x = sphere.scale.y = sphere.scale.z = self._size
        trail = self._marker("trails", number, Marker.LINE_LIST)
        trail.scale.x = self._size / 4
        label = self._marker("ids", number, Marker.TEXT_VIEW_FACING)
        label.scale.z, label.text = 1.5 * self._size, str(number)
        label.color = ColorRGBA(r=0.93, g=0.94, b=0.96, a=1.0)
        return _Track(sphere, trail, label, -1, deque(maxlen=max(0, self._length - 1)))

    def _marker(self, namespace: str, number: int, kind: int) -> Marker:
        marker = Marker(ns=namespace, id=number, type=kind, lifetime=Duration(sec=LIFETIME))
        marker.pose.orientation.w = 1.0
        return marker


def _color(status: KeypointStatus, alpha: float = 1.0) -> ColorRGBA:
    red, green, blue = (channel / 255 for channel in COLORS[status])
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _distance(a: Point, b: Point) -> float:
    return float(((a.x - b.x) ** 2 + (a.y - b.y) ** 2 + (a.z - b.z) ** 2) ** 0.5)

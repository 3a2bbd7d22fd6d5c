"""Keypoints, their trails and their status drawn on the camera image."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Float64, Keypoints, KeypointStatus

Color = tuple[int, int, int]

COLORS: dict[KeypointStatus, Color] = {
    KeypointStatus.VISIBLE: (64, 224, 128),
    KeypointStatus.OCCLUDED: (255, 184, 48),
    KeypointStatus.LOST: (244, 72, 72),
    KeypointStatus.OUT_OF_VIEW: (150, 160, 255),
}
"""RGB of each status."""

_NAMES = {
    KeypointStatus.VISIBLE: "visible",
    KeypointStatus.OCCLUDED: "occluded",
    KeypointStatus.LOST: "lost",
    KeypointStatus.OUT_OF_VIEW: "out of view",
}
_DARK: Color = (16, 18, 24)
_LIGHT: Color = (236, 240, 246)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # OpenCV draws with 4 fractional bits
_PLACES = np.array([(1.0, -1.0), (1.0, 1.0), (-1.0, -1.0), (-1.0, 1.0)])  # of an id around its keypoint
_MOST_IDS = 256  # more would not be legible
_BANDS = 6  # steps in which trails fade
_FULL_WIDTH = 960  # [px] images wider than this get larger marks


class Trails:
    """The recent way of each keypoint, for drawing.

    Args:
        length: frames to remember; memory is bounded by it.
        jump: a way longer than this between two frames is no motion and gets no line [px].

    Raises:
        InputError: the length is not positive.
    """

    def __init__(self, length: int = 20, jump: float = 40.0) -> None:
        if length < 1:
            raise InputError(f"trails need a length of at least 1 frame, got {length}")
        self._jump = jump
        self._newest: Keypoints | None = None
        self._steps: deque[tuple[NDArray[np.int32], Float32]] = deque(maxlen=length - 1)

    def __len__(self) -> int:
        return len(self._steps) + (self._newest is not None)

    def push(self, keypoints: Keypoints) -> None:
        """Remembers the keypoints of the newest frame."""
        if self._newest is not None:
            self._steps.append(_step(self._newest, keypoints, self._jump))
        self._newest = keypoints

    def clear(self) -> None:
        """Forgets everything, for a new trial."""
        self._newest = None
        self._steps.clear()

    def segments(self) -> tuple[Float32, Float32, NDArray[np.uint8]]:
        """Lines between the places of keypoints seen in two frames that follow each other.

        Returns:
            [S, 2, 2] float32 ends (u, v), [S] float32 age in 0 (newest)..1, and [S] uint8 status now (LOST for those
            that were removed); oldest first.
        """
        if self._newest is None or not self._steps:
            return np.empty((0, 2, 2), np.float32), np.empty(0, np.float32), np.empty(0, np.uint8)
        ids = np.concatenate([ids for ids, _ in self._steps])
        age = 1 - np.arange(1, len(self._steps) + 1, dtype=np.float32) / len(self._steps)
        ages = np.repeat(age, [len(ids) for ids, _ in self._steps])
        return np.concatenate([ends for _, ends in self._steps]), ages, _status_now(self._newest, ids)


def draw(
    color: NDArray[np.uint8],
    keypoints: Keypoints,
    trails: Trails | None = None,
    *,
    ids: bool = False,
    legend: bool = True,
) -> NDArray[np.uint8]:
    """Draws keypoints on a copy of an image.

    Visible keypoints are dots, the others are rings at their last trusted pixel. The less a visible keypoint is to be
    trusted, the less its dot is filled. Everything grows with images wider than 960 px.

    Args:
        color: [H, W, 3] uint8, RGB.
        keypoints: of that frame.
        trails: their recent ways, fading with age; None for none.
        ids: whether to write each keypoint's id beside it, where there is room.
        legend: whether to say in a corner how many keypoints have which status.

    Returns:
        [H, W, 3] uint8, RGB.
    """
    image = np.array(color, order="C")
    scale = max(1.0, image.shape[1] / _FULL_WIDTH)
    if trails is not None:
        _draw_trails(image, trails, scale)
    order = np.argsort(-keypoints.status.astype(np.int64), kind="stable")  # visible ones on top
    for i in order:
        status, confidence = KeypointStatus(int(keypoints.status[i])), float(keypoints.confidence[i])
        _draw_point(image, keypoints.pixels[i], status, confidence, scale)
    if ids:
        _write_ids(image, keypoints, scale)
    if legend:
        _draw_legend(image, keypoints, scale)
    return image


def _step(before: Keypoints, after: Keypoints, jump: float) -> tuple[NDArray[np.int32], Float32]:
    """Ids [S] and ends [S, 2, 2] of the ways between two frames that follow each other."""
    ids, first, second = np.intersect1d(before.ids, after.ids, return_indices=True)
    ends = np.stack([before.pixels[first], after.pixels[second]], axis=1)
    drawn = before.visible[first] & after.visible[second]
    drawn &= np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) < jump
    return ids[drawn], ends[drawn]


def _status_now(newest: Keypoints, ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """[S] status of these ids in the newest keypoints; LOST for those that were removed."""
    known = dict(zip(newest.ids.tolist(), newest.status.tolist(), strict=True))
    return np.array([known.get(i, int(KeypointStatus.LOST)) for i in ids.tolist()], dtype=np.uint8)


def _draw_trails(image: NDArray[np.uint8], trails: Trails, scale: float) -> None:
    """Lines that get darker and thinner with age. Blending them in would look softer and cost three times as much."""
    lines, ages, states = trails.segments()
    ends = np.round(lines[:, :, None] * 2**_SHIFT).astype(np.int32)
    bands = np.ceil(ages * _BANDS)
    for band in np.unique(bands)[::-1]:
        age = band / _BANDS
        width = round(scale * (2 if age <= 0.5 else 1))
        for status in np.unique(states[bands == band]):
            color = tuple(round(channel * (1 - 0.6 * age)) for channel in COLORS[KeypointStatus(int(status))])
            chosen = ends[(bands == band) & (states == status)]
            cv2.polylines(image, list(chosen), False, color, width, cv2.LINE_AA, _SHIFT)


def _draw_point(
    image: NDArray[np.uint8], pixel: Float32, status: KeypointStatus, confidence: float, scale: float
) -> None:
    """A dot with a dark rim for a visible keypoint, a ring for another."""
    centre = [int(x) for x in np.round(pixel.astype(np.float64) * 2**_SHIFT)]
    unit, color = scale * 2**_SHIFT, COLORS[status]
    if status == KeypointStatus.VISIBLE:
        filled = 1.4 + 2.0 * min(1.0, max(0.0, confidence))
        cv2.circle(image, centre, int(4.6 * unit), _DARK, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(image, centre, int(filled * unit), color, -1, cv2.LINE_AA, _SHIFT)
        return
    thin = round(scale)
    cv2.circle(image, centre, int(4.2 * unit), _DARK, thin + 2, cv2.LINE_AA, _SHIFT)
    cv2.circle(image, centre, int(4.2 * unit), color, thin, cv2.LINE_AA, _SHIFT)


def _write_ids(image: NDArray[np.uint8], keypoints: Keypoints, scale: float) -> None:
    """Each keypoint's id beside it, where that covers no other keypoint or id; left out where there is no such place."""
    names = [str(number) for number in keypoints.ids.tolist()][:_MOST_IDS]
    pixels, limit = keypoints.pixels[: len(names), None], np.array([image.shape[1], image.shape[0]] * 2)
    size = np.array([(7 * len(name), 9) for name in names]).reshape(-1, 1, 2) * scale
    corners = pixels + _PLACES * (5 * scale + size / 2) - size / 2
    boxes = np.concatenate([corners, corners + size], axis=2)  # [N, places, 4]
    dots = np.hstack([keypoints.pixels - 4 * scale, keypoints.pixels + 4 * scale])
    blocked = ((boxes < 0) | (boxes >= limit)).any(axis=2) | _overlap(boxes, dots).any(axis=2)
    clashes = _overlap(boxes, boxes.reshape(-1, 4)).reshape(*blocked.shape, *blocked.shape)
    for i, name in enumerate(names):
        if not blocked[i].all():
            place = int(np.argmin(blocked[i]))
            blocked |= clashes[:, :, i, place]
            left, _, _, bottom = boxes[i, place].tolist()
            _write(image, name, (int(left), int(bottom)), 0.36 * scale, _LIGHT, thick=round(scale))


def _overlap(boxes: Float64, others: Float64) -> NDArray[np.bool_]:
    """[N, P, M] which boxes [N, P, 4] (left, top, right, bottom) share pixels with others [M, 4]."""
    a, b = boxes[:, :, None], others
    meet = (a[..., 0] < b[:, 2]) & (a[..., 2] > b[:, 0]) & (a[..., 1] < b[:, 3]) & (a[..., 3] > b[:, 1])
    return np.asarray(meet, dtype=np.bool_)


def _draw_legend(image: NDArray[np.uint8], keypoints: Keypoints, scale: float) -> None:
    """A dark strip in the bottom left corner with the number of keypoints of each status that occurs."""
    counts = [(status, int((keypoints.status == status).sum())) for status in KeypointStatus]
    entries = [(status, f"{count} {_NAMES[status]}") for status, count in counts if count]
    size, edge = 0.4 * scale, int(8 * scale)
    widths = [cv2.getTextSize(text, _FONT, size, 1)[0][0] + 26 * scale for _, text in entries]
    top, right = image.shape[0] - int(28 * scale), min(image.shape[1], int(16 * scale + sum(widths)))
    strip = image[max(0, top) : image.shape[0] - edge, edge:right]
    if strip.size == 0 or not entries:
        return
    strip[:] = strip // 4 + np.array(_DARK, dtype=np.uint8)
    x = 18 * scale
    for (status, text), width in zip(entries, widths, strict=True):
        _draw_point(image, np.array([x, top + 10 * scale], dtype=np.float32), status, 1.0, scale)
        _write(image, text, (int(x + 9 * scale), int(top + 14 * scale)), size, _LIGHT, round(scale), rim=False)
        x += width


def _write(
    image: NDArray[np.uint8],
    text: str,
    origin: tuple[int, int],
    size: float,
    color: Color,
    thick: int = 1,
    rim: bool = True,
) -> None:
    """Small text with a dark rim, readable on anything."""
    if rim:
        cv2.putText(image, text, origin, _FONT, size, _DARK, thick + 2, cv2.LINE_8)
    cv2.putText(image, text, origin, _FONT, size, color, thick, cv2.LINE_AA)

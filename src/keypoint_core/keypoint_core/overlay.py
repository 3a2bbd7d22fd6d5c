"""Keypoints, their trails and their status drawn on the camera image."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Keypoints, KeypointStatus

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
_BREAK = 40.0  # a jump larger than this [px] is no motion and gets no line


class Trails:
    """The recent way of each keypoint, for drawing.

    Args:
        length: frames to remember; memory is bounded by it.

    Raises:
        InputError: the length is not positive.
    """

    def __init__(self, length: int = 20) -> None:
        if length < 1:
            raise InputError(f"trails need a length of at least 1 frame, got {length}")
        self._history: deque[Keypoints] = deque(maxlen=length)

    def __len__(self) -> int:
        return len(self._history)

    def push(self, keypoints: Keypoints) -> None:
        """Remembers the keypoints of the newest frame."""
        self._history.append(keypoints)

    def clear(self) -> None:
        """Forgets everything, for a new trial."""
        self._history.clear()

    def segments(self) -> tuple[Float32, NDArray[np.float32], NDArray[np.uint8]]:
        """Lines between the places of keypoints seen in two frames that follow each other.

        Returns:
            [S, 2, 2] float32 ends (u, v), [S] float32 age in 0 (newest)..1, and [S] uint8 status now.
        """
        lines, ages, states = [], [], []
        newest = self._history[-1] if self._history else None
        for i in range(1, len(self._history)):
            before, after = self._history[i - 1], self._history[i]
            ids, first, second = np.intersect1d(before.ids, after.ids, return_indices=True)
            seen = before.visible[first] & after.visible[second]
            ends = np.stack([before.pixels[first], after.pixels[second]], axis=1)[seen]
            motion = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
            drawn = motion < _BREAK
            lines.append(ends[drawn])
            ages.append(np.full(int(drawn.sum()), 1 - i / max(1, len(self._history) - 1), np.float32))
            states.append(_status_now(newest, ids[seen][drawn]))
        if not lines:
            return np.empty((0, 2, 2), np.float32), np.empty(0, np.float32), np.empty(0, np.uint8)
        return np.concatenate(lines), np.concatenate(ages), np.concatenate(states)


def draw(
    color: NDArray[np.uint8],
    keypoints: Keypoints,
    trails: Trails | None = None,
    *,
    ids: bool = False,
    legend: bool = True,
) -> NDArray[np.uint8]:
    """Draws keypoints on a copy of an image.

    Visible keypoints are filled, the others are rings at their last trusted pixel.

    Args:
        color: [H, W, 3] uint8, RGB.
        keypoints: of that frame.
        trails: their recent ways, fading with age; None for none.
        ids: whether to write each keypoint's id beside it.
        legend: whether to say in a corner how many keypoints have which status.

    Returns:
        [H, W, 3] uint8, RGB.
    """
    image = np.ascontiguousarray(color).copy()
    if trails is not None:
        _draw_trails(image, trails)
    order = np.argsort(-keypoints.status.astype(np.int64), kind="stable")  # visible ones on top
    for i in order:
        _draw_point(image, keypoints.pixels[i], KeypointStatus(int(keypoints.status[i])))
    if ids:
        for pixel, number in zip(keypoints.pixels, keypoints.ids, strict=True):
            _write(image, str(number), (int(pixel[0]) + 6, int(pixel[1]) - 5), 0.36, _LIGHT)
    if legend:
        _draw_legend(image, keypoints)
    return image


def _status_now(newest: Keypoints | None, ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """[S] status of these ids in the newest keypoints; LOST for those that were removed."""
    known = {} if newest is None else dict(zip(newest.ids.tolist(), newest.status.tolist(), strict=True))
    return np.array([known.get(i, int(KeypointStatus.LOST)) for i in ids.tolist()], dtype=np.uint8)


def _draw_trails(image: NDArray[np.uint8], trails: Trails) -> None:
    """Blends the trails in, within the rectangle they cover."""
    lines, ages, states = trails.segments()
    if len(lines) == 0:
        return
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(lines.min(axis=(0, 1))).astype(int) - 3, 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(lines.max(axis=(0, 1))).astype(int) + 4, 1, [width, height])
    region = image[top:bottom, left:right]
    paint, cover = region.copy(), np.zeros(region.shape[:2], np.uint8)
    ends = np.round((lines - np.array([left, top])) * 2**_SHIFT).astype(np.int32)
    for (a, b), age, status in zip(ends.tolist(), ages.tolist(), states.tolist(), strict=True):
        cv2.line(paint, a, b, COLORS[KeypointStatus(status)], 3, cv2.LINE_8, _SHIFT)
        cv2.line(cover, a, b, (int(230 * (1 - age) ** 1.3) + 12,), 2, cv2.LINE_AA, _SHIFT)
    weight = cover.astype(np.float32) / 255
    image[top:bottom, left:right] = cv2.blendLinear(paint, region, weight, 1 - weight)


def _draw_point(image: NDArray[np.uint8], pixel: Float32, status: KeypointStatus) -> None:
    """A dot with a dark rim for a visible keypoint, a ring for another."""
    centre = [int(x) for x in np.round(pixel.astype(np.float64) * 2**_SHIFT)]
    unit, color = 2**_SHIFT, COLORS[status]
    if status == KeypointStatus.VISIBLE:
        cv2.circle(image, centre, int(4.6 * unit), _DARK, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(image, centre, int(3.4 * unit), color, -1, cv2.LINE_AA, _SHIFT)
        return
    cv2.circle(image, centre, int(4.2 * unit), _DARK, 3, cv2.LINE_AA, _SHIFT)
    cv2.circle(image, centre, int(4.2 * unit), color, 1, cv2.LINE_AA, _SHIFT)


def _draw_legend(image: NDArray[np.uint8], keypoints: Keypoints) -> None:
    """A dark strip in the bottom left corner with the number of keypoints of each status that occurs."""
    counts = [(status, int((keypoints.status == status).sum())) for status in KeypointStatus]
    entries = [(status, f"{count} {_NAMES[status]}") for status, count in counts if count]
    widths = [cv2.getTextSize(text, _FONT, 0.4, 1)[0][0] + 26 for _, text in entries]
    top, right = image.shape[0] - 28, min(image.shape[1], 8 + sum(widths) + 8)
    strip = image[max(0, top) : image.shape[0] - 8, 8:right]
    if strip.size == 0 or not entries:
        return
    strip[:] = strip // 4 + np.array(_DARK, dtype=np.uint8)
    x = 18
    for (status, text), width in zip(entries, widths, strict=True):
        _draw_point(image, np.array([x, top + 10], dtype=np.float32), status)
        _write(image, text, (x + 9, top + 14), 0.4, _LIGHT, rim=False)
        x += width


def _write(
    image: NDArray[np.uint8], text: str, origin: tuple[int, int], scale: float, color: Color, rim: bool = True
) -> None:
    """Small text with a dark rim, readable on anything."""
    if rim:
        cv2.putText(image, text, origin, _FONT, scale, _DARK, 3, cv2.LINE_AA)
    cv2.putText(image, text, origin, _FONT, scale, color, 1, cv2.LINE_AA)

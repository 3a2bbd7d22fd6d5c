"""Both pictures of a correspondence side by side, and what became of every point."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.table import Table

from keypoint_core.correspondence.reference import Reference
from keypoint_core.overlay import COLORS
from keypoint_core.types import Frame, Keypoints, KeypointStatus
from keypoint_trials.banner import GREY, INK, PAPER, font

ACCEPTED, REFUSED = COLORS[KeypointStatus.VISIBLE], COLORS[KeypointStatus.LOST]
_MIDDLE = 12  # [px] between the two pictures
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Located:
    """What came of it.

    Attributes:
        keypoints: in the live picture; None where the back end refused altogether.
        refusal: why; empty otherwise.
        seconds: of processor time.
    """

    keypoints: Keypoints | None
    refusal: str
    seconds: float


def side_by_side(reference: Reference, frame: Frame, located: Located, title: str) -> Picture:
    """Both pictures next to each other [H, W, 3] uint8 RGB, with what became of every point, and words below."""
    left, right = reference.color, frame.color
    height = max(left.shape[0], right.shape[0])
    canvas = np.full((height, left.shape[1] + _MIDDLE + right.shape[1], 3), INK, np.uint8)
    offset = left.shape[1] + _MIDDLE
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], offset:] = right
    scale = max(1.0, canvas.shape[1] / 1600)
    accepted = np.zeros(len(reference.ids), bool) if located.keypoints is None else located.keypoints.visible
    for i in np.argsort(accepted, kind="stable"):
        start = reference.pixels[i]
        if accepted[i] and located.keypoints is not None:
            end = located.keypoints.pixels[i] + [offset, 0]
            _line(canvas, start, end, float(located.keypoints.confidence[i]), scale)
        for place in (start, end) if accepted[i] else (start,):
            _mark(canvas, place, ACCEPTED if accepted[i] else REFUSED, int(reference.ids[i]), scale)
    return _with_words(canvas, title, located, int(accepted.sum()), len(accepted))


def _line(image: Picture, start: Any, end: Any, confidence: float, scale: float) -> None:
    """A line that is the brighter the more the point is trusted."""
    color = tuple(round(c * (0.35 + 0.65 * confidence)) for c in ACCEPTED)
    a, b = ([round(float(x) * 16) for x in point] for point in (start, end))
    cv2.line(image, a, b, color, round(scale), cv2.LINE_AA, 4)


def _mark(image: Picture, pixel: Any, color: tuple[int, int, int], number: int, scale: float) -> None:
    centre = [round(float(x) * 16) for x in pixel]
    for shade, thick in ((INK, 3), (color, 1)):
        cv2.circle(image, centre, round(5 * scale * 16), shade, round(thick * scale), cv2.LINE_AA, 4)
    origin = (round(float(pixel[0]) + 7 * scale), round(float(pixel[1]) - 5 * scale))
    for shade, thick in ((INK, 3), (PAPER, 1)):
        cv2.putText(
            image, str(number), origin, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * scale, shade, round(thick * scale), cv2.LINE_AA
        )


def _with_words(canvas: Picture, title: str, located: Located, accepted: int, total: int) -> Picture:
    """A strip below with the outcome."""
    size = max(13, canvas.shape[1] // 75)
    face, small = font("DejaVuSans-Bold", size), font("DejaVuSans", size)
    lines = textwrap.wrap(located.refusal, max(30, int(canvas.shape[1] / size * 1.75)))
    strip = Image.new("RGB", (canvas.shape[1], round(size * (2.4 + 1.4 * len(lines)))), INK)
    pen = ImageDraw.Draw(strip)
    said = "refused" if located.refusal else f"{accepted} of {total} accepted"
    pen.text((size, size), f"{title}: {said}", REFUSED if located.refusal else ACCEPTED, font=face, anchor="lm")
    key = "green: accepted, the brighter the surer   red: not accepted"
    pen.text((canvas.shape[1] - size, size), key, GREY, font=small, anchor="rm")
    for row, line in enumerate(lines):
        pen.text((size, size * (2.4 + 1.4 * row)), line, PAPER, font=small, anchor="lm")
    return np.vstack([canvas, np.asarray(strip)])


def table_of(reference: Reference, keypoints: Keypoints, title: str) -> Table:
    """One row per point."""
    table = Table(title=title)
    for name in ("point", "reference u, v", "found u, v", "confidence", ""):
        table.add_column(name, justify="right" if name else "left")
    for i, number in enumerate(reference.ids.tolist()):
        accepted = bool(keypoints.visible[i])
        found = "{:.1f}, {:.1f}".format(*keypoints.pixels[i]) if accepted else "-"
        start = "{:.1f}, {:.1f}".format(*reference.pixels[i])
        verdict = "[green]accepted[/]" if accepted else "[red]not accepted[/]"
        table.add_row(str(number), start, found, f"{keypoints.confidence[i]:.2f}", verdict)
    return table

"""Pictures of what a correspondence found: the reference, the worst scenes, one that was refused, and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.reference import Reference
from keypoint_core.types import Float64
from keypoint_trials.quality.located import Located, crop_of

WIDTH, HEIGHT = 400, 300  # of a picture [px]
COLUMNS, TILES = 4, 12
WORST, REFUSED = 5, 2
DARK, LIGHT = (24, 24, 24), (230, 234, 240)
GREEN, RED = (64, 224, 128), (244, 72, 72)
KEY = "white ring: truth   green: accepted   red: located, not accepted   line: error"
Image = NDArray[np.uint8]


def contact_sheet(reference: Reference, located: Sequence[Located], results: Path) -> Image:
    """One picture of up to twelve.

    Args:
        reference: of the task.
        located: all results of one task and correspondence.
        results: folder with the scenes' crops.
    """
    found = sorted((one for one in located if not one.refused), key=_badness, reverse=True)
    refused = [one for one in located if one.refused][: REFUSED if found else TILES - 1]
    rest = found[WORST:]
    spread = np.linspace(0, len(rest) - 1, max(0, TILES - 1 - WORST - len(refused))).astype(int).tolist()
    chosen = found[:WORST] + refused + [rest[i] for i in dict.fromkeys(spread) if rest]
    left, top, part = crop_of(reference.color, reference.pixels.astype(np.float64))
    cells = [_cell(part, (left, top), reference.pixels.astype(np.float64), None, f"reference, {len(reference.ids)}")]
    for one in chosen:
        picture = cv2.imread(str(results / one.task / one.condition / f"{one.seed}-{one.kind}.jpg"))
        if picture is not None:
            color = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            cells.append(_cell(color, one.corner, one.truth, one, _label(one)))
    cells += [np.full_like(cells[0], DARK[0])] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    key = np.full((40, rows[0].shape[1], 3), DARK[0], np.uint8)
    cv2.putText(key, KEY, (14, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.55, LIGHT, 1, cv2.LINE_AA)
    return np.vstack([*rows, key])


def _badness(one: Located) -> float:
    """The largest error of an accepted keypoint [px]."""
    return float(one.errors[one.kept].max()) if one.kept.any() else -1.0


def _label(one: Located) -> str:
    if one.refused:
        return f"{one.seed} {one.kind}, refused"
    worst = f", worst {_badness(one):.1f} px" if one.kept.any() else ""
    return f"{one.seed} {one.kind}, {int(one.kept.sum())}/{int(one.shown.sum())} accepted{worst}"


def _cell(part: Image, corner: tuple[int, int], truth: Float64, one: Located | None, label: str) -> Image:
    """A crop with truth and what was located, framed, with a label below."""
    scale = WIDTH / part.shape[1]
    view = np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)

    def place(pixel: Float64) -> tuple[int, int]:
        u, v = np.clip((pixel - corner + 0.5) * scale - 0.5, -2000, 2000)
        return round(float(u) * 16), round(float(v) * 16)

    for i, pixel in enumerate(truth):
        cv2.circle(view, place(pixel), 7 * 16, DARK, 3, cv2.LINE_AA, 4)
        cv2.circle(view, place(pixel), 7 * 16, (255, 255, 255), 1, cv2.LINE_AA, 4)
        if one is not None and not one.refused:
            shade = GREEN if one.accepted[i] else RED
            cv2.line(view, place(pixel), place(one.pixels[i]), shade, 1, cv2.LINE_AA, 4)
            cv2.circle(view, place(one.pixels[i]), 3 * 16 + 8, shade, -1, cv2.LINE_AA, 4)
    framed = cv2.copyMakeBorder(view, 4, 26, 4, 4, cv2.BORDER_CONSTANT, value=DARK)
    place_of_text = (8, framed.shape[0] - 9)
    cv2.putText(framed, label, place_of_text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, LIGHT, 1, cv2.LINE_AA)
    return np.asarray(framed, dtype=np.uint8)

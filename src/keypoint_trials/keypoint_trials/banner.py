"""Text on video frames: the bar above the picture and the card that ends a trial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Image3 = NDArray[np.uint8]
INK, PAPER, GREY = (17, 20, 27), (236, 239, 244), (138, 148, 166)
GREEN, RED, AMBER, BLUE = (86, 196, 128), (232, 88, 86), (240, 178, 62), (96, 158, 240)
HEIGHT = 44  # [px] of the bar at a width of 640
OUTCOME_COLORS = {"success": GREEN, "failure": RED, "stopped": AMBER, "canceled": AMBER, "error": RED}


@dataclass(frozen=True)
class Caption:
    """What the bar says.

    Attributes:
        trial: name.
        phase: in a word.
        elapsed: since the policy acts [s]; None before.
        note: at the right, such as what the arm does.
        color: of the note, RGB.
    """

    trial: str
    phase: str
    elapsed: float | None = None
    note: str = ""
    color: tuple[int, int, int] = GREY


def bar_height(width: int) -> int:
    """Height of the bar above a picture of that width [px]; even, as H.264 wants it."""
    return round(HEIGHT * width / 640 / 2) * 2


def add_bar(picture: Image3, caption: Caption) -> Image3:
    """Returns [H + bar, W, 3] uint8 RGB with the bar above the picture [H, W, 3]."""
    width = picture.shape[1]
    height, scale = bar_height(width), width / 640
    bar = Image.new("RGB", (width, height), INK)
    pen = ImageDraw.Draw(bar)
    middle, x = height / 2, 14 * scale
    pen.text((x, middle), caption.trial, PAPER, font("DejaVuSans-Bold", 15 * scale), anchor="lm")
    x += pen.textlength(caption.trial, font("DejaVuSans-Bold", 15 * scale)) + 14 * scale
    x = _chip(pen, x, middle, caption.phase, scale) + 14 * scale
    if caption.elapsed is not None:
        mono = font("DejaVuSansMono", 14 * scale)
        pen.text((x, middle), f"{caption.elapsed:5.1f} s", PAPER, font=mono, anchor="lm")
        x += pen.textlength("00000 s", mono) + 14 * scale
    small = font("DejaVuSans", 12.5 * scale)
    note = shorten(caption.note, small, width - 14 * scale - x)
    pen.text((width - 14 * scale, middle), note, caption.color, font=small, anchor="rm")
    return np.vstack([np.asarray(bar), picture])


def add_card(picture: Image3, title: str, outcome: str, lines: list[str]) -> Image3:
    """Returns the dimmed picture [H, W, 3] with the outcome in its middle."""
    height, width = picture.shape[:2]
    scale = width / 640
    card = Image.fromarray((picture * np.float32(0.28)).astype(np.uint8))
    pen = ImageDraw.Draw(card)
    color = OUTCOME_COLORS.get(outcome, PAPER)
    middle = height / 2
    pen.text((width / 2, middle - 52 * scale), title, GREY, font("DejaVuSans", 17 * scale), anchor="mm")
    pen.text((width / 2, middle), outcome.upper(), color, font("DejaVuSans-Bold", 46 * scale), anchor="mm")
    pen.rectangle((width / 2 - 40 * scale, middle + 36 * scale, width / 2 + 40 * scale, middle + 38 * scale), color)
    small = font("DejaVuSans", 15 * scale)
    for row, line in enumerate(lines):
        text = shorten(line, small, width - 40 * scale)
        pen.text((width / 2, middle + (60 + 24 * row) * scale), text, PAPER, font=small, anchor="mm")
    return np.asarray(card)


def shorten(text: str, face: ImageFont.FreeTypeFont, room: float) -> str:
    """The text, or as much of it as fits into `room` [px], ending in an ellipsis."""
    if face.getlength(text) <= room:
        return text
    while text and face.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text.rstrip()}…" if text else ""


@cache
def font(name: str, size: float) -> ImageFont.FreeTypeFont:
    """A DejaVu face; matplotlib brings them along, so they are the same on every machine."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(str(path), round(size))


def _chip(pen: ImageDraw.ImageDraw, x: float, middle: float, text: str, scale: float) -> float:
    """A word on a rounded ground; returns where it ends."""
    face = font("DejaVuSans", 12.5 * scale)
    end = x + pen.textlength(text, face) + 18 * scale
    pen.rounded_rectangle((x, middle - 11 * scale, end, middle + 11 * scale), 11 * scale, (44, 51, 66))
    pen.text(((x + end) / 2, middle), text, PAPER, font=face, anchor="mm")
    return end

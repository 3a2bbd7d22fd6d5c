"""Lays the gallery's pictures out: bands of tasks, each with its reference views and its samples in even gaps.

A band looks like this; every row of pictures has the height of the samples:

    name of the task                               [] region  [] region
    what it asks for
    reference view       rp       rb       ro       light    ...
    +-----------------+  [    ]   [    ]   [    ]   [    ]
    |  with one robot |
    +-----------------+  [    ]   [    ]   [    ]   [    ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

PAPER, INK, GREY, RULE = (255, 255, 255), (28, 30, 33), (108, 113, 120), (222, 225, 228)
MARGIN, GAP, GUTTER = 48, 8, 20  # around the page, between samples, between reference views and samples [px at scale 1]
TITLE, HEADER, CAPTION = 100, 72, 34  # heights of the page's title, of a band's and of the column names
BELOW = 56  # free under a band


@dataclass(frozen=True)
class Block:
    """One robot's row of a band.

    Attributes:
        caption: written on the reference view.
        reference: [H, W, 3].
        samples: rows x columns of pictures, all of one size.
    """

    caption: str
    reference: Picture
    samples: tuple[tuple[Picture, ...], ...]


@dataclass(frozen=True)
class Band:
    """One task.

    Attributes:
        title, words: its name, and what it asks for.
        legend: names and colours of the regions that are marked on the reference views.
        columns: name of each column of samples, and what it shows.
        blocks: one per robot.
    """

    title: str
    words: str
    legend: tuple[tuple[str, Color], ...]
    columns: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]


class Sheet:
    """Draws bands in one size.

    Args:
        height: of a sample [px].
        scale: of text and gaps.
    """

    def __init__(self, height: int, scale: float = 1.0) -> None:
        self._height, self._scale = height, scale

    def page(self, title: str, words: str, bands: Sequence[Band]) -> Image.Image:
        """All bands under one title."""
        drawn = [self.band(band) for band in bands]
        margin, top = self._px(MARGIN), self._px(MARGIN) + self._px(TITLE)
        lines = ((margin, title, INK, self._font(34, bold=True)), (margin + self._px(48), words, GREY, self._font(17)))
        width = max(*(band.width for band in drawn), *(round(face.getlength(text)) for _, text, _, face in lines))
        page = Image.new("RGB", (width + 2 * margin, top + sum(band.height for band in drawn)), PAPER)
        pen = ImageDraw.Draw(page)
        for y, text, color, face in lines:
            pen.text((margin, y), text, color, face, anchor="la")
        for band in drawn:
            page.paste(band, (margin, top))
            top += band.height
        return page

    def band(self, band: Band) -> Image.Image:
        """One task without margins at its sides."""
        rows, columns = len(band.blocks[0].samples), len(band.columns)
        cell, gap = self._cell(band.blocks[0].samples[0][0]), self._px(GAP)
        tall = rows * cell[1] + (rows - 1) * gap
        view = (round(tall * band.blocks[0].reference.shape[1] / band.blocks[0].reference.shape[0]), tall)
        left, top = view[0] + self._px(GUTTER), self._px(HEADER) + self._px(CAPTION)
        size = (
            left + columns * cell[0] + (columns - 1) * gap,
            top + len(band.blocks) * (tall + 2 * gap) - 2 * gap + self._px(BELOW),
        )
        image = Image.new("RGB", size, PAPER)
        pen = ImageDraw.Draw(image)
        self._header(pen, band, size[0])
        for column, (name, words) in enumerate(band.columns):
            self._column_name(pen, left + column * (cell[0] + gap), top, name, words)
        pen.text((0, top - self._px(10)), "reference view", INK, self._font(15, bold=True), anchor="ls")
        for block in band.blocks:
            image.paste(self._reference(block, view), (0, top))
            for row, samples in enumerate(block.samples):
                for column, sample in enumerate(samples):
                    place = (left + column * (cell[0] + gap), top + row * (cell[1] + gap))
                    image.paste(Image.fromarray(shrink(sample, cell)), place)
            top += tall + 2 * gap
        return image

    def _header(self, pen: ImageDraw.ImageDraw, band: Band, width: int) -> None:
        line, face = self._px(36), self._font(15)
        pen.line((0, 0, width, 0), RULE, self._px(1))
        pen.text((0, line), band.title, INK, self._font(24, bold=True), anchor="ls")
        pen.text((0, line + self._px(24)), band.words, GREY, face, anchor="ls")
        x, side = width, self._px(13)
        for name, color in reversed(band.legend):
            x -= round(pen.textlength(name, face))
            pen.text((x, line), name, INK, face, anchor="ls")
            x -= self._px(8) + side
            pen.rounded_rectangle((x, line - side + 1, x + side, line + 1), self._px(3), color)
            x -= self._px(18)

    def _column_name(self, pen: ImageDraw.ImageDraw, x: int, top: int, name: str, words: str) -> None:
        face, line = self._font(15, bold=True), top - self._px(10)
        pen.text((x, line), name, INK, face, anchor="ls")
        pen.text((x + pen.textlength(name, face) + self._px(7), line), words, GREY, self._font(13), anchor="ls")

    def _reference(self, block: Block, size: tuple[int, int]) -> Image.Image:
        image = Image.fromarray(shrink(block.reference, size))
        pen, face, x, y = ImageDraw.Draw(image, "RGBA"), self._font(14), self._px(10), self._px(10)
        left, top, right, bottom = pen.textbbox((x + self._px(6), y + self._px(6)), block.caption, face, anchor="lt")
        pad = self._px(6)
        pen.rounded_rectangle((left - pad, top - pad, right + pad, bottom + pad), self._px(4), (20, 22, 25, 190))
        pen.text((x + self._px(6), y + self._px(6)), block.caption, (255, 255, 255, 255), face, anchor="lt")
        return image

    def _cell(self, sample: Picture) -> tuple[int, int]:
        return round(self._height * sample.shape[1] / sample.shape[0]), self._height

    def _px(self, size: float) -> int:
        return max(1, round(size * self._scale))

    def _font(self, size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
        name = "DejaVuSans-Bold" if bold else "DejaVuSans"
        path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
        return ImageFont.truetype(str(path), self._px(size))


def shrink(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture in a size (width, height) [px]; averages, so that fine textures do not shimmer."""
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def mark(picture: Picture, mask: NDArray[np.bool_], color: Color, share: float = 0.15, width: int = 2) -> None:
    """Tints a region [H, W] of a picture and draws its outline, in place."""
    picture[mask] = np.round((1 - share) * picture[mask] + share * np.array(color)).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, outlines, -1, color, width, cv2.LINE_AA)

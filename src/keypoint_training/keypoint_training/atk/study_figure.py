"""A study as one picture: what every cell kept, how its student does, and how far the kept sets agree."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from keypoint_training.atk.cell import Result
from keypoint_training.atk.study_report import ALPHAS, SEEDS, Pair, Report, cell_words, sentences
from keypoint_trials.figure import GREY, INK, LINE

PALETTE = ("#39d98a", "#ffb020", "#4cc9f0", "#ff5c8a", "#b892ff", "#f4f6f9")  # of regions
OURS, CHANCE = "#228833", "#aa3377"
MARGIN, SMALLEST = 45, 200  # picture around kept points and least width of what is shown [px]
PANEL, GAP, CAPTION = 4.0, 0.2, 1.15  # width of a panel, between two, and height of the words under one [in]
LEFT, TOP = 0.75, 1.25  # free beside and above the panels [in]
PAIR, LABELS = 0.25, 1.75  # height of a pair's line, width of its label [in]
LETTERS = 13  # of a sentence per inch


@dataclass(frozen=True)
class View:
    """The part of the reference view that is shown, and colours.

    Attributes:
        image: [H, W, 3] uint8 RGB, the reference view, paler.
        box: left, right, top and bottom [px].
        shades: region -> colour.
    """

    image: NDArray[np.uint8]
    box: tuple[float, float, float, float]
    shades: dict[str, str]


def write_figure(path: Path, task: str, color: NDArray[np.uint8], report: Report) -> None:
    """Writes the picture as PNG.

    Args:
        path: of the file.
        task: for the title.
        color: [H, W, 3] uint8 RGB, the reference view.
        report: of the cells that have results.
    """
    seeds, alphas = (sorted({getattr(one, name) for one in report.results}) for name in ("seed", "alpha"))
    view = View(_paler(color), _box(color, report), dict(zip(report.regions, PALETTE, strict=False)))
    panel = PANEL * color.shape[0] / color.shape[1]
    pairs = {between: [pair for pair in report.pairs if pair.between == between] for between in (SEEDS, ALPHAS)}
    strip = PAIR * max(len(some) for some in pairs.values())
    width = LEFT + max(2, len(alphas)) * (PANEL + GAP)
    grid = TOP + len(seeds) * (panel + CAPTION)
    words = [line for text in sentences(report) for line in textwrap.wrap(text, round(LETTERS * width))]
    figure = Figure(
        figsize=(width, grid + (strip + 1.25 + 0.2 * len(words) if strip else 0.1)), dpi=110, facecolor="white"
    )
    FigureCanvasAgg(figure)
    _head(figure, task, view, report)
    for result in report.results:
        row, column = seeds.index(result.seed), alphas.index(result.alpha)
        axes = _axes(figure, LEFT + column * (PANEL + GAP), TOP + row * (panel + CAPTION), PANEL, panel)
        _panel(axes, view, result, report)
        if row == 0:
            axes.set_title(f"alpha starts at {result.alpha:g}", fontsize=12, color=INK, pad=8)
        if column == 0:
            axes.set_ylabel(f"seed {result.seed}", fontsize=12, color=INK, labelpad=8)
    half = width / 2
    for column, (between, some) in enumerate(pairs.items()):
        if some:
            axes = _axes(figure, LABELS + column * half, grid + 0.75, half - LABELS - 0.3, PAIR * len(some))
            _shares(axes, some, f"Agreement of two {between}")
    for line, text in enumerate(reversed(words)):
        _write(figure, LEFT / 2, figure.get_figheight() - 0.2 - 0.2 * line, text, fontsize=9.5, color=GREY)
    figure.savefig(path)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place that is given from the left and from above [in]."""
    w, h = figure.get_figwidth(), figure.get_figheight()
    return figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def _write(figure: Figure, left: float, top: float, text: str, **style: object) -> None:
    figure.text(left / figure.get_figwidth(), 1 - top / figure.get_figheight(), text, **style)


def _paler(color: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half of the colour goes, and some of the light: what is drawn on it has to stand out."""
    grey = color.mean(axis=2, keepdims=True)
    return ((0.5 * color + 0.5 * grey) * 0.85).astype(np.uint8)


def _box(color: NDArray[np.uint8], report: Report) -> tuple[float, float, float, float]:
    """The part around all kept points, with the picture's proportions."""
    height, width = color.shape[:2]
    places = [one.candidates.pixels[one.selection.kept] for one in report.results if one.selection is not None]
    if not places:
        return 0, width, 0, height
    points = np.concatenate(places)
    low, high = points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN
    across, down = high - low
    shown = min(width, max(SMALLEST, across, down * width / height))
    size = np.array([shown, shown * height / width])
    left, top = np.clip((low + high - size) / 2, 0, np.array([width, height]) - size)
    return left, left + size[0], top, top + size[1]


def _head(figure: Figure, task: str, view: View, report: Report) -> None:
    _write(figure, LEFT / 2, 0.4, f"Which keypoints {task} keeps", fontsize=17, weight="bold", color=INK)
    left, right = view.box[:2]
    part = right - left
    shown = "reference view" if part >= view.image.shape[1] else f"part of the reference view, {part:.0f} px wide"
    _write(figure, LEFT / 2, 0.7, f"{shown}; dots: candidates, rings: kept", fontsize=10.5, color=GREY)
    used = [name for name in view.shades if any(name in report.on(result) for result in report.results)]
    marks = [Line2D([], [], color=view.shades[name], marker="o", mec=INK, lw=0, ms=9, label=name) for name in used]
    if marks:
        place = (1 - GAP / figure.get_figwidth(), 1 - 0.2 / figure.get_figheight())
        style = {"frameon": False, "ncols": len(marks), "fontsize": 10.5, "handletextpad": 0.1, "borderaxespad": 0}
        figure.legend(handles=marks, loc="upper right", bbox_to_anchor=place, **style)


def _panel(axes: Axes, view: View, result: Result, report: Report) -> None:
    left, right, top, bottom = view.box
    axes.imshow(view.image, interpolation="lanczos")
    axes.set(xlim=(left - 0.5, right - 0.5), ylim=(bottom - 0.5, top - 0.5), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    pixels, bodies = result.candidates.pixels, result.candidates.traits.bodies
    axes.plot(*pixels.T, "o", ms=2.5, color="white", alpha=0.5, mew=0)
    names = {body: name for name, members in report.regions.items() for body in members}
    for i in result.selection.kept if result.selection is not None else ():
        shade = view.shades.get(names.get(bodies[i], ""), PALETTE[-1])
        for color, line in ((INK, 5.0), (shade, 2.4)):
            axes.plot(*pixels[i], "o", ms=12, mfc="none", mec=color, mew=line)
        axes.plot(*pixels[i], "o", ms=3.5, color=shade)
    for line, text in enumerate(cell_words(result, report)):
        style = {"color": GREY if line else INK, "weight": "normal" if line else "bold", "fontsize": 10.5}
        place = {"xycoords": "axes fraction", "xytext": (0, -15 - 15 * line), "textcoords": "offset points"}
        axes.annotate(text, (0, 0), **place, **style)


def _shares(axes: Axes, pairs: Sequence[Pair], title: str) -> None:
    """A line per pair: its share, and those that chance gives."""
    rows = np.arange(len(pairs))
    axes.hlines(rows, 0, 1, color=LINE, lw=0.6, zorder=0)
    axes.axvline(0.5, color=LINE, lw=1.4, zorder=0)
    for name, label, style in (
        ("chance", "random points", {"marker": "|", "color": GREY, "ms": 12, "mew": 2}),
        ("chance_on_bodies", "random, on the same bodies", {"marker": "|", "color": CHANCE, "ms": 12, "mew": 2}),
        ("share", "kept", {"marker": "o", "color": OURS, "ms": 7.5}),
    ):
        axes.plot([getattr(pair.overlap, name) for pair in pairs], rows, lw=0, label=label, **style)
    axes.set_yticks(rows, [pair.words for pair in pairs])
    axes.set(xlim=(-0.02, 1.02), ylim=(len(pairs) - 0.5, -0.5), xticks=np.linspace(0, 1, 5))
    axes.tick_params(colors=GREY, length=0, labelsize=9.5)
    axes.set_title(title, fontsize=12, color=INK, loc="left", pad=26, x=-0.01)
    beside = {"frameon": False, "fontsize": 9.5, "handletextpad": 0.1, "borderaxespad": 0.2, "ncols": 3}
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), **beside)
    for side in axes.spines.values():
        side.set_visible(False)

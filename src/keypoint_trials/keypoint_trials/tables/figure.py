"""The tables as one picture: a panel per table and task, ours with intervals, the paper's beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from keypoint_trials.figure import GREY, INK, LINE
from keypoint_trials.methods import METHODS, method_named
from keypoint_trials.tables.layout import Layout
from keypoint_trials.tables.page import Scores, published
from keypoint_trials.tables.published import SIMULATION, TASKS

PALETTE = ("#228833", "#aa3377", "#ee6677", "#ccbb44", "#4477aa", "#66ccee", "#bbbbbb", "#7a5195", "#444444")
COLORS = {method.name: PALETTE[i % len(PALETTE)] for i, method in enumerate(METHODS)}
PANEL = 2.9  # height [in]


def write_figure(path: Path, words: str, layouts: Sequence[Layout], tasks: Sequence[str], scores: Scores) -> None:
    """Writes the picture as PNG.

    Args:
        path: of the file.
        words: how the figures came about.
        layouts: one row of panels each.
        tasks: one column of panels each.
        scores: what was measured.
    """
    height = PANEL * len(layouts) + 1.3
    figure = Figure(figsize=(2.2 + 3.4 * len(tasks), height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.02, 1 - 0.3 / height, "Success in simulation", fontsize=15, weight="bold", color=INK, va="center")
    figure.text(0.02, 1 - 0.6 / height, words, fontsize=9, color=GREY, va="center")
    grid = figure.add_gridspec(
        len(layouts),
        len(tasks),
        left=0.045,
        right=1 - 1.9 / (2.2 + 3.4 * len(tasks)),
        top=1 - 1.3 / height,
        bottom=0.55 / height,
        hspace=0.62,
        wspace=0.1,
    )
    for row, layout in enumerate(layouts):
        for column, task in enumerate(tasks):
            axes = figure.add_subplot(grid[row, column])
            _panel(axes, layout, task, scores)
            heading = f"{layout.heading}\n" if column == 0 else "\n"
            axes.set_title(heading + TASKS.get(task, task), fontsize=10.5, color=INK, loc="left")
            if column:
                axes.set_yticklabels([])
        _legend(axes, layout)
    figure.savefig(path)


def _panel(axes: Axes, layout: Layout, task: str, scores: Scores) -> None:
    width = 0.7 / len(layout.methods)
    for which, method in enumerate(layout.methods):
        color = COLORS[method]
        for place, condition in enumerate(layout.conditions):
            x = place + (which - (len(layout.methods) - 1) / 2) * width
            paper = published(SIMULATION, task, method, condition)
            if not math.isnan(paper):
                axes.plot([x - 0.42 * width, x + 0.42 * width], [paper, paper], color=color, lw=1.4, alpha=0.55)
            one = scores.get((task, method, condition))
            if one is not None and sum(one.trials):
                low, high = one.interval
                axes.plot([x, x], [low, high], color=color, lw=1.5)
                axes.plot(x, one.rate, "o", color=color, ms=6)
    axes.set_xticks(range(len(layout.conditions)), _headings(layout), fontsize=9)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlim(-0.5, len(layout.conditions) - 0.5)
    axes.tick_params(colors=GREY, length=0, labelsize=9)
    axes.grid(axis="y", color=LINE, lw=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)


def _headings(layout: Layout) -> list[str]:
    return [title.replace(", ", ",\n") for title in layout.conditions.values()]


def _legend(axes: Axes, layout: Layout) -> None:
    marks = [Line2D([], [], color=COLORS[name], marker="o", lw=0, ms=6, label=_short(name)) for name in layout.methods]
    if layout.number:
        marks.append(Line2D([], [], color=GREY, lw=1.4, label="the paper's"))
    axes.legend(handles=marks, loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=9)


def _short(name: str) -> str:
    return method_named(name).title.replace(", ", ",\n").replace(" on the", "\non the").replace(" (", "\n(")

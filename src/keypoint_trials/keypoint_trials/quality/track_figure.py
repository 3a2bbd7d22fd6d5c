"""The picture of a run of track-quality: one panel per figure, one row per condition, and the reliability diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from keypoint_trials.figure import GREY, INK, LINE
from keypoint_trials.quality.metrics import CLOSE, FAR, HIDDEN, LONG, Reliability
from keypoint_trials.quality.track_report import BARS, Group

PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # Tol's bright scheme
TARGET = "#2f9e62"
FEW = 20  # occlusions, below which the dot stays hollow


@dataclass(frozen=True)
class Panel:
    """One figure: its key in `Group.figures`, heading, axis, and the field of `Measured` whose spread is shown."""

    key: str
    title: str
    axis: str
    field: str = ""
    factor: float = 1.0
    share: bool = True


PANELS = (
    Panel("delta_avg", "position: δ avg", "share of visible points", "delta_avg"),
    Panel("accuracy", "visibility: OA", "share of flags", "accuracy"),
    Panel("average_jaccard", "both: AJ", "average Jaccard", "average_jaccard"),
    Panel("found_long", f"found again after ≥ {HIDDEN} s", "share of occlusions"),
    Panel("silent", f"silently > {FAR:g} px off, > {LONG} frames", "% of track-frames", "", 100.0, False),
    Panel("median_px", "median error where visible", "px", "median", 1.0, False),
    Panel("cpu_p95", "time per frame: dot p50, line to p95", "ms of one core", "", 1.0, False),
)


def write_figure(path: Path, title: str, groups: Sequence[Group]) -> None:
    """Writes the picture as PNG.

    Args:
        path: of the file.
        title: of the whole.
        groups: one per condition and tracker, over all tasks.
    """
    conditions = list(dict.fromkeys(one.condition for one in groups))
    trackers = list(dict.fromkeys(one.tracker for one in groups))
    rows = len(conditions) * max(1.0, 0.45 * len(trackers) + 0.4)
    panel = max(1.9, 0.34 * rows + 0.9)
    figure = Figure(figsize=(14, 2 * panel + 1.9), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    height = figure.get_figheight()
    grid = figure.add_gridspec(
        2, 4, left=0.105, right=0.955, top=1 - 1.15 / height, bottom=0.58 / height, wspace=0.14, hspace=0.85 / panel
    )
    for index, content in enumerate(PANELS):
        axes = figure.add_subplot(grid[divmod(index, 4)])
        _panel(axes, content, groups, conditions, trackers, labels=index % 4 == 0)
    _reliability(figure.add_subplot(grid[1, 3]), groups, trackers)
    _heading(figure, title, groups, trackers)
    figure.savefig(path)


def _heading(figure: Figure, title: str, groups: Sequence[Group], trackers: Sequence[str]) -> None:
    height = figure.get_figheight()
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=15, weight="bold", color=INK, va="center")
    episodes = sum(len(one.results) for one in groups if one.tracker == trackers[0])
    points = {result.points for one in groups for result in one.results}
    span = f"{min(points)}" if len(points) == 1 else f"{min(points)} to {max(points)}"
    text = f"{episodes} episodes, {span} points each; dot: mean, line: 10th to 90th percentile of the episodes; hollow: < {FEW} occlusions"
    figure.text(0.02, 1 - 0.64 / height, text, fontsize=9.5, color=GREY, va="center")
    marks = [
        Line2D([], [], color=PALETTE[i % len(PALETTE)], marker="o", lw=1.6, ms=6.5, label=name)
        for i, name in enumerate(trackers)
    ]
    marks.append(Line2D([], [], color=TARGET, lw=1.2, ls=(0, (4, 3)), label="target"))
    figure.legend(
        handles=marks, loc="upper right", bbox_to_anchor=(0.985, 1 - 0.12 / height), ncols=4, frameon=False, fontsize=10
    )


def _panel(
    axes: Axes, panel: Panel, groups: Sequence[Group], conditions: list[str], trackers: list[str], labels: bool
) -> None:
    """Dots of all groups; the rows are shared by the panels beside it."""
    _tidy(axes, panel.title, panel.axis)
    step = 0.62 / len(trackers)
    for one in groups:
        which = trackers.index(one.tracker)
        y = conditions.index(one.condition) + (which - (len(trackers) - 1) / 2) * step
        _dot(axes, panel, one, y, PALETTE[which % len(PALETTE)])
    bar = BARS.get(panel.key)
    if bar is not None:
        target = bar.least if bar.least is not None else bar.most
        axes.axvline((target or 0.0) * panel.factor, color=TARGET, lw=1.2, ls=(0, (4, 3)), zorder=1)
    axes.set_yticks(range(len(conditions)), conditions if labels else [""] * len(conditions))
    axes.tick_params(axis="y", labelsize=10)
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    for row in range(1, len(conditions)):
        axes.axhline(row - 0.5, color=LINE, lw=0.6, zorder=0)
    axes.grid(visible=False, axis="y")
    low, high = axes.get_xlim()
    axes.set_xlim((math.floor(10 * max(0.0, low - 0.02)) / 10, 1.03) if panel.share else (-0.02 * high, high * 1.06))


def _dot(axes: Axes, panel: Panel, one: Group, y: float, color: str) -> None:
    """One group: a dot, and a line for its spread."""
    figures = one.figures()
    value = figures[panel.key] * panel.factor
    if not math.isfinite(value):
        return
    if panel.key == "cpu_p95":
        axes.plot([figures["cpu_p50"], value], [y, y], color=color, lw=1.6)
        axes.plot([value, value], [y - 0.06, y + 0.06], color=color, lw=1.6)
        value = figures["cpu_p50"]
    spread = [v for v in one.values(panel.field) if math.isfinite(v)] if panel.field else []
    if len(spread) > 1:
        axes.plot(np.percentile(spread, [10, 90]) * panel.factor, [y, y], color=color, lw=1.6, alpha=0.55)
    few = panel.key == "found_long" and figures["long_events"] < FEW
    face, edge = ("white", color) if few else (color, "white")
    axes.plot(value, y, "o", mfc=face, ms=6.5, mec=edge, mew=1.2 if few else 0.8, zorder=3)


def _reliability(axes: Axes, groups: Sequence[Group], trackers: list[str]) -> None:
    """Confidence against what is right, over all conditions; the dots' area grows with the number of points."""
    _tidy(axes, "reliability of the confidence", "predicted by points flagged visible")
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.9, ls=(0, (2, 2)), zorder=1)
    for which, name in enumerate(trackers):
        table = sum((one.reliability for one in groups if one.tracker == name), Reliability.empty())
        rows = np.array(table.rows()).reshape(-1, 3)
        color = PALETTE[which % len(PALETTE)]
        axes.plot(rows[:, 0], rows[:, 1], color=color, lw=1.4, zorder=2)
        area = 14 + 90 * np.sqrt(rows[:, 2] / max(1.0, rows[:, 2].sum()))
        axes.scatter(rows[:, 0], rows[:, 1], s=area, color=color, edgecolor="white", linewidth=0.8, zorder=3)
        axes.text(
            0.97,
            0.05 + 0.085 * (len(trackers) - 1 - which),
            f"ECE {table.error:.3f}",
            color=color,
            fontsize=9,
            ha="right",
            transform=axes.transAxes,
        )
    axes.set_ylabel(f"share visible and within {CLOSE:g} px", fontsize=9, color=GREY)
    axes.yaxis.set_label_position("right")
    axes.yaxis.tick_right()
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))


def _tidy(axes: Axes, title: str, x: str) -> None:
    axes.set_title(title, fontsize=10.5, color=INK, loc="left", pad=6)
    axes.set_xlabel(x, fontsize=9, color=GREY)
    axes.tick_params(labelsize=8.5, colors=INK, length=0)
    axes.grid(color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)

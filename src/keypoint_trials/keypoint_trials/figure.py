"""The picture that sums a run up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from numpy.typing import NDArray

from keypoint_core.overlay import draw
from keypoint_core.runs import success_figures
from keypoint_trials.latency import STAGES, Latencies, merge
from keypoint_trials.reader import TrialBag
from keypoint_trials.records import TrialRecord

INK, GREY, LINE, PALE = "#1b1f29", "#6b7486", "#d5dae3", "#f4f6f9"
COLORS = {"success": "#2f9e62", "failure": "#d64545", "stopped": "#c98a1b", "canceled": "#c98a1b", "error": "#d64545"}
STAGE_COLORS = dict(zip(STAGES, ("#4477aa", "#228833", "#aa3377", "#ccbb44"), strict=True))
THUMBNAILS = 10  # shown at most
COLUMNS = 5
LONGEST = 56  # characters in a cell


@dataclass(frozen=True)
class Trial:
    """One trial as the report shows it.

    Attributes:
        record: its outcome.
        latencies: measured in its bag.
        picture: final frame with keypoints [H, W, 3] uint8 RGB; None where nothing was recorded.
    """

    record: TrialRecord
    latencies: Latencies
    picture: NDArray[np.uint8] | None = None


def final_picture(bag: TrialBag, width: int = 400) -> NDArray[np.uint8] | None:
    """The last frame that has keypoints, else the last frame, `width` px wide with keypoints drawn; None without."""
    keypoints = {one.stamp: one for one in bag.keypoints}
    if not len(bag.frames):
        return None
    last = len(bag.frames) - 1
    index = next((i for i in range(last, -1, -1) if int(bag.frames.stamps[i]) in keypoints), last)
    frame = bag.frames[index]
    scale = width / frame.shape[1]
    small = cv2.resize(frame, (width, round(frame.shape[0] * scale)), interpolation=cv2.INTER_AREA)
    found = keypoints.get(int(bag.frames.stamps[index]))
    if found is None:
        return small
    return draw(small, replace(found, pixels=(found.pixels + 0.5) * np.float32(scale) - 0.5), legend=False)


def write_figure(path: Path, title: str, trials: Sequence[Trial]) -> None:
    """Writes the summary as PNG: table, final frames, poses and latencies.

    Args:
        path: of the file.
        title: of the run.
        trials: at least one.
    """
    rows = -(-min(len(trials), THUMBNAILS) // COLUMNS)
    heights = [0.7 + 0.26 * (len(trials) + 1), 2.05 * rows, 3.5]
    figure = Figure(figsize=(13, sum(heights) + 1.6), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        3,
        1,
        height_ratios=heights,
        left=0.04,
        right=0.97,
        top=1 - 0.85 / figure.get_figheight(),
        bottom=0.055,
        hspace=0.16,
    )
    _heading(figure, title, trials)
    _table(figure.add_subplot(grid[0]), trials)
    _pictures(figure, grid[1].subgridspec(rows, COLUMNS, wspace=0.05, hspace=0.16), trials)
    low = grid[2].subgridspec(1, 4, width_ratios=[0.07, 1, 0.36, 1.45], wspace=0)
    _poses(figure.add_subplot(low[1]), trials)
    _stages(figure.add_subplot(low[3]), merge(trial.latencies for trial in trials))
    figure.savefig(path)


def _heading(figure: Figure, title: str, trials: Sequence[Trial]) -> None:
    figures = success_figures(sum(trial.record.success for trial in trials), len(trials))
    low, high = figures["wilson_95"]
    y = 1 - 0.42 / figure.get_figheight()
    figure.text(0.04, y, title, fontsize=17, weight="bold", color=INK, va="center")
    text = f"{figures['successes']} of {figures['trials']} succeed   (95 %: {low:.2f} to {high:.2f})"
    figure.text(0.97, y, text, fontsize=12.5, color=INK, ha="right", va="center")


def row_of(trial: Trial) -> list[str]:
    """One trial's cells: name, pose, outcome, time, keypoints visible, latency p50 / p95."""
    record = trial.record
    pose = "-"
    if len(record.pose) == 3:
        x, y, yaw = record.pose
        pose = f"{x:+.2f} {y:+.2f} {np.degrees(yaw):+3.0f}°"
    applied = trial.latencies.table().get("capture_to_applied")
    latency = f"{applied['p50']:.1f} / {applied['p95']:.1f}" if applied else "-"
    outcome = f"{record.outcome}: {record.error}" if record.error else record.outcome
    return [record.trial, pose, outcome, f"{record.elapsed:.1f} s", f"{record.visible} / {record.total}", latency]


HEADINGS = (
    "trial",
    "pose\nx, y [m], yaw",
    "outcome",
    "time",
    "keypoints\nvisible",
    "latency [ms]\np50 / p95",
)
MONOSPACED = (1, 3, 4, 5)


def _table(axes: Axes, trials: Sequence[Trial]) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(trials) + 1, 0))
    places = (0.0, 0.13, 0.30, 0.67, 0.75, 0.865)
    for place, heading in zip(places, HEADINGS, strict=True):
        axes.text(place, 0.86, heading, fontsize=9, color=GREY, va="bottom", linespacing=1.3)
    for row, trial in enumerate(trials, start=1):
        axes.axhline(row, color=LINE, lw=0.8)
        for column, (place, cell) in enumerate(zip(places, row_of(trial), strict=True)):
            color = COLORS[trial.record.outcome] if column == 2 else INK
            family = "DejaVu Sans Mono" if column in MONOSPACED else "DejaVu Sans"
            text = cell if len(cell) <= LONGEST else f"{cell[: LONGEST - 1]}…"
            axes.text(place, row + 0.5, text, fontsize=9.5, color=color, va="center", family=family)


def _pictures(figure: Figure, grid: GridSpecBase, trials: Sequence[Trial]) -> None:
    for index, trial in enumerate(trials[:THUMBNAILS]):
        axes = figure.add_subplot(grid[index // COLUMNS, index % COLUMNS])
        axes.set(xticks=[], yticks=[])
        if trial.picture is None:
            axes.set_facecolor(PALE)
            axes.text(0.5, 0.5, "not recorded", color=GREY, ha="center", va="center", transform=axes.transAxes)
        else:
            axes.imshow(trial.picture, interpolation="antialiased")
        color = COLORS[trial.record.outcome]
        axes.set_title(f"{trial.record.trial}   {trial.record.outcome}", fontsize=8.5, color=color, pad=5)
        for spine in axes.spines.values():
            spine.set(color=color, linewidth=1.6)


def _poses(axes: Axes, trials: Sequence[Trial]) -> None:
    """Seen from above, the robot's base at the origin; an arrow shows where each object faces."""
    _tidy(axes, "poses from above", "x [m]", "y [m]")
    known = [trial.record for trial in trials if len(trial.record.pose) == 3]
    for record in known:
        x, y, yaw = record.pose
        color = COLORS[record.outcome]
        step = 0.018 * np.array([np.cos(yaw), np.sin(yaw)])
        axes.annotate(
            "", (x + step[0], y + step[1]), (x, y), arrowprops={"arrowstyle": "->", "color": color, "lw": 1.4}
        )
        axes.plot(x, y, "o" if record.success else "X", color=color, ms=8, mec="white", mew=0.8)
    if not known:
        axes.text(0.5, 0.5, "not known", color=GREY, ha="center", va="center", transform=axes.transAxes)
        return
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.2)


def _stages(axes: Axes, latencies: Latencies) -> None:
    """p50 as bars with whiskers to p95."""
    overhead = latencies.overhead_ms()
    title = "latency: p50, whisker to p95" + (f"   (overhead of the graph {overhead:.1f} ms)" if overhead else "")
    _tidy(axes, title, "[ms]", "")
    axes.grid(visible=False, axis="y")
    table = latencies.table()
    names = list(table)
    if not names:
        axes.text(0.5, 0.5, "not measured", color=GREY, ha="center", va="center", transform=axes.transAxes)
        return
    for row, name in enumerate(names):
        p50, p95 = table[name]["p50"], table[name]["p95"]
        color = STAGE_COLORS.get(name, INK if name == "capture_to_applied" else "#aab2c0")
        axes.barh(row, p50, color=color, height=0.62)
        axes.plot([p50, p95], [row, row], color=color, lw=1.6)
        axes.plot([p95, p95], [row - 0.16, row + 0.16], color=color, lw=1.6)
        axes.annotate(
            f"{p50:.1f}", (max(p50, p95), row), (5, 0), textcoords="offset points", fontsize=8.5, va="center", color=INK
        )
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.margins(x=0.1)


def _tidy(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10, color=GREY, loc="left", pad=6)
    axes.set_xlabel(x, fontsize=9, color=GREY)
    axes.set_ylabel(y, fontsize=9, color=GREY)
    axes.tick_params(labelsize=8.5, colors=INK, length=0)
    axes.grid(color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)

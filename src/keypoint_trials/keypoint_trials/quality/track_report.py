"""What a run of track-quality leaves: a table, results.csv, tracks.png and summary.json."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from keypoint_core.runs import write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_trials.quality.metrics import HIDDEN, Redetection, Reliability
from keypoint_trials.quality.runner import Measured

WIDTH = 156  # of output that goes into a file or a pipe [columns]
ALL = "all"
Columns = tuple[tuple[str, str, Callable[[float], str]], ...]  # heading, figure and how it is written


@dataclass(frozen=True)
class Bar:
    """What a figure must reach."""

    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        """Whether it does; what is not a number does not."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


BARS = {
    "delta_avg": Bar(least=0.90),
    "accuracy": Bar(least=0.92),
    "average_jaccard": Bar(least=0.82),
    "found_long": Bar(least=0.90),
    "silent": Bar(most=0.01),
    "cpu_p95": Bar(most=15.0),
}


@dataclass(frozen=True)
class Group:
    """All results of one tracker in one condition, of one task or of all.

    The figures of TAP-Vid are means over the episodes, as TAP-Vid's are over its videos.
    """

    condition: str
    task: str
    tracker: str
    results: tuple[Measured, ...]

    def mean(self, name: str) -> float:
        """Of a field over the episodes, those left out in which there was nothing to measure."""
        values = [value for value in self.values(name) if math.isfinite(value)]
        return float(np.mean(values)) if values else math.nan

    def values(self, name: str) -> list[float]:
        """A field of every episode."""
        return [float(getattr(result, name)) for result in self.results]

    @property
    def redetection(self) -> Redetection:
        """Of all episodes."""
        return sum((result.redetection for result in self.results), Redetection())

    @property
    def reliability(self) -> Reliability:
        """Of all episodes."""
        return sum((result.reliability for result in self.results), Reliability.empty())

    @property
    def failures(self) -> list[str]:
        """Why the tracker gave up, and where."""
        return [f"{one.task} {one.condition} {one.seed}: {one.failure}" for one in self.results if one.failure]

    def figures(self) -> dict[str, Any]:
        """For the summary; NaN where there was nothing to measure."""
        found, frames = self.redetection, sum(result.track_frames for result in self.results)
        times = {
            name: percentiles_ms([t for one in self.results for t in getattr(one, name)]) for name in ("cpu", "wall")
        }
        return {
            "condition": self.condition,
            "task": self.task,
            "tracker": self.tracker,
            "episodes": len(self.results),
            "delta_avg": self.mean("delta_avg"),
            "accuracy": self.mean("accuracy"),
            "average_jaccard": self.mean("average_jaccard"),
            "found_long": share(found.long_found, found.long_events),
            "long_events": found.long_events,
            "found": share(found.found, found.events),
            "events": found.events,
            "silent": share(sum(result.silent for result in self.results), frames),
            "track_frames": frames,
            "median_px": float(np.nanmedian(self.values("median")))
            if np.isfinite(self.values("median")).any()
            else math.nan,
            "calibration_error": self.reliability.error,
            "cpu_p50": times["cpu"].get("p50", math.nan),
            "cpu_p95": times["cpu"].get("p95", math.nan),
            "wall_p50": times["wall"].get("p50", math.nan),
            "wall_p95": times["wall"].get("p95", math.nan),
            "gave_up": self.failures,
        }


def group(measured: Sequence[Measured], per_task: bool) -> list[Group]:
    """Results by condition, task (or all tasks together) and tracker, in the order in which they first come."""
    tasks = {one.task for one in measured}
    together = ALL if len(tasks) > 1 else next(iter(tasks), ALL)
    members: dict[tuple[str, str, str], list[Measured]] = {}
    for one in measured:
        key = (one.condition, one.task if per_task else together, one.tracker)
        members.setdefault(key, []).append(one)
    order = list(dict.fromkeys(one.condition for one in measured))
    groups = [Group(*key, tuple(results)) for key, results in members.items()]
    return sorted(groups, key=lambda one: order.index(one.condition))


COLUMNS: Columns = (
    ("delta\navg", "delta_avg", "{:.3f}".format),
    ("OA", "accuracy", "{:.3f}".format),
    ("AJ", "average_jaccard", "{:.3f}".format),
    (f"found\n>= {HIDDEN} s", "found_long", "{:.3f}".format),
    ("of", "long_events", "{:.0f}".format),
    ("found\nany", "found", "{:.3f}".format),
    ("of", "events", "{:.0f}".format),
    ("silent\n%", "silent", lambda value: f"{100 * value:.2f}"),
    ("median\npx", "median_px", "{:.2f}".format),
    ("calib.\nerror", "calibration_error", "{:.3f}".format),
    ("ms\np50", "cpu_p50", "{:.1f}".format),
    ("\np95", "cpu_p95", "{:.1f}".format),
)


def make_table(groups: Sequence[Group]) -> Table:
    """One line per group; green where a bar is met, red where it is not."""
    caption = (
        "found: again within 5 frames after an occlusion; silent: wrong for long and flagged visible; ms: of one core"
    )
    table = Table(title="track quality", caption=caption, header_style="bold", pad_edge=False)
    for name in ("condition", "task", "tracker", "n"):
        table.add_column(name, justify="right" if name == "n" else "left", no_wrap=name == "n", overflow="fold")
    fill(table, COLUMNS, BARS, map(_line, groups))
    return table


def _line(one: Group) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """Section, names and figures."""
    return one.condition, (one.condition, one.task, one.tracker, str(len(one.results))), one.figures()


def report(
    measured: list[Measured], folder: Path, arguments: argparse.Namespace, left_out: dict[str, str], console: Console
) -> None:
    """Prints the table and writes the files.

    Args:
        measured: all results.
        folder: of the run.
        arguments: of the command.
        left_out: tracker -> why it was not measured.
        console: to print to.
    """
    from keypoint_trials.quality.track_figure import write_figure  # matplotlib takes half a second

    together = group(measured, per_task=False)
    groups = together if len({one.task for one in measured}) == 1 else [*group(measured, per_task=True), *together]
    groups = sorted(groups, key=lambda one: [g.condition for g in together].index(one.condition))
    console.print(make_table(groups))
    for failure in [failure for one in together for failure in one.failures]:
        console.print(f"[red]gave up[/] {failure}")
    write_csv(folder / "results.csv", measured)
    tasks = ", ".join(dict.fromkeys(one.task for one in measured))
    write_figure(folder / "tracks.png", f"Track quality: {tasks}", together)
    write_summary(
        folder,
        seed=arguments.seed,
        task=arguments.task,
        robot=arguments.robot,
        method=arguments.tracker,
        condition=arguments.condition,
        mode="in_process",
        latency_ms={one.tracker: percentiles_ms([t for r in one.results for t in r.cpu]) for one in together},
        points=arguments.points,
        episodes_per_condition=arguments.n,
        left_out=left_out,
        groups=[{key: plain(value) for key, value in one.figures().items()} for one in groups],
        reliability=[
            {"tracker": one.tracker, "condition": one.condition, "bins": one.reliability.rows()} for one in together
        ],
    )
    console.print(f"  {folder}/tracks.png, results.csv, summary.json")


def write_csv(path: Path, measured: Sequence[Measured]) -> None:
    """One line per episode and tracker."""
    names = ("task", "condition", "seed", "tracker", "points", "frames", "delta_avg", "accuracy", "average_jaccard")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        more = ("median_px", "events", "found", "long_events", "long_found", "silent_frames", "track_frames")
        writer.writerow([*names, *more, "calibration_error", "cpu_ms_p50", "cpu_ms_p95", "gave_up"])
        for one in measured:
            times = percentiles_ms(one.cpu)
            again = one.redetection
            counts = [again.events, again.found, again.long_events, again.long_found, one.silent, one.track_frames]
            row = [getattr(one, name) for name in names] + [one.median, *counts, one.reliability.error]
            writer.writerow([*map(plain, row), times.get("p50"), times.get("p95"), one.failure])


def fill(
    table: Table,
    columns: Columns,
    bars: Mapping[str, Bar],
    lines: Iterable[tuple[str, Sequence[str], Mapping[str, Any]]],
) -> None:
    """Adds a column per figure and the lines; green where a bar is met, red where it is not.

    Args:
        table: with the columns that name a line.
        columns: of the figures.
        bars: by figure.
        lines: section (a rule where it changes), names and figures of each.
    """
    for heading, _, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for section, names, figures in lines:
        if before is not None and section != before:
            table.add_section()
        before = section
        table.add_row(*names, *(_cell(figures[key], form, bars.get(key)) for _, key, form in columns))


def _cell(value: float, form: Callable[[float], str], bar: Bar | None) -> str:
    if not math.isfinite(value):
        return "-"
    return form(value) if bar is None else f"[{'green' if bar.met(value) else 'red'}]{form(value)}[/]"


def plain(value: Any, digits: int = 5) -> Any:
    """As JSON and CSV hold it: rounded, None for what is not a number."""
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    return value


def share(part: int, whole: int) -> float:
    """NaN of nothing."""
    return part / whole if whole else math.nan

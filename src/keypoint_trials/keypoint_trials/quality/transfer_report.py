"""What a run of transfer leaves: a table, results.csv, one contact sheet per task and correspondence, summary.json."""

from __future__ import annotations

import argparse
import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from keypoint_core.correspondence.reference import Reference
from keypoint_core.runs import write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.types import Float64
from keypoint_trials.quality.located import Located
from keypoint_trials.quality.scenes import PLAIN
from keypoint_trials.quality.track_report import Bar, Columns, fill, plain, share

WIDTH = 150  # of output that goes into a file or a pipe [columns]
WRONG, HIT = 8.0, 5.0  # an accepted keypoint is wrong from here on; a located one is a hit up to here [px]
BARS = {"mean_px": Bar(most=3.0), "p95_px": Bar(most=8.0), "wrong": Bar(most=0.02)}
DIGITS = 4  # of what is not whole, in the files
HARD = "hard"


@dataclass(frozen=True)
class Group:
    """All scenes of one kind of one task with one correspondence."""

    task: str
    correspondence: str
    kind: str
    results: tuple[Located, ...]

    def figures(self) -> dict[str, Any]:
        """For table and summary; NaN where there was nothing to measure."""
        every = np.concatenate([one.shown for one in self.results])
        kept = np.concatenate([one.kept for one in self.results])
        visible = np.concatenate([one.visible for one in self.results])
        errors = np.concatenate([one.errors for one in self.results])
        accepted = errors[kept]
        times = percentiles_ms([one.seconds for one in self.results])
        return {
            "task": self.task,
            "correspondence": self.correspondence,
            "kind": self.kind,
            "scenes": len(self.results),
            "refused": sum(one.refused for one in self.results),
            "keypoints": int(every.sum()),
            "accepted": share(int(kept.sum()), int(every.sum())),
            "accepted_of_visible": share(int((kept & visible).sum()), int(visible.sum())),
            "hidden_of_accepted": share(int((kept & ~visible).sum()), int(kept.sum())),
            "mean_px": _of(np.mean, accepted),
            "median_px": _of(np.median, accepted),
            "p95_px": _of(lambda values: np.percentile(values, 95), accepted),
            "wrong": share(int((accepted > WRONG).sum()), len(accepted)),
            "wrong_5": share(int((accepted > HIT).sum()), len(accepted)),
            "common_shift_p95_px": _of(lambda values: np.percentile(values, 95), np.array(self.shifts())),
            "auc": self.auc(),
            "cpu_p50": times.get("p50", math.nan),
            "cpu_p95": times.get("p95", math.nan),
            "reasons": self.reasons(),
        }

    def shifts(self) -> list[float]:
        """How far the accepted keypoints of each scene are off together: the length of their mean error [px]."""
        kept = [(one.pixels - one.truth)[one.kept] for one in self.results if one.kept.any()]
        return [float(np.linalg.norm(errors.mean(axis=0))) for errors in kept]

    def auc(self) -> float:
        """How well the score tells hits from misses: area under the ROC curve, over the scenes that were not refused."""
        located = [one for one in self.results if not one.refused]
        if not located:
            return math.nan
        score = np.concatenate([one.score[one.shown] for one in located])
        return roc_auc(score, np.concatenate([one.errors[one.shown] <= HIT for one in located]))

    def reasons(self) -> dict[str, int]:
        """Why scenes were refused, with the first one's numbers, and how often."""
        texts = [one.reason for one in self.results if one.reason]
        first: dict[str, str] = {}
        for text in texts:
            first.setdefault(_kind_of(text), text)
        return {first[kind]: count for kind, count in Counter(map(_kind_of, texts)).most_common()}


def roc_auc(score: Float64, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney, 1947); NaN without both classes."""
    p, n = int(positive.sum()), int((~positive).sum())
    if p == 0 or n == 0:
        return math.nan
    return float((rankdata(score)[positive].sum() - p * (p + 1) / 2) / (p * n))


def group(located: Sequence[Located]) -> list[Group]:
    """By task, correspondence, and whether the scene is plain."""
    members: dict[tuple[str, str, str], list[Located]] = {}
    for one in located:
        members.setdefault((one.task, one.correspondence, PLAIN if one.kind == PLAIN else HARD), []).append(one)
    tasks = list(dict.fromkeys(one.task for one in located))
    groups = [Group(*key, tuple(results)) for key, results in members.items()]
    return sorted(groups, key=lambda one: (tasks.index(one.task), one.correspondence, one.kind != PLAIN))


COLUMNS: Columns = (
    ("kept\n%", "accepted", lambda value: f"{100 * value:.1f}"),
    ("mean\npx", "mean_px", "{:.2f}".format),
    ("median\npx", "median_px", "{:.2f}".format),
    ("p95\npx", "p95_px", "{:.2f}".format),
    (f"> {WRONG:g} px\n%", "wrong", lambda value: f"{100 * value:.2f}"),
    (f"> {HIT:g} px\n%", "wrong_5", lambda value: f"{100 * value:.2f}"),
    ("shift\np95 px", "common_shift_p95_px", "{:.2f}".format),
    ("AUC", "auc", "{:.3f}".format),
    ("ms\np50", "cpu_p50", "{:.0f}".format),
    ("\np95", "cpu_p95", "{:.0f}".format),
)


def make_table(groups: Sequence[Group]) -> Table:
    """One line per group; green where a bar is met, red where it is not."""
    caption = (
        "kept: accepted keypoints, of which the errors are; shift: of all that are kept in a scene; ms: of one core"
    )
    table = Table(title="transfer", caption=caption, header_style="bold", pad_edge=False)
    for name in ("task", "correspondence", "scenes", "refused"):
        long = name in ("task", "correspondence")  # these give way where the terminal is narrow
        table.add_column(
            name, no_wrap=not long, min_width=8, overflow="fold", justify="right" if name == "refused" else "left"
        )
    fill(table, COLUMNS, BARS, map(_line, groups))
    return table


def _line(one: Group) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """Section, names and figures."""
    figures = one.figures()
    return one.task, (one.task, one.correspondence, one.kind, f"{figures['refused']} of {figures['scenes']}"), figures


def report(
    located: list[Located],
    references: Mapping[str, Reference],
    folder: Path,
    arguments: argparse.Namespace,
    left_out: Mapping[str, str],
    console: Console,
) -> None:
    """Prints the table and writes the files.

    Args:
        located: all results.
        references: task -> reference.
        folder: of the run.
        arguments: of the command.
        left_out: correspondence -> why it was not measured.
        console: to print to.
    """
    from keypoint_trials.quality.transfer_sheet import contact_sheet

    groups = group(located)
    console.print(make_table(groups))
    for one in groups:
        for reason, count in one.reasons().items():
            console.print(f"[yellow]refused[/] {count} x {one.task}, {one.correspondence}, {one.kind}: {reason}")
    write_csv(folder / "results.csv", located)
    for task, name in dict.fromkeys((one.task, one.correspondence) for one in groups):
        members = [one for one in located if (one.task, one.correspondence) == (task, name)]
        sheet = contact_sheet(references[task], members, folder / "results")
        cv2.imwrite(str(folder / f"{task}-{name}.png"), sheet[..., ::-1])
    write_summary(
        folder,
        seed=arguments.seed,
        task=arguments.task,
        robot=arguments.robot,
        method=arguments.correspondence,
        condition=arguments.condition,
        mode="in_process",
        latency_ms={
            name: percentiles_ms([one.seconds for one in located if one.correspondence == name])
            for name in dict.fromkeys(one.correspondence for one in located)
        },
        keypoints={task: len(reference.ids) for task, reference in references.items()},
        left_out=dict(left_out),
        groups=[{key: plain(value, DIGITS) for key, value in one.figures().items()} for one in groups],
    )
    console.print(f"  {folder}/summary.json, results.csv, <task>-<correspondence>.png")


def write_csv(path: Path, located: Sequence[Located]) -> None:
    """One line per scene and correspondence."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        heading = ["task", "condition", "kind", "seed", "correspondence", "keypoints", "accepted", "mean_px", "max_px"]
        writer.writerow([*heading, "wrong", "cpu_ms", "refused"])
        for one in located:
            errors = one.errors[one.kept]
            row: list[Any] = [one.task, one.condition, one.kind, one.seed, one.correspondence, int(one.shown.sum())]
            mean, most = (plain(_of(function, errors), DIGITS) for function in (np.mean, np.max))
            row += [len(errors), mean, most, int((errors > WRONG).sum())]
            writer.writerow([*row, round(1e3 * one.seconds, 2), one.reason])


def _kind_of(reason: str) -> str:
    """A reason without its numbers."""
    return re.sub(r"\d+(\.\d+)?", "#", reason)


def _of(function: Callable[[Float64], Any], values: Float64) -> float:
    return float(function(values)) if len(values) else math.nan

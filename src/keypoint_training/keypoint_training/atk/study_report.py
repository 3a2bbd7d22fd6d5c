"""What a study has shown: rows per cell and per pair of cells, as tables, files and sentences."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from keypoint_core.runs import write_summary
from keypoint_training.atk.cell import Result
from keypoint_training.atk.overlap import Overlap, overlap
from keypoint_training.atk.run import where
from keypoint_training.evaluation import GRADES

SEEDS, ALPHAS = "seeds", "alphas"
SHORT = dict(zip(("exact", "noisy", "heavy"), (grade.name for grade in GRADES), strict=True))
MIDDLE = SHORT["noisy"]  # the grade that summary.json counts
SHARES = ("share", "same_body", "possible", "chance", "chance_on_bodies")


@dataclass(frozen=True)
class Pair:
    """Two cells that differ in one thing.

    Attributes:
        between: SEEDS or ALPHAS, what they differ in.
        first, second: its values.
        at: the value of the other.
        overlap: of what they kept.
    """

    between: str
    first: float
    second: float
    at: float
    overlap: Overlap

    @property
    def words(self) -> str:
        """Such as 0 and 1, alpha 0.25."""
        return f"{self.first:g} and {self.second:g}, {'alpha' if self.between == SEEDS else 'seed'} {self.at:g}"

    @property
    def cells(self) -> tuple[str, str]:
        """Seed and alpha, one of which are two."""
        both = f"{self.first:g}, {self.second:g}"
        return (both, f"{self.at:g}") if self.between == SEEDS else (f"{self.at:g}", both)


@dataclass(frozen=True)
class Report:
    """Results and what follows from them.

    Attributes:
        results: of the cells that have any.
        regions: name of a part of the scene -> its bodies.
        radius: up to which kept points count as the same [px].
    """

    results: tuple[Result, ...]
    regions: Mapping[str, tuple[str, ...]]
    radius: float

    @cached_property
    def pairs(self) -> list[Pair]:
        """All pairs of cells with the same alpha, then all with the same seed."""
        pairs = []
        for a, b in combinations([result for result in self.results if result.selection is not None], 2):
            if a.alpha == b.alpha:
                pairs.append(Pair(SEEDS, a.seed, b.seed, a.alpha, self._overlap(a, b)))
            elif a.seed == b.seed:
                pairs.append(Pair(ALPHAS, a.alpha, b.alpha, a.seed, self._overlap(a, b)))
        return sorted(pairs, key=lambda pair: (pair.between != SEEDS, pair.at, pair.first, pair.second))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One per cell, for study.csv."""
        return [self._row(result) for result in self.results]

    def on(self, result: Result) -> dict[str, int]:
        """Region -> how many kept points are on it, most first."""
        if result.selection is None:
            return {}
        bodies = result.candidates.traits.bodies
        counts = where([bodies[i] for i in result.selection.kept], self.regions)
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def summary(self, between: str) -> dict[str, Any] | None:
        """Lowest, mean and highest share and the means of what it is compared with; None without a pair."""
        overlaps = [pair.overlap for pair in self.pairs if pair.between == between]
        if not overlaps:
            return None
        shares = [one.share for one in overlaps]
        means = {name: round(float(np.mean([getattr(one, name) for one in overlaps])), 3) for name in SHARES}
        return {"pairs": len(shares), "lowest": round(min(shares), 3), "highest": round(max(shares), 3), **means}

    def _overlap(self, a: Result, b: Result) -> Overlap:
        return overlap(a.points, b.points, self.radius)

    def _row(self, result: Result) -> dict[str, Any]:
        row: dict[str, Any] = {"seed": result.seed, "alpha": result.alpha}
        selection = result.selection
        if selection is None:
            return {**row, "collapsed": True}
        return {
            **row,
            "collapsed": False,
            "candidates": len(selection.probabilities),
            "kept": len(selection.kept),
            "on": _counts(self.on(result)),
            "full_loss": round(selection.full_loss, 6),
            "kept_loss": round(selection.kept_loss, 6),
            "within_margin": selection.within_margin,
            "alpha_at_the_end": round(selection.checks[-1].alpha, 4),
            **{name: grade["successes"] for name, grade in (result.figures or {}).items()},
            **{f"control_{name}": grade["successes"] for name, grade in (result.control or {}).items()},
            "trials": result.figures[MIDDLE]["trials"] if result.figures else None,
        }


def cell_words(result: Result, report: Report) -> list[str]:
    """A cell in a few lines."""
    selection, figures = result.selection, result.figures
    if selection is None:
        return ["the mask collapsed"]
    ratio, last = selection.kept_loss / selection.full_loss, selection.checks[-1].alpha
    words = [f"{len(selection.kept)} kept: {_counts(report.on(result))}"]
    words.append(f"held-out loss {ratio:.2f} of FullSet's; alpha at the end {last:.2g}")
    if figures is None:
        return [*words, "no student yet"]
    words.append(f"success: {_successes(figures)}")
    return words if result.control is None else [*words, f"random ones there: {_successes(result.control)}"]


def write_files(folder: Path, task: str, robot: str, report: Report) -> None:
    """study.csv, overlap.csv and summary.json; its trials are those of all cells under the middle grade of tracks."""
    rows = report.rows
    pairs = [{"radius_px": report.radius, **vars(pair), **asdict(pair.overlap)} for pair in report.pairs]
    for pair in pairs:
        del pair["overlap"]
    _write_csv(folder / "study.csv", rows)
    _write_csv(folder / "overlap.csv", pairs)
    judged = [result.figures[MIDDLE] for result in report.results if result.figures]
    write_summary(
        folder,
        task=task,
        robot=robot,
        method="atk",
        condition=MIDDLE,
        mode="in_process",
        trials=sum(grade["trials"] for grade in judged),
        successes=sum(grade["successes"] for grade in judged),
        cells=rows,
        radius_px=report.radius,
        overlap={between: report.summary(between) for between in (SEEDS, ALPHAS)},
        pairs=pairs,
    )


def tables(report: Report) -> list[Table | str]:
    """For people."""
    cells = Table("seed", "alpha", "kept", "where", "loss", "at last", *SHORT, "of")
    for row in report.rows:
        if row["collapsed"]:
            cells.add_row(str(row["seed"]), f"{row['alpha']:g}", "0", "collapsed")
            continue
        successes = [str(row.get(grade, "")) for grade in SHORT.values()]
        words = (str(row["seed"]), f"{row['alpha']:g}", str(row["kept"]), row["on"])
        figures = (f"{row['kept_loss'] / row['full_loss']:.2f}", f"{row['alpha_at_the_end']:.2g}")
        cells.add_row(*words, *figures, *successes, str(row["trials"] or ""))
    pairs = Table("seed", "alpha", "kept", "matched", "share", "body", "reach", "chance", "bodies")
    for pair in report.pairs:
        one = pair.overlap
        shares = [f"{getattr(one, name):.2f}" for name in SHARES]
        pairs.add_row(*pair.cells, f"{one.kept_first}, {one.kept_second}", str(one.matched), *shares)
    cells.caption = "loss: held out, in parts of FullSet's; at last: alpha"
    pairs.caption = "body: on the same one; reach: possible at best; random sets: anywhere, on the same bodies"
    return [cells, pairs, *sentences(report)]


def sentences(report: Report) -> list[str]:
    """What it comes to."""
    said = []
    for between in (SEEDS, ALPHAS):
        if (figures := report.summary(between)) is not None:
            said.append(
                f"two {between} share {figures['share']:.2f} of their points within {report.radius:g} px "
                f"({figures['lowest']:.2f} to {figures['highest']:.2f} over {figures['pairs']} pairs); random points "
                f"{figures['chance']:.2f}, random ones on the same bodies {figures['chance_on_bodies']:.2f}; "
                f"{figures['same_body']:.2f} are on the same body"
            )
    both = [result for result in report.results if result.figures and result.control]
    if both:
        kept, control = (
            [sum(getattr(one, who)[grade]["successes"] for one in both) for grade in SHORT.values()]
            for who in ("figures", "control")
        )
        trials = sum(one.figures[MIDDLE]["trials"] for one in both if one.figures)
        said.append(
            "success of the kept points / of as many random ones on the same bodies: "
            + ", ".join(f"{name} {a} / {b}" for name, a, b in zip(SHORT, kept, control, strict=True))
            + f" of {trials}"
        )
    return said


def _successes(figures: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{name} {figures[grade]['successes']}" for name, grade in SHORT.items())
    return f"{counts} of {figures[MIDDLE]['trials']}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names: Iterable[str] = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(names))
        writer.writeheader()
        writer.writerows(rows)

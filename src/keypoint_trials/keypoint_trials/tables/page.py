"""The tables as one HTML page that needs nothing else, and as CSV."""

from __future__ import annotations

import base64
import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from keypoint_trials.methods import method_named
from keypoint_trials.tables.cells import Score
from keypoint_trials.tables.layout import Layout
from keypoint_trials.tables.published import (
    CONDITIONS,
    CONFIDENCE,
    DISTANCE_PX,
    REAL,
    SIMULATION,
    TASKS,
    THEIR_NAMES,
)

Scores = Mapping[tuple[str, str, str], Score]  # task, method, condition

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f29; margin: 2.5em auto; max-width: 1500px; padding: 0 1.5em }
h1 { font-size: 1.5em; margin-bottom: .2em } h2 { font-size: 1.1em; margin: 2em 0 .5em }
p, figcaption { color: #6b7486; max-width: 62em }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th { font-weight: 600; padding: .3em .3em; text-align: center; font-size: .93em } tbody th { text-align: left; width: 9em; line-height: 1.25 }
td { padding: .3em .35em; text-align: center; border: 2px solid #fff; min-width: 3.9em }
td b { font-size: 1.05em } small { color: #4c5566; display: block; font-size: .78em; white-space: nowrap } td.none { color: #a4acba }
.first { border-left: .8em solid #fff } figure { display: inline-block; margin: 0 1em 1em 0 } img { width: 460px }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ words }}</p>
{% for table in tables %}
<h2>{{ table.heading }}</h2>
<div class="wide"><table><thead>
<tr><th></th>{% for task in tasks %}<th class="first" colspan="{{ table.columns|length }}">{{ task }}</th>{% endfor %}</tr>
<tr><th></th>{% for task in tasks %}{% for column in table.columns %}<th{% if loop.first %} class="first"{% endif %}>{{ column }}</th>
{%- endfor %}{% endfor %}</tr></thead><tbody>
{% for row in table.rows %}<tr><th>{{ row.title }}</th>
{% for cell in row.cells %}<td class="{{ cell.css }}" style="background: {{ cell.color }}" title="{{ cell.hint }}">
{%- if cell.ours %}<b>{{ cell.ours }}</b><small>{{ cell.detail }}</small>
{%- if cell.n %}<small>n = {{ cell.n }}</small>{% endif %}{% else %}&ndash;{% endif %}
{%- if cell.paper %}<small>paper {{ cell.paper }}</small>{% endif %}</td>
{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% if table.note %}<p>{{ table.note }}</p>{% endif %}
{% endfor %}
{% if pictures %}<h2>What was kept</h2>
{% for name, data in pictures %}<figure><img src="data:image/png;base64,{{ data }}" alt="{{ name }}"><figcaption>{{ name }}</figcaption>
</figure>{% endfor %}{% endif %}
</body></html>
"""


@dataclass(frozen=True)
class Transfer:
    """A task's line of Table 3.

    Attributes:
        scenes, refused: counts.
        score: mean of what was accepted.
        mean_px, p95_px: error of what was accepted.
    """

    scenes: int
    refused: int
    score: float
    mean_px: float
    p95_px: float


def write_page(
    path: Path,
    words: str,
    layouts: Sequence[Layout],
    tasks: Sequence[str],
    scores: Scores,
    transfer: Mapping[str, Transfer],
    pictures: Mapping[str, Path],
) -> None:
    """Writes the page.

    Args:
        path: of the file.
        words: how the figures came about.
        layouts: tables to show.
        tasks: names, in the order of the columns.
        scores: what was measured.
        transfer: Table 3; tasks without an entry were not measured.
        pictures: caption -> PNG that is shown below the tables.
    """
    tables = [_table(layout, tasks, scores) for layout in layouts]
    tables += [_transfer_table(tasks, transfer), _real_table(tasks)]
    shown = [(name, base64.b64encode(file.read_bytes()).decode()) for name, file in pictures.items()]
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(PAGE)
    path.write_text(
        template.render(
            title="The ATK paper's tables, with this stack's figures",
            words=words,
            tables=tables,
            tasks=[TASKS.get(task, task) for task in tasks],
            pictures=shown,
        )
    )


def write_csv(path: Path, layouts: Sequence[Layout], tasks: Sequence[str], scores: Scores) -> None:
    """Writes one line per cell, those not measured with no figures."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        names = ("table", "task", "method", "condition", "training_seeds", "trials", "successes", "rate")
        writer.writerow((*names, "wilson_low", "wilson_high", "std_between_seeds", "paper", "failures"))
        for layout in layouts:
            for task in tasks:
                for method in layout.methods:
                    for condition in layout.conditions:
                        line = _line(scores.get((task, method, condition)))
                        paper = published(SIMULATION, task, method, condition)
                        writer.writerow((layout.name, task, method, condition, *line[:-1], _blank(paper), line[-1]))


def published(table: Mapping[str, Mapping[str, Sequence[float]]], task: str, method: str, condition: str) -> float:
    """The paper's figure; NaN where it has none."""
    rates = table.get(task, {}).get(method)
    return float("nan") if rates is None or condition not in CONDITIONS else rates[list(CONDITIONS).index(condition)]


def rate_text(rate: float) -> str:
    """A success rate as tables print it; empty for NaN."""
    return "" if math.isnan(rate) else f"{rate:.2f}".lstrip("0") if rate < 1 else "1.00"


def _line(one: Score | None) -> tuple[Any, ...]:
    """The measured columns of the CSV."""
    if one is None or not sum(one.trials):
        return ("", 0, 0, "", "", "", "", "")
    low, high = one.interval
    failures = "; ".join(f"{count} {name}" for name, count in one.failures.items())
    numbers = (len(one.trials), sum(one.trials), sum(one.successes))
    return (*numbers, f"{one.rate:.4f}", f"{low:.4f}", f"{high:.4f}", _blank(one.spread), failures)


def _blank(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _table(layout: Layout, tasks: Sequence[str], scores: Scores) -> dict[str, Any]:
    rows = []
    for method in layout.methods:
        title = method_named(method).title
        theirs = THEIR_NAMES.get(method)
        cells = [
            _cell(
                scores.get((task, method, condition)),
                published(SIMULATION, task, method, condition),
                condition == next(iter(layout.conditions)),
            )
            for task in tasks
            for condition in layout.conditions
        ]
        rows.append({"title": f"{title} (theirs: {theirs})" if theirs else title, "cells": cells})
    return {"heading": layout.heading, "columns": list(layout.conditions.values()), "rows": rows, "note": ""}


def _cell(one: Score | None, paper: float, first: bool) -> dict[str, str]:
    css = "first" if first else ""
    if one is None or not sum(one.trials):
        return {
            "ours": "",
            "detail": "",
            "n": "",
            "paper": rate_text(paper),
            "color": "#f4f6f9",
            "css": f"{css} none",
            "hint": "not measured",
        }
    low, high = one.interval
    detail = f"{rate_text(low)} to {rate_text(high)}"
    hint = f"{sum(one.successes)} of {sum(one.trials)}; " + (
        ", ".join(f"{count} {name}" for name, count in one.failures.items()) or "no failures"
    )
    return {
        "ours": rate_text(one.rate),
        "detail": detail,
        "n": str(sum(one.trials)),
        "paper": rate_text(paper),
        "color": _tint(one.rate),
        "css": css,
        "hint": hint,
    }


def _transfer_table(tasks: Sequence[str], transfer: Mapping[str, Transfer]) -> dict[str, Any]:
    def cells(name: str, theirs: Mapping[str, float], digits: int) -> list[dict[str, str]]:
        made = []
        for task in tasks:
            one = transfer.get(task)
            ours = "" if one is None else f"{getattr(one, name):.{digits}f}"
            detail = "" if one is None else f"{one.scenes} scenes, {one.refused} refused"
            paper = f"{theirs[task]:.2f}" if task in theirs else ""
            css = "first" if one else "first none"
            made.append(
                {
                    "ours": ours,
                    "detail": detail,
                    "n": "",
                    "paper": paper,
                    "color": "#f4f6f9",
                    "css": css,
                    "hint": detail,
                }
            )
        return made

    rows = [
        {"title": "score", "cells": cells("score", CONFIDENCE, 2)},
        {"title": "mean distance [px]", "cells": cells("mean_px", DISTANCE_PX, 2)},
    ]
    note = (
        "Ours between the reference view and rendered scenes, accepted keypoints; theirs between simulation and reality. "
        "Their score is a cosine similarity, ours the probability of being less than 5 px off: not the same scale."
    )
    return {"heading": "Table 3: correspondence", "columns": [""], "rows": rows, "note": note}


def _real_table(tasks: Sequence[str]) -> dict[str, Any]:
    rows = []
    for method in ("rgb", "depth", "point_cloud", "atk"):
        cells = [
            _cell(None, published(REAL, task, method, condition), condition == next(iter(CONDITIONS)))
            for task in tasks
            for condition in CONDITIONS
        ]
        rows.append({"title": method_named(method).title, "cells": cells})
    note = "This stack was not run on a real robot yet."
    return {"heading": "Table 1: on the real robot", "columns": list(CONDITIONS.values()), "rows": rows, "note": note}


def _tint(rate: float) -> str:
    """Pale red to pale green."""
    low, high = (250, 222, 218), (208, 240, 220)
    return "#" + "".join(f"{round(a + (b - a) * rate):02x}" for a, b in zip(low, high, strict=True))

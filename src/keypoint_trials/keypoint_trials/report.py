"""Turns recorded trials into what a person looks at: a table, a picture and a video.

`python -m keypoint_trials.report FOLDER` makes `summary.png` and `trials.mp4` of a run anew from its bags.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from keypoint_core.runs import success_figures, write_summary
from keypoint_trials.bag import BagError
from keypoint_trials.console import make_console
from keypoint_trials.figure import HEADINGS, Trial, final_picture, row_of, write_figure
from keypoint_trials.latency import Latencies, measure, merge
from keypoint_trials.reader import read_trial
from keypoint_trials.records import TrialRecord, read_records
from keypoint_trials.video import write_video

STYLES = {"success": "green", "failure": "red", "stopped": "yellow", "canceled": "yellow", "error": "red"}


def load_trials(records: Sequence[TrialRecord]) -> list[Trial]:
    """Reads the trials' bags; those that were not recorded, or are damaged, have no figures and no picture."""
    return [_load(record) for record in records]


def _load(record: TrialRecord) -> Trial:
    try:
        bag = read_trial(record.folder)
    except BagError:
        return Trial(record, Latencies())
    return Trial(record, measure(bag.timings), final_picture(bag))


def console_table(trials: Sequence[Trial], title: str) -> Table:
    """The table that a command prints."""
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for column, heading in enumerate(HEADINGS):
        table.add_column(Text(heading), justify="right" if column > 2 else "left", no_wrap=column != 2, min_width=7)
    for trial in trials:
        cells: list[str | Text] = list(row_of(trial))
        cells[2] = Text(str(cells[2]), STYLES[trial.record.outcome])
        table.add_row(*cells)
    figures = success_figures(sum(trial.record.success for trial in trials), len(trials))
    low, high = figures["wilson_95"]
    table.caption = (
        f"{figures['successes']} of {figures['trials']} succeed, 95 % interval {low:.2f} to {high:.2f}\n"
        "latency: from exposure to the first command that derives from it"
    )
    table.caption_justify = "left"
    return table


def summarise(run: Path, trials: Sequence[Trial], **known: Any) -> dict[str, Any]:
    """Writes `summary.json` of a run and returns what it holds.

    Args:
        run: folder.
        trials: of the run.
        **known: further arguments of `keypoint_core.runs.write_summary`, such as seed, task, robot and method.
    """
    latencies = merge(trial.latencies for trial in trials)
    modes = {trial.record.mode for trial in trials}
    return write_summary(
        run,
        **{"mode": modes.pop() if len(modes) == 1 else None, **known},
        trials=len(trials),
        successes=sum(trial.record.success for trial in trials),
        latency_ms=latencies.table(),
        overhead_ms=latencies.overhead_ms(),
        per_trial=[_trial_figures(trial) for trial in trials],
    )


def _trial_figures(trial: Trial) -> dict[str, Any]:
    record = trial.record
    return {
        "trial": record.trial,
        "seed": record.seed,
        "pose": list(record.pose),
        "outcome": record.outcome,
        "error": record.error,
        "elapsed": round(record.elapsed, 3),
        "keypoints_visible": record.visible,
        "keypoints_total": record.total,
        "capture_to_applied_ms": trial.latencies.table().get("capture_to_applied", {}),
    }


def write_pictures(run: Path, title: str, trials: Sequence[Trial]) -> list[Path]:
    """Writes `summary.png` and `trials.mp4` into the run folder and returns those that came about."""
    figure, video = run / "summary.png", run / "trials.mp4"
    write_figure(figure, title, trials)
    frames = write_video(video, [trial.record for trial in trials if trial.picture is not None])
    return [figure, video] if frames else [figure]


def title_of(run: Path, records: Sequence[TrialRecord]) -> str:
    """A run's name for people: its folder, how time passed, and the condition."""
    parts = [run.resolve().name, records[0].mode.replace("_", " "), records[0].condition]
    return "   ".join(part for part in parts if part)


def main() -> None:
    """Makes the pictures of a run anew from its bags."""
    parser = argparse.ArgumentParser(
        prog="report", description="Makes table, picture and video of a run from its bags."
    )
    parser.add_argument("folder", type=Path, help="of the run, such as runs/latest")
    run = parser.parse_args().folder
    console = make_console()
    try:
        records = read_records(run)
    except BagError as error:
        console.print(f"[red]{error}")
        sys.exit(1)
    title = title_of(run, records)
    console.print(f"reading {len(records)} bags ...")
    trials = load_trials(records)
    console.print(console_table(trials, title))
    console.print("drawing picture and video ...")
    for path in write_pictures(run, title, trials):
        console.print(f"wrote {path}")


if __name__ == "__main__":
    main()

"""Puts what a checkpoint scored elsewhere on its card: the figures of an evaluation's summary.json.

    python -m keypoint_training.annotate models/clock_button/atk runs/20260101-120000-evaluate

Weights and reference view stay as they are; the figures state the command that gives them again.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from keypoint_core.checkpoint import Card, load_checkpoint, save_card
from keypoint_core.errors import InputError, KeypointError

KEPT = ("command", "git", "seed", "condition", "mode", "trials", "successes", "success_rate", "wilson_95")


def annotate(checkpoint: Path, run: Path) -> Card:
    """Adds metrics[<mode>_<condition>] to the card and returns it.

    Raises:
        CheckpointError: the checkpoint is damaged.
        InputError: the run has no summary, or is of another task.
    """
    card = load_checkpoint(checkpoint).card
    summary = _summary(run)
    if summary.get("task") != card.task:
        raise InputError(f"{run} evaluated the task '{summary.get('task')}', {checkpoint} is for '{card.task}'")
    figures = {key: summary[key] for key in KEPT if key in summary}
    name = f"{summary['mode']}_{summary['condition']}".replace("+", "_")
    return save_card(checkpoint, replace(card, metrics={**card.metrics, name: figures}))


def _summary(run: Path) -> dict[str, Any]:
    path = run / "summary.json"
    if not path.is_file():
        raise InputError(f"{run} has no summary.json; give the folder of a finished evaluation")
    summary: dict[str, Any] = json.loads(path.read_text())
    if not summary.get("trials"):
        raise InputError(f"{path} counts no trials; give the folder of a finished evaluation")
    return summary


def main() -> int:
    """Returns 0, or 2 on errors that a user can act on."""
    parser = argparse.ArgumentParser(description="Put an evaluation's figures on a checkpoint's card.")
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("run", type=Path, help="run folder of the evaluation")
    options = parser.parse_args()
    try:
        card = annotate(options.checkpoint, options.run)
    except KeypointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.checkpoint}: metrics {', '.join(card.metrics)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

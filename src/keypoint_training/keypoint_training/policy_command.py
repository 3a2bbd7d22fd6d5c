"""What the commands that train policies have in common: options, the words that make a run again, and its figures."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from keypoint_core.arms.description import robot_name
from keypoint_core.runs import write_summary

SCENES = 200  # to evaluate on, per grade of tracks


def policy_parser(description: str, default: Any, scenes: bool = True) -> argparse.ArgumentParser:
    """The options of every policy's training; `default` are its settings, `scenes` whether it evaluates unseen ones."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--task", default=default.task)
    parser.add_argument("--robot", type=robot_name, default=default.robot)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--workers", type=int, default=2, help="processes; the weights do not depend on it")
    if scenes:
        parser.add_argument(
            "--scenes", type=int, default=SCENES, help="unseen scenes to evaluate on, per grade of tracks"
        )
    parser.add_argument("--output", type=Path, help="checkpoint folder (default: the task's and robot's)")
    parser.add_argument("--resume", type=Path, help="run folder to go on with; its settings are used")
    return parser


def add_options(parser: argparse.ArgumentParser, default: Any, options: dict[str, str]) -> None:
    """One option for each of these settings: name -> help."""
    for name, words in options.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=words)


def changed_options(settings: Any, default: Any, names: Iterable[str]) -> list[str]:
    """The options among these names that differ from their defaults."""
    changed = [name for name in names if getattr(settings, name) != getattr(default, name)]
    return [f"--{name.replace('_', '-')} {getattr(settings, name)}" for name in changed]


def command_line(module: str, settings: Any, options: Iterable[str], scenes: int = SCENES) -> str:
    """The command that makes a run's weights and figures."""
    words = [f"python -m {module}", f"--task {settings.task}", f"--seed {settings.seed}", *options]
    return " ".join(words if scenes == SCENES else [*words, f"--scenes {scenes}"])


def write_figures(
    folder: Path, settings: Any, method: str, figures: dict[str, Any], checkpoint: Path, seconds: float, **more: Any
) -> None:
    """summary.json; its trials and successes are those of the middle grade of tracks."""
    noisy = figures["noisy_tracks"]
    write_summary(
        folder,
        seed=settings.seed,
        task=settings.task,
        robot=settings.robot,
        method=method,
        condition="noisy_tracks",
        mode="in_process",
        trials=noisy["trials"],
        successes=noisy["successes"],
        grades=figures,
        **more,
        checkpoint=str(checkpoint),
        wall_seconds=seconds,
    )


def figures_table(figures: dict[str, Any]) -> Table:
    """For people."""
    table = Table("tracks", "trials", "successes", "rate", "95 % interval", "failures")
    for name, grade in figures.items():
        low, high = grade["wilson_95"]
        failures = ", ".join(f"{count} {reason}" for reason, count in grade["failures"].items()) or "none"
        table.add_row(
            name.replace("_", " "),
            str(grade["trials"]),
            str(grade["successes"]),
            f"{grade['success_rate']:.3f}",
            f"{low:.3f} .. {high:.3f}",
            failures,
        )
    return table

"""What the commands that train have in common: the run folder, the log in it, and how they end."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from rich.console import Console, RenderableType

from keypoint_core.errors import KeypointError
from keypoint_core.runs import new_run_folder
from keypoint_training.run_folder import load_settings, save_settings

LOG_FILE = "train.log"  # in the run folder
T = TypeVar("T")


def open_run(method: str, kind: type[T], options: argparse.Namespace, names: Iterable[str]) -> tuple[Path, T]:
    """Run folder and settings, new or taken up again.

    Args:
        method: names a new run's folder.
        kind: dataclass of the settings; what the command line does not set has its defaults.
        options: of the command line; `resume` is the folder to go on with, or None.
        names: of the settings that the command line sets.

    Raises:
        InputError: the folder to go on with is no training run, or was written by another version.
    """
    if options.resume:
        return options.resume, load_settings(options.resume, kind)
    settings = kind(**{name: getattr(options, name) for name in names})
    folder = new_run_folder(method)
    save_settings(folder, settings)
    return folder, settings


def run_command(
    console: Console,
    prepare: Callable[[], tuple[Path, T]],
    work: Callable[[Path, T], Iterable[RenderableType]],
    log: tuple[logging.Logger, int],
    go_on: str,
) -> int:
    """Trains with a log in the run folder.

    Args:
        console: to print to.
        prepare: run folder and settings; see `open_run`.
        work: trains; returns what is printed at the end.
        log: the logger whose records go into the folder, and the level from which on they do.
        go_on: what takes a stopped run up again, in front of its folder.

    Returns:
        0, 2 on errors that a user can act on, 130 when stopped by Ctrl-C.
    """
    folder: Path | None = None
    try:
        folder, settings = prepare()
        _log_into(folder, *log)
        console.print(f"run folder: {folder}")
        results = work(folder, settings)
    except KeypointError as error:
        console.print(f"[red]error[/red] {error}", highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print(f"stopped; go on with: {go_on} {folder}", highlight=False)
        return 130
    for result in results:
        console.print(result, highlight=False)
    return 0


def _log_into(folder: Path, logger: logging.Logger, level: int) -> None:
    handler = logging.FileHandler(folder / LOG_FILE)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)

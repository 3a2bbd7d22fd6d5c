"""Run folders: every command that prints figures leaves them in `runs/<time>/summary.json`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from keypoint_core.statistics import wilson_interval


def runs_root() -> Path:
    """`$KEYPOINT_RUNS`, else `runs` in the current directory."""
    return Path(os.environ.get("KEYPOINT_RUNS", "runs"))


def new_run_folder(name: str, root: Path | None = None) -> Path:
    """Makes `<root>/<time>-<name>` and points `<root>/latest` at it."""
    root = root or runs_root()
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
    folder, count = root / stem, 1
    while folder.exists():
        folder, count = root / f"{stem}-{count}", count + 1
    folder.mkdir(parents=True)
    link, fresh = root / "latest", root / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    os.replace(fresh, link)
    return folder


def command_line() -> str:
    """What this program was started by, for a person to repeat: without the folders of this machine."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"python -m {spec.name}" if spec else f"python {Path(sys.argv[0]).name}"
    return shlex.join([*program.split(), *sys.argv[1:]])


def git_revision() -> str:
    """Commit of the working tree, "+changes" behind it when it is dirty; "unknown" outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+changes", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def success_figures(successes: int, trials: int) -> dict[str, Any]:
    """The keys trials, successes, success_rate and wilson_95 of a summary."""
    low, high = wilson_interval(successes, trials)
    rate = successes / trials if trials else None
    return {
        "trials": trials,
        "successes": successes,
        "success_rate": rate,
        "wilson_95": [round(low, 4), round(high, 4)],
    }


def write_summary(
    folder: Path,
    *,
    seed: int | None = None,
    task: str | None = None,
    robot: str | None = None,
    method: str | None = None,
    condition: str | None = None,
    mode: str | None = None,
    trials: int = 0,
    successes: int = 0,
    latency_ms: dict[str, dict[str, float]] | None = None,
    **measured: Any,
) -> dict[str, Any]:
    """Writes `summary.json` into the run folder and returns what it holds.

    Args:
        folder: of the run.
        seed, task, robot, method, condition: what was run; None where it does not apply.
        mode: "lockstep", "real_time" or "in_process".
        trials, successes: counts; the rate and its Wilson interval are derived.
        latency_ms: stage -> {"p50", "p95", "p99"}.
        **measured: whatever else the command measured, JSON-serialisable.
    """
    summary = {
        "command": command_line(),
        "git": git_revision(),
        "seed": seed,
        "task": task,
        "robot": robot,
        "method": method,
        "condition": condition,
        "mode": mode,
        **success_figures(successes, trials),
        "latency_ms": latency_ms or {},
        **measured,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary

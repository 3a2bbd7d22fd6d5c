import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypoint_core.runs import git_revision, new_run_folder, success_figures, write_summary
from keypoint_core.statistics import percentiles_ms, wilson_interval

KEYS = {
    "command",
    "git",
    "seed",
    "task",
    "robot",
    "method",
    "condition",
    "mode",
    "trials",
    "successes",
    "success_rate",
    "wilson_95",
    "latency_ms",
}


def test_every_run_has_a_folder_of_its_own_and_latest_is_the_newest(tmp_path: Path) -> None:
    folders = [new_run_folder("demo", tmp_path / "runs") for _ in range(3)]
    assert len(set(folders)) == 3 and all(folder.is_dir() for folder in folders)
    assert (tmp_path / "runs" / "latest").resolve() == folders[-1].resolve()
    assert not [path for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")]


def test_the_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "elsewhere"))
    assert new_run_folder("x").parent == tmp_path / "elsewhere"


def test_latest_can_be_moved_with_the_runs(tmp_path: Path) -> None:
    folder = new_run_folder("x", tmp_path / "runs")
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "latest").resolve() == (tmp_path / "moved" / folder.name).resolve()


def test_a_summary_has_all_keys_and_what_else_was_measured(tmp_path: Path) -> None:
    summary = write_summary(tmp_path, seed=3, task="t", mode="lockstep", trials=10, successes=9, frames=[1, 2])
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert KEYS | {"frames"} == set(summary)
    assert summary["success_rate"] == 0.9 and summary["wilson_95"] == [0.5958, 0.9821]


def test_no_trials_are_no_rate() -> None:
    assert success_figures(0, 0) == {"trials": 0, "successes": 0, "success_rate": None, "wilson_95": [0.0, 1.0]}


def test_git_is_unknown_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision() == "unknown"


@given(trials=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_bounds_are_the_roots_of_its_equation(trials: int, share: float) -> None:
    successes, z = round(share * trials), 1.959964
    rate, (low, high) = successes / trials, wilson_interval(successes, trials)
    assert 0 <= low <= rate + 1e-12 and rate - 1e-12 <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            assert abs(rate - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / trials), abs=1e-6)


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles_ms([i / 1000 for i in range(101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles_ms([]) == {}

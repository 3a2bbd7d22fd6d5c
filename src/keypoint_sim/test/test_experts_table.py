import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from keypoint_sim import experts_table
from keypoint_sim.experts_table import Cell, Job, Stage, Trial, gather, read_trials, write_trials
from keypoint_sim.tasks.base import Outcome, TaskStatus


def trial(seed: int, success: bool = True, reason: str = "", task: str = "clock_button") -> Trial:
    return Trial(task, "franka", "rp", seed, success, reason, 2.0 + seed / 10)


def test_the_module_of_the_experts_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "keypoint_sim.experts", "--task", "clock_button", "--robot", "hebi", "--n", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KEYPOINT_RUNS": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "clock_button" in done.stdout and "2/2" in done.stdout and "0.342 .. 1.000" in done.stdout
    summary = json.loads((tmp_path / "latest" / "summary.json").read_text())
    assert (summary["trials"], summary["successes"], summary["condition"]) == (2, 2, "rp")
    assert summary["robot"] == "hebi_chopsticks" and summary["cells"][0]["passed"]


def test_a_cell_below_the_bar_fails_the_command(
    run_command: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = TaskStatus(Outcome.FAILURE, "time limit", 12.0)
    monkeypatch.setattr(experts_table, "play", lambda world, expert: late)
    assert run_command(experts_table, "--robot", "franka", "--n", "3") == 1
    assert "0/3" in (shown := capsys.readouterr().out) and "3 x time limit" in shown
    cell = json.loads((tmp_path / "latest" / "summary.json").read_text())["cells"][0]
    assert cell["failures"] == {"time limit": 3} and cell["failed_seeds"] == [0, 1, 2] and not cell["passed"]


def test_resuming_plays_only_what_is_missing(
    run_command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []
    monkeypatch.setattr(
        Stage, "play", lambda self, job: played.append(job.seed) or Trial(*vars(job).values(), True, "", 3.0)
    )
    assert run_command(experts_table, "--robot", "franka", "--n", "2") == 0
    first = (tmp_path / "latest").resolve()
    assert run_command(experts_table, "--robot", "franka", "--n", "4", "--resume", str(first)) == 0
    assert played == [0, 1, 2, 3]
    assert json.loads((first / "summary.json").read_text())["trials"] == 4
    assert [row["seed"] for row in csv.DictReader((first / "trials.csv").open())] == ["0", "1", "2", "3"]


def test_a_killed_run_leaves_what_it_had(tmp_path: Path) -> None:
    def killed():
        yield trial(0)
        yield trial(1, False, "clock pushed away, and more")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_trials(tmp_path / "trials.csv", [], killed())
    with (tmp_path / "trials.csv").open("a") as file:
        file.write("clock_button,franka,rp,2,Tr")
    assert read_trials(tmp_path / "trials.csv") == [trial(0), trial(1, False, "clock pushed away, and more")]


def test_the_bar_is_99_of_100() -> None:
    few = Cell("clock_button", "franka", tuple(trial(seed, seed > 1) for seed in range(200)))
    many = Cell("clock_button", "franka", tuple(trial(seed, seed > 2) for seed in range(200)))
    assert few.passed and not many.passed
    assert few.figures()["median_s"] == pytest.approx(12.05) and few.figures()["slowest_s"] == 21.9


def test_cells_hold_only_what_was_asked_for() -> None:
    wanted = [Job("clock_button", "franka", "rp", seed) for seed in (1, 2)]
    (cell,) = gather(wanted, [trial(0), trial(2), trial(1), trial(1, task="clock_hand")])
    assert (cell.task, cell.robot, [t.seed for t in cell.trials]) == ("clock_button", "franka", [1, 2])


def test_what_the_world_refuses_is_a_failure_with_its_reason() -> None:
    refused = Stage().play(Job("clock_button", "franka", "fog", 0))
    assert not refused.success and refused.reason.startswith("error: unknown condition 'fog'; known: ")


def test_an_unknown_name_ends_the_command_before_anything_is_played(
    check_refused: Callable[..., None], unknown_name: tuple[tuple[str, ...], str]
) -> None:
    check_refused(experts_table, *unknown_name)


def test_a_run_to_resume_must_exist(check_refused: Callable[..., None]) -> None:
    check_refused(experts_table, ("--resume", "nowhere"), "nowhere/trials.csv does not exist")

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from keypoint_sim import bench
from keypoint_sim.gym.keypoints import spread_keypoints
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World


def test_replayed_commands_lead_through_the_task_and_to_its_success(world: World) -> None:
    """So that the contacts of the task are in the figure."""
    commands = bench.record(world, 3, "rp")
    recorded = world.data.qpos.copy()
    points = world.attach(spread_keypoints(world, bench.POINTS))
    assert len(points) == 200
    world.reset(3)
    bench.replay(world, commands, points)
    assert world.status().outcome == Outcome.SUCCESS
    np.testing.assert_array_equal(world.data.qpos, recorded)


def test_tracks_are_asked_for_at_every_exposure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = bench.record(world, 3, "rp")
    points = world.attach(spread_keypoints(world, 10))
    world.reset(3)
    asked = []
    monkeypatch.setattr(world, "tracks", lambda points: asked.append(world.stamp))
    bench.replay(world, commands, points)
    assert len(asked) == -(-len(commands) * 15 // 100)


def test_prints_both_figures_beside_their_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path))
    options = ["--task", "clock_button", "--robot", "hebi", "--scenes", "1", "--pictures", "3"]
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    assert bench.main() == 0
    shown = capsys.readouterr().out
    assert "clock_button" in shown and "200 points" in shown and ">= 50" in shown and ">= 25" in shown
    summary = json.loads((tmp_path / "latest" / "summary.json").read_text())
    (speed,) = summary["speeds"]
    assert speed["physics"] > 5 and speed["pictures"] > 2 and speed["simulated"] > 2


def test_a_missed_bar_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    slow = bench.Speed("clock_button", "franka", 10.0, 49.9, 60.0, 25.0, 30.0, {})
    bench.Console(width=bench.WIDTH).print(bench.make_table([slow], "rp"))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "franka" in line]
    assert [cell.strip() for cell in row.split("│")[3:9]] == ["49.9", "missed", "60.0", "25.0", "met", "30.0"]


def test_unknown_names_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--task", "chess"])
    assert bench.main() == 2 and "unknown task 'chess'; known: " in capsys.readouterr().out

import json
import sys

import cv2
import numpy as np
import pytest
from rich.console import Console

from keypoint_trials import report
from keypoint_trials.bag import BagError
from keypoint_trials.records import TrialRecord, read_records, write_record


@pytest.fixture
def run(tmp_path, record_trial):
    """A run of two recorded trials and one that could not be recorded."""
    for index, outcome in enumerate(("success", "failure")):
        folder = record_trial(tmp_path, f"trial-{index:02d}", frames=6)
        pose = (0.3 + 0.1 * index, 0.05, -0.4)
        error = "" if outcome == "success" else "time is up"
        write_record(TrialRecord(folder.name, outcome, folder, pose, error, 2.5, 4, 5, "lockstep", "rp", index))
    write_record(TrialRecord("trial-02", "error", tmp_path / "trial-02", error="no frames came", mode="lockstep"))
    return tmp_path


def test_records_come_back(run):
    records = read_records(run)
    assert [record.trial for record in records] == ["trial-00", "trial-01", "trial-02"]
    assert records[1] == TrialRecord(
        "trial-01", "failure", run / "trial-01", (0.4, 0.05, -0.4), "time is up", 2.5, 4, 5, "lockstep", "rp", 1
    )


def test_command_makes_picture_and_video_anew(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", str(run)])
    report.main()
    assert "1 of 3 succeed" in capsys.readouterr().out
    picture = cv2.imread(str(run / "summary.png"))
    assert picture.shape[1] == 1430 and np.ptp(picture) > 200
    assert (run / "trials.mp4").stat().st_size > 1000


def test_command_says_where_runs_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        report.main()
    assert ended.value.code == 1 and "runs/latest" in capsys.readouterr().out
    with pytest.raises(BagError):
        read_records(tmp_path)


def test_summary_has_the_figures(run):
    trials = report.load_trials(read_records(run))
    report.summarise(run, trials, seed=3, task="clock_button")
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["trials"], summary["successes"], summary["mode"], summary["seed"]) == (3, 1, "lockstep", 3)
    assert summary["latency_ms"]["capture_to_applied"]["p50"] == pytest.approx(11.1)
    assert summary["overhead_ms"] == pytest.approx(3.0)
    assert summary["per_trial"][2]["capture_to_applied_ms"] == {}


def test_table_has_a_row_for_each_trial(run):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(report.console_table(report.load_trials(read_records(run)), "a run"))
    text = console.export_text()
    assert "+0.30 +0.05 -23°" in text and "11.1 / 11.1" in text and "error: no frames came" in text

"""The study of ATK's choice: which cells are compared, what is shared between cells, and what a stopped study runs again."""

import csv
import json

import cv2
import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_training.atk import run as run_module
from keypoint_training.atk.cell import Result
from keypoint_training.atk.run import AtkRun, Candidates
from keypoint_training.atk.selection import Check, CollapsedMaskError, Selection
from keypoint_training.atk.settings import AtkSettings, SelectionSettings
from keypoint_training.atk.study import StudySettings, main, parse
from keypoint_training.atk.study_report import ALPHAS, SEEDS, Report, sentences
from keypoint_training.run_folder import load_settings, save_settings
from keypoint_training.tracks import Traits

TINY = [
    *("--demonstrations", "3", "--rounds", "0", "--student-rounds", "0"),
    *("--round-steps", "10", "--final-steps", "10", "--candidates", "24", "--tracker-scenes", "0", "--scenes", "1"),
    *("--workers", "0"),
]
FIGURES = {
    name: {"successes": count, "trials": 10}
    for name, count in (("exact_tracks", 9), ("noisy_tracks", 8), ("heavy_noise_latency_100ms", 7))
}


def result(seed, alpha, kept, figures=None):
    pixels = np.stack([np.arange(6) * 50.0, np.zeros(6)], axis=1).astype(np.float32)
    chosen = Selection(np.zeros(6), np.array(kept), 0.2, 0.21, 0.1, (Check(0, 0.5, 0.2, 0.2, 3.0, 4),))
    return Result(seed, alpha, Candidates(pixels, Traits(tuple("cccccw"))), chosen if kept else None, figures)


def test_cells_are_compared_that_differ_in_one_thing():
    cells = (result(0, 0.1, [0, 1, 2, 3]), result(1, 0.1, [2, 3, 4, 5], FIGURES), result(0, 1.0, [0, 1, 2, 4]))
    report = Report((*cells, result(1, 1.0, [])), {"clock": ("c",)}, 10.0)
    assert [(pair.between, pair.first, pair.second, pair.at) for pair in report.pairs] == [
        (SEEDS, 0, 1, 0.1),
        (ALPHAS, 0.1, 1.0, 0),
    ]
    assert report.summary(SEEDS)["share"] == 0.5 and report.summary(ALPHAS)["share"] == 0.75
    assert "two seeds share 0.50 of their points within 10 px" in sentences(report)[0]
    assert report.rows[1]["on"] == "3 clock, 1 other" and report.rows[1]["noisy_tracks"] == 8
    assert report.rows[3] == {"seed": 1, "alpha": 1.0, "collapsed": True}


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the selection; the list holds whom it was asked for. It collapses from alpha .8 on."""
    calls = []

    def select(data, shape, places, train, settings, *rest):
        calls.append((train.seed, settings.alpha))
        if settings.alpha >= 0.8:
            raise CollapsedMaskError("the mask collapsed")
        kept = np.arange(5) + train.seed
        check = Check(0, settings.alpha, 0.2, 0.2, 5.0, 5)
        return Selection(np.isin(np.arange(24), kept).astype(float), kept, 0.2, 0.21, 0.1, (check,))

    monkeypatch.setattr(run_module, "select", select)
    return calls


def test_a_study_that_was_stopped_goes_on_and_shares_what_a_seed_gathered(tmp_path, monkeypatch, capsys, asked):
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path))
    gathered, evaluated = [], []
    monkeypatch.setattr(run_module.Dagger, "_gather", counted(run_module.Dagger._gather, gathered))
    monkeypatch.setattr(AtkRun, "evaluate", counted(lambda *_: FIGURES, evaluated, stop_at=2))

    assert main(["--seeds", "0,1", "--alphas", "0.25,0.8", *TINY]) == 130, "stopped while the second is evaluated"
    folder = (tmp_path / "latest").resolve()
    assert f"keypoint_training.atk.study --resume {folder}" in "".join(capsys.readouterr().out.split("\n"))
    assert main(["--resume", str(folder), "--workers", "0"]) == 0, capsys.readouterr().out
    assert asked == [(0, 0.25), (1, 0.25), (0, 0.8), (1, 0.8)], "no mask is learnt again"
    assert len(gathered) == 2, "once per seed"
    assert len(evaluated) == 4 + 1, "students and controls of what did not collapse; the one that was stopped, again"

    with (folder / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["alpha"], row["kept"], row["collapsed"]) for row in rows] == [
        ("0", "0.25", "5", "False"),
        ("1", "0.25", "5", "False"),
        ("0", "0.8", "", "True"),
        ("1", "0.8", "", "True"),
    ]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["trials"] == 20 and len(summary["cells"]) == 4 and summary["overlap"]["seeds"]["pairs"] == 1
    pair = summary["pairs"][0]
    assert (pair["first"], pair["second"], pair["kept_first"], pair["kept_second"]) == (0, 1, 5, 5)
    assert summary["overlap"]["alphas"] is None and "control_noisy_tracks" in summary["cells"][0]
    assert cv2.imread(str(folder / "study.png")).shape[1] > 800
    assert "two seeds share" in " ".join(capsys.readouterr().out.split())

    counts = (len(asked), len(gathered), len(evaluated))
    assert main(["--resume", str(folder), "--workers", "0", "--radius", "3"]) == 0
    assert (len(asked), len(gathered), len(evaluated)) == counts, "nothing is run again"
    assert json.loads((folder / "summary.json").read_text())["radius_px"] == 3


def counted(method, calls, stop_at=0):
    """The method, which notes its calls; at one of them Ctrl-C is pressed."""

    def wrapper(*arguments):
        calls.append(arguments)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return method(*arguments)

    return wrapper


def test_settings_say_what_they_want_and_survive_their_file(tmp_path):
    for wrong, words in (
        ({"alphas": ()}, "alphas must be"),
        ({"seeds": (1, 1)}, "seeds must be one or more different"),
        ({"alphas": (0.0,)}, "alpha > 0"),
        ({"seeds": (-1,)}, "seed >= 0"),
    ):
        with pytest.raises(InputError, match=words):
            StudySettings(**wrong)
    settings = StudySettings((0.5,), (3, 4), 7, AtkSettings(candidates=50, selection=SelectionSettings(margin=0.2)))
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path, StudySettings) == settings
    assert StudySettings((1.0, 2.0, 3.0), (5, 6)).parts == [
        [(5, 1.0), (6, 1.0)],
        [(5, 2.0), (5, 3.0)],
        [(6, 2.0), (6, 3.0)],
    ]
    cell = settings.of(4, 0.5)
    assert (cell.seed, cell.selection.alpha, cell.selection.margin, cell.candidates) == (4, 0.5, 0.2, 50)


def test_the_command_reads_lists_of_numbers(capsys):
    options = parse(["--alphas", "0.08,0.8", "--seeds", "5"])
    assert options.alphas == (0.08, 0.8) and options.seeds == (5,)
    with pytest.raises(SystemExit):
        parse(["--seeds", "a"])
    assert "--seeds: invalid numbers value: 'a'" in capsys.readouterr().err

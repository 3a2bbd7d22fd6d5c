"""The paper's tables: what is run, what is kept, and what is shown of it."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from keypoint_core.errors import UnknownNameError
from keypoint_core.statistics import wilson_interval
from keypoint_trials.evaluate import EpisodeResult
from keypoint_trials.methods import METHODS
from keypoint_trials.parallel import Workers
from keypoint_trials.quality.located import Located
from keypoint_trials.tables import cells, fill
from keypoint_trials.tables.cells import Book, Cell, score
from keypoint_trials.tables.figure import write_figure
from keypoint_trials.tables.layout import known_methods, layouts
from keypoint_trials.tables.page import Transfer, published, rate_text, write_csv, write_page
from keypoint_trials.tables.published import CONDITIONS, REAL, SIMULATION, TASKS

CELL = Cell("clock_button", "atk", "light", 0, "hebi_chopsticks")


def episode(seed, success=True, reason="done"):
    return EpisodeResult(seed, success, reason, 5.0, (0.1, 0.2, 0.3), 8, 7, 8, 75, 0.05)


@pytest.fixture
def version(monkeypatch):
    """The checkpoint's fingerprint, which a test may change."""
    now = ["aaaaaaaa"]
    monkeypatch.setattr(cells, "fingerprint", lambda name: now[0])
    return now


class TestBook:
    def test_gives_back_what_was_written_down(self, tmp_path, version):
        book = Book(tmp_path)
        book.add(CELL, episode(3))
        book.add(CELL, episode(1, False, "time limit"))
        assert Book(tmp_path).load(CELL) == {3: episode(3), 1: episode(1, False, "time limit")}
        assert book.load(replace(CELL, condition="rp")) == {} == book.load(replace(CELL, training_seed=1))

    def test_a_line_that_a_crash_cut_off_is_run_again(self, tmp_path, version):
        book = Book(tmp_path)
        book.add(CELL, episode(1))
        with book.path(CELL).open("a") as file:
            file.write('{"seed": 2, "succ')
        assert list(book.load(CELL)) == [1]
        book.add(CELL, episode(2))
        assert list(book.load(CELL)) == [1, 2]

    def test_a_checkpoint_trained_anew_begins_anew(self, tmp_path, version):
        book = Book(tmp_path)
        book.add(CELL, episode(1))
        version[0] = "bbbbbbbb"
        assert book.load(CELL) == {}
        version[0] = "aaaaaaaa"
        assert list(book.load(CELL)) == [1]

    def test_what_is_shipped_counts_and_is_not_written_to(self, tmp_path, version):
        shipped, own = tmp_path / "shipped", tmp_path / "own"
        Book(shipped).add(CELL, episode(1))
        Book(shipped).add(CELL, episode(2, False, "time limit"))
        before = Book(shipped).path(CELL).read_text()
        book = Book(own, shipped)
        book.add(CELL, episode(2))
        assert book.load(CELL) == {1: episode(1), 2: episode(2)}
        assert Book(shipped).path(CELL).read_text() == before

    def test_says_which_sources_ran_an_episode(self, tmp_path, version, monkeypatch):
        monkeypatch.setattr(cells, "git_revision", lambda: "abcdef123456")
        book = Book(tmp_path)
        book.add(CELL, episode(1))
        assert json.loads(book.path(CELL).read_text())["git"] == "abcdef123456"

    def test_runs_only_what_is_missing_and_in_order(self, tmp_path, version, monkeypatch):
        asked = []

        def in_order(work, jobs, workers):
            for request, seed in jobs:
                asked.append((request.condition, seed))
                yield episode(seed)

        monkeypatch.setattr(fill, "in_order", in_order)
        book, other = Book(tmp_path), replace(CELL, condition="rp")
        book.add(CELL, episode(1))
        fill.run_missing([CELL, other], [0, 1], book, fill.Workers(1), fill.make_console())
        assert asked == [("light", 0), ("rp", 0), ("rp", 1)]
        assert sorted(book.load(CELL)) == [0, 1] == sorted(book.load(other))


def test_the_fingerprint_tells_checkpoints_apart():
    assert cells.fingerprint("clock_button/atk") == cells.fingerprint("clock_button/atk")
    assert cells.fingerprint("clock_button/atk") != cells.fingerprint("clock_button/atk_franka")


def test_a_score_by_hand():
    seeds = [[episode(0), episode(1, False, "time limit: 20 s")], [episode(0), episode(1)]]
    one = score("clock_button", "atk", "rp", seeds)
    assert (one.trials, one.successes, one.rate) == ((2, 2), (1, 2), 0.75)
    assert one.interval == wilson_interval(3, 4) and one.spread == pytest.approx(0.25)
    assert one.failures == {"time limit": 1}
    assert math.isnan(score("a", "b", "rp", [[]]).rate) and math.isnan(score("a", "b", "rp", [[episode(0)]]).spread)


class TestPlan:
    def test_every_cell_once(self):
        shown = layouts(("atk", "full_set", "frozen_first_frame"), ("rp", "light", "rp+nudge"))
        assert [layout.number for layout in shown] == [2, 4, 0]
        planned = fill.plan(("clock_button",), shown, (0, 1), "hebi_chopsticks")
        names = [(cell.method, cell.condition) for cell in planned if cell.training_seed == 0]
        assert sorted(names) == [
            ("atk", "light"),
            ("atk", "rp"),
            ("atk", "rp+nudge"),
            ("frozen_first_frame", "rp+nudge"),
            ("full_set", "light"),
            ("full_set", "rp"),
        ]
        assert len(planned) == 12

    def test_names_what_it_knows(self):
        assert fill.chosen("ATK, full_set", known_methods(), "method") == ["atk", "full_set"]
        with pytest.raises(UnknownNameError, match=r"unknown method 'gpt'; known: .*full_set"):
            fill.chosen("atk,gpt", known_methods(), "method")

    def test_every_row_is_a_method(self):
        assert set(known_methods()) <= {method.name for method in METHODS}

    def test_the_controls_deploy_the_checkpoint_of_atk(self):
        assert replace(CELL, method="frozen_first_frame").request().checkpoint == "clock_button/atk"
        assert replace(CELL, method="exact_tracks", training_seed=2).request().checkpoint == "clock_button/atk_seed2"


def test_the_paper_s_figures_are_whole():
    for table in (REAL, SIMULATION):
        assert list(table) == list(TASKS)
        assert all(len(rates) == len(CONDITIONS) for rows in table.values() for rates in rows.values())
        assert all(0 <= rate <= 1 for rows in table.values() for rates in rows.values() for rate in rates)
    assert published(SIMULATION, "glass_lid_lift", "full_set", "rb") == 0.069
    assert math.isnan(published(SIMULATION, "clock_button", "atk", "rp+nudge"))


@pytest.mark.parametrize(
    ("rate", "text"), [(0.0, ".00"), (0.974, ".97"), (0.999, "1.00"), (1.0, "1.00"), (math.nan, "")]
)
def test_rates_as_printed(rate, text):
    assert rate_text(rate) == text


@pytest.fixture
def scores():
    many = [episode(seed, seed > 0, "not located: <too dark>") for seed in range(20)]
    return {("clock_button", "atk", "light"): score("clock_button", "atk", "light", [many])}


def test_page_and_csv_say_what_was_measured(tmp_path, scores):
    shown, tasks = layouts(("atk", "full_set"), ("rp", "light")), ["clock_button", "clock_hand"]
    transfer = {"clock_button": Transfer(50, 2, 0.93, 0.71, 2.0)}
    write_page(tmp_path / "tables.html", "words & more", shown, tasks, scores, transfer, {})
    text = (tmp_path / "tables.html").read_text()
    assert (
        "<b>.95</b><small>.76 to .99</small><small>n = 20</small>" in text
        and "paper .97" in text
        and "words &amp; more" in text
    )
    assert "<b>0.71</b>" in text and "paper 2.79" in text and "1 not located" in text and "<too dark>" not in text
    write_csv(tmp_path / "tables.csv", shown, tasks, scores)
    with (tmp_path / "tables.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 2 * (1 + 2)  # tasks x conditions x methods of Tables 2 and 4
    measured = [line for line in lines if line["rate"]]
    assert [line["table"] for line in measured] == ["table_2", "table_4"]
    assert measured[0] | {"trials": "20", "successes": "19", "rate": "0.9500", "paper": "0.970"} == measured[0]
    assert measured[0]["failures"] == "1 not located"


def test_picture(tmp_path, scores):
    write_figure(tmp_path / "tables.png", "words", layouts(("atk",), ("light",)), ["clock_button"], scores)
    assert (tmp_path / "tables.png").read_bytes().startswith(b"\x89PNG")


def test_without_running_shows_what_there_is(tmp_path, version, monkeypatch):
    def never(*_):
        raise AssertionError("something was run")

    monkeypatch.setattr(fill, "in_order", never)
    monkeypatch.setattr(fill, "measure_transfer", lambda jobs, *_: {} if not jobs else never())
    monkeypatch.setattr(fill, "fingerprint", lambda name: "aaaaaaaa")
    monkeypatch.setattr(fill, "trained", lambda cell: cell.task == "clock_button")
    cell = replace(CELL, condition="rp")
    for seed in range(3):
        Book(tmp_path).add(cell, episode(seed, seed > 0, "time limit"))
    options = ["--task", "clock_button", "--method", "atk", "--condition", "rp", "--training-seed", "0", "--no-run"]
    monkeypatch.setattr(fill.sys, "argv", ["fill", *options, "--folder", str(tmp_path)])
    fill.main()
    assert json.loads((tmp_path / "summary.json").read_text())["cells"] == {"clock_button/atk/rp": [2, 3]}


def test_a_refused_scene_counts_in_the_table_of_correspondences(monkeypatch):
    truth, seen = np.zeros((2, 2)), np.ones(2, dtype=bool)
    found = Located(
        "sushi_pick_place", "light", "plain", 0, "descriptors", truth, seen, seen, truth + 3.0,
        np.array([0.9, 0.7]), np.array([True, False]), "", 1.0, (0, 0),
    )  # fmt: skip
    nothing = {"pixels": np.empty((0, 2)), "score": np.empty(0), "accepted": np.empty(0, dtype=bool)}
    refused = replace(found, seed=1, reason="located 1 of 2 keypoints", **nothing)
    monkeypatch.setattr(fill, "in_order", lambda *_: iter([[found], [refused]]))
    line = fill.measure_transfer([], Workers(1), Console())["sushi_pick_place"]
    assert (line.scenes, line.refused) == (2, 1) and line.score == 0.9

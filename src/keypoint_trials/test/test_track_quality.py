import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from keypoint_core.errors import TrackingError
from keypoint_core.tracking import TRACKERS
from keypoint_core.types import SECOND, Frame, Intrinsics, Keypoints, KeypointStatus
from keypoint_trials.quality import track_quality
from keypoint_trials.quality.episodes import Episode, EpisodeRequest, Truth
from keypoint_trials.quality.record import Studio
from keypoint_trials.quality.runner import WARM_UP, follow, from_json, measure, to_json
from keypoint_trials.quality.track_report import ALL, BARS, group, make_table

INTRINSICS = Intrinsics(64, 48, 50, 50, 32, 24)
FRAMES, POINTS = 40, 3


def make_episode(task="clock_button", condition="rp", seed=0):
    """Three points that drift to the right; the last is hidden for 26 frames (1.7 s)."""
    pixels = np.array([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]) + np.arange(FRAMES)[:, None, None] * [0.5, 0.0]
    visible = np.ones((FRAMES, POINTS), bool)
    visible[4:30, 2] = False
    stamps = np.arange(FRAMES, dtype=np.int64) * SECOND // 15
    places, poses = np.ones((FRAMES, POINTS, 3)), np.broadcast_to(np.eye(4), (FRAMES, 4, 4))
    truth = Truth(
        stamps, pixels, visible, places, poses, np.array(["a"] * POINTS), np.zeros(POINTS, np.int32), np.ones((3, 2))
    )
    return Episode(Path("nowhere"), EpisodeRequest(task, condition, seed), INTRINSICS, "success", truth)


def frames(episode):
    picture = np.zeros((48, 64, 3), np.uint8)
    return [Frame(int(stamp), picture, None, INTRINSICS) for stamp in episode.stamps]


class Scripted:
    """Says what the truth is, in the reverse order of the points; may err."""

    def __init__(self, episode, confidence=1.0, fails=(), wrong_ids=False):
        self.episode, self.confidence, self.fails, self.wrong_ids = episode, confidence, fails, wrong_ids

    def start(self, frame, pixels, ids=None):
        self.index = 0
        return self.say(frame)

    def track(self, frame):
        self.index += 1
        if self.index in self.fails:
            raise TrackingError("the frame is blank")
        return self.say(frame)

    def say(self, frame):
        ids = np.arange(POINTS, dtype=np.int32)[::-1] + self.wrong_ids
        visible = self.episode.visible[self.index, ::-1]
        status = np.where(visible, KeypointStatus.VISIBLE, KeypointStatus.OCCLUDED).astype(np.uint8)
        pixels = self.episode.pixels[self.index, ::-1].astype(np.float32)
        confidence = np.full(POINTS, self.confidence, np.float32)
        return Keypoints(frame.stamp, ids, pixels, confidence, status, np.full((POINTS, 3), np.nan, np.float32))


def run(episode, **options):
    tracker = Scripted(episode, **options)
    return measure("scripted", follow(tracker, frames(episode), episode.pixels[0].astype(np.float32)), episode)


def test_a_perfect_tracker_is_perfect_in_whatever_order_it_answers():
    result = run(make_episode())
    assert (result.delta_avg, result.accuracy, result.average_jaccard) == (1, 1, 1)
    assert (result.redetection.long_events, result.redetection.long_found) == (1, 1)
    assert (result.silent, result.track_frames) == (0, (FRAMES - 1) * POINTS)
    assert result.median < 1e-5 and result.reliability.error == 0
    assert len(result.cpu) == len(result.wall) == FRAMES - 1 - WARM_UP and not result.failure


def test_confidence_is_held_against_what_is_right():
    assert run(make_episode(), confidence=0.7).reliability.error == pytest.approx(0.3)


def test_frames_that_raise_count_as_seen_nothing():
    result = run(make_episode(), fails=(35, 36))
    assert result.failure == "frame 35: the frame is blank"
    assert result.accuracy == pytest.approx(1 - 2 / (FRAMES - 1))


def test_other_points_than_asked_for_are_refused():
    with pytest.raises(TrackingError, match=r"given the ids \[0, 1, 2\], it returned \[3, 2, 1\]"):
        run(make_episode(), wrong_ids=True)


def test_results_come_back_from_a_file():
    result = run(make_episode(), fails=(3,))
    again = from_json(json.loads(json.dumps(to_json(result))))
    for name, value in vars(result).items():
        if name != "reliability":
            assert getattr(again, name) == value
    for name, value in vars(result.reliability).items():
        assert (getattr(again.reliability, name) == value).all()


def test_groups_are_means_over_episodes_and_sums_of_events():
    good, bad = run(make_episode(seed=0)), run(make_episode("clock_hand", seed=1), fails=range(5, FRAMES))
    (one,) = group([good, bad], per_task=False)
    figures = one.figures()
    assert one.task == ALL and figures["episodes"] == 2
    assert figures["accuracy"] == pytest.approx((good.accuracy + bad.accuracy) / 2)
    assert (figures["found_long"], figures["long_events"]) == (0.5, 2)
    assert figures["gave_up"] == ["clock_hand rp 1: frame 5: the frame is blank"]
    assert [one.task for one in group([good, bad], per_task=True)] == ["clock_button", "clock_hand"]
    assert make_table([one]).row_count == 1


def test_bars_are_those_of_the_project():
    assert BARS["delta_avg"].met(0.90) and not BARS["delta_avg"].met(0.899)
    assert BARS["silent"].met(0.01) and not BARS["silent"].met(0.011)
    assert not BARS["found_long"].met(float("nan"))


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    return folder


@pytest.fixture
def command(tmp_path, monkeypatch, episodes):
    """Runs the command; runs go to tmp_path."""
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "runs"))

    def call(*arguments):
        base = ["track_quality", "--n", "1", "--frames", "9", "--points", "8", "--workers", "1"]
        monkeypatch.setattr(sys, "argv", [*base, "--episodes", str(episodes), *arguments])
        track_quality.main()

    monkeypatch.setattr(track_quality, "_studio", None)
    return call


def test_the_command_measures_and_resumes(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(TRACKERS._entries, "absent", "no_such_package.tracker:Tracker")
    command("--condition", "rp,light", "--tracker", "lucas_kanade,absent")
    out = capsys.readouterr().out
    assert "left out absent: tracker 'absent' needs the Python package 'no_such_package'" in " ".join(out.split())
    assert out.count("lucas_kanade") == 2
    run = (tmp_path / "runs" / "latest").resolve()
    summary = json.loads((run / "summary.json").read_text())
    assert [g["condition"] for g in summary["groups"]] == ["rp", "light"]
    assert all(g["delta_avg"] > 0.95 and g["median_px"] < 0.5 for g in summary["groups"])
    assert list(summary["left_out"]) == ["absent"] and summary["latency_ms"]["lucas_kanade"]["p50"] > 0
    rows = list(csv.DictReader((run / "results.csv").open()))
    assert [row["condition"] for row in rows] == ["rp", "light"] and float(rows[0]["delta_avg"]) > 0.95
    assert cv2.imread(str(run / "tracks.png")).std() > 5

    def refuse(*args):
        raise AssertionError("measured again")

    monkeypatch.setattr(track_quality, "follow", refuse)
    monkeypatch.setattr(Studio, "episode", refuse)
    command("--condition", "rp,light", "--tracker", "lucas_kanade", "--resume", str(run))
    assert json.loads((run / "summary.json").read_text())["groups"] == summary["groups"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tracker", "lukas"), "unknown tracker 'lukas'; known: .*lucas_kanade"),
        (("--task", "tea"), "unknown task 'tea'; known: .*clock_button"),
        (("--condition", "fog"), "unknown condition 'fog'; known: .*light"),
        (("--frames", "1"), "frames >= 2"),
        (("--resume", "/nowhere/at/all"), "no run at .*latest"),
    ],
)
def test_what_is_not_known_is_said(command, arguments, message):
    with pytest.raises(SystemExit, match=message):
        command(*arguments)


def test_nothing_to_run_is_an_error(command, monkeypatch, capsys):
    monkeypatch.setitem(TRACKERS._entries, "absent", "no_such_package.tracker:Tracker")
    with pytest.raises(SystemExit, match="no tracker of 'absent' can be run here.*no_such_package"):
        command("--tracker", "absent")


def test_two_processes_give_what_one_gives(command, tmp_path):
    groups = []
    for workers in ("1", "2"):
        command("--condition", "rp,light", "--workers", workers)
        summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
        groups.append([{k: v for k, v in g.items() if "cpu" not in k and "wall" not in k} for g in summary["groups"]])
    assert groups[0] == groups[1]

"""Points tracked through videos, folders and bags; and what is said where that is not possible."""

import csv
import json

import av
import cv2
import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_trials import track_video
from keypoint_trials.picture_source import PictureSource
from keypoint_trials.video import VideoWriter

SIZE = (160, 120)
POINTS = "60,50 90,70"
START = ("track_video", "--tracker", "lucas_kanade")


def picture(index: int, size=SIZE) -> np.ndarray:
    """Texture that moves right by a pixel per frame."""
    generator = np.random.default_rng(0)
    wide = generator.integers(0, 255, (size[1] // 4, size[0] // 2, 3)).astype(np.uint8)
    texture = cv2.GaussianBlur(cv2.resize(wide, (2 * size[0], size[1]), interpolation=cv2.INTER_CUBIC), (0, 0), 2)
    return np.ascontiguousarray(texture[:, size[0] // 2 - index :][:, : size[0]])


def write_mp4(path, pictures, rate=10):
    with VideoWriter(path, (pictures[0].shape[1], pictures[0].shape[0])) as writer:
        for index, image in enumerate(pictures):
            writer.write(image, index / rate)
    return path


def write_folder(path, pictures):
    path.mkdir()
    for index, image in enumerate(pictures):
        cv2.imwrite(str(path / f"{index:04}.png"), image[..., ::-1])
    return path


@pytest.fixture
def track(tmp_path, monkeypatch, capsys):
    """Runs the command; returns its exit code, the folder and what it printed."""

    def run(video, *words):
        out = tmp_path / "out"
        monkeypatch.setattr("sys.argv", [*START, "--video", str(video), "--out", str(out), *words])
        code = track_video.main()
        return code, out, " ".join(capsys.readouterr().out.split())

    return run


def tracks(out):
    with (out / "tracks.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_video_is_tracked_and_shown(tmp_path, track):
    video = write_mp4(tmp_path / "clip.mp4", [picture(i) for i in range(20)])
    code, out, said = track(video, "--points", POINTS)
    assert code == 0, said
    rows = tracks(out)
    assert len(rows) == 40 and {row["status"] for row in rows} == {"visible"}
    last = [row for row in rows if row["frame"] == "19"]
    assert [row["id"] for row in last] == ["0", "1"] and float(last[0]["time"]) == pytest.approx(1.9, abs=1e-3)
    np.testing.assert_allclose([[float(r["u"]), float(r["v"])] for r in last], [[79, 50], [109, 70]], atol=0.5)
    with av.open(str(out / "overlay.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 20 and (frames[0].width, frames[0].height) == (640, 480)  # enlarged four times
    shown = frames[-1].to_ndarray(format="rgb24")[4 * 50 + 2, 4 * 79 + 2].astype(int)
    assert shown[1] > shown[0] + 40  # the dot is green
    assert cv2.imread(str(out / "sheet.png")).shape[1] > 1000
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == 20 and summary["points"][1]["visible"] == 1.0 and summary["skipped"] == {}
    assert "no calibration known" in said and "100.0%" in said


def test_a_folder_of_pictures_from_a_frame_on(tmp_path, track):
    folder = write_folder(tmp_path / "pictures", [picture(i) for i in range(10)])
    code, out, _ = track(folder, "--points", POINTS, "--start", "4", "--frames", "3", "--rate", "5")
    rows = tracks(out)
    assert code == 0 and [row["frame"] for row in rows[::2]] == ["4", "5", "6"]
    assert float(rows[2]["time"]) - float(rows[0]["time"]) == pytest.approx(0.2)


def test_a_recorded_bag_with_its_calibration(tmp_path, track, record_trial):
    bag = record_trial(tmp_path / "bags", frames=8)
    code, out, said = track(bag, "--points", "auto:3")
    assert code == 0, said
    assert len(tracks(out)) == 3 * 8
    assert "no calibration known" not in said


def test_blank_frames_are_skipped_and_counted(tmp_path, track):
    pictures = [picture(i) for i in range(12)]
    pictures[5] = np.zeros_like(pictures[5])
    pictures[6] = np.full_like(pictures[6], 200)
    code, out, said = track(write_folder(tmp_path / "p", pictures), "--points", POINTS)
    rows = tracks(out)
    statuses = [row["status"] for row in rows if row["id"] == "0"]
    assert code == 0 and statuses == ["visible"] * 5 + ["occluded"] * 2 + ["visible"] * 5
    assert [row["confidence"] for row in rows if row["frame"] == "5"] == ["0.0000"] * 2
    assert "2 frames skipped, the first is 5: the image is blank" in said


def test_frames_that_repeat_are_told(tmp_path, track):
    folder = write_folder(tmp_path / "p", [picture(min(i, 3)) for i in range(6)])
    assert "2 frames are equal to the one before" in track(folder, "--points", POINTS)[2]


def test_another_size_ends_the_video_and_keeps_what_was_tracked(tmp_path, track):
    pictures = [picture(i) for i in range(4)] + [picture(0, (80, 60))]
    code, out, said = track(write_folder(tmp_path / "p", pictures), "--points", POINTS)
    assert code == 1 and "frame 4 has 80x60 pixels, expected 160x120" in said
    assert len(tracks(out)) == 8 and (out / "overlay.mp4").is_file()
    assert "frame 4" in json.loads((out / "summary.json").read_text())["ended"]


def test_a_damaged_video_keeps_what_was_tracked(tmp_path, track):
    (tmp_path / "text.mp4").write_text("this is no video")
    code, _, said = track(tmp_path / "text.mp4", "--points", POINTS)
    assert code == 2 and "cannot be read as a video" in said
    noise = np.random.default_rng(0).integers(0, 255, (20, 120, 160, 3)).astype(np.uint8)
    data = write_mp4(tmp_path / "clip.mp4", [picture(0), picture(1), *noise]).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(0.7 * len(data))])
    code, out, said = track(tmp_path / "cut.mp4", "--points", POINTS)
    assert code == 1 and "cut.mp4 is damaged" in said
    assert 2 * 2 <= len(tracks(out)) < 22 * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--points", "60,50 160,20"],
            "outside the 160x120 picture (column 0 to 159, row 0 to 119): point 1 (160, 20)",
        ),
        ([], "no points were given"),
        (["--points", "60;50"], "'60' is no point"),
        (["--points", "missing.csv"], "there is no file missing.csv"),
        (["--points", "auto:5000"], "corners, 5000 were asked for"),
        (["--points", "click"], "there is no window to click in"),
        (["--points", POINTS, "--tracker", "crystal_ball"], "unknown tracker 'crystal_ball'; known: "),
        (["--points", POINTS, "--start", "50"], "has no frame 50"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, track, monkeypatch, words, message):
    monkeypatch.setenv("MPLBACKEND", "agg")
    folder = write_folder(tmp_path / "p", [picture(0), picture(1)])
    code, _, said = track(folder, *words)
    assert code == 2 and message in said


def test_whoever_gives_no_points_gets_a_picture_with_coordinates(tmp_path, track):
    _, out, said = track(write_folder(tmp_path / "p", [picture(0)]))
    assert cv2.imread(str(out / "points.png")).shape[1] == 8 * 160 and "points.png" in said


def test_a_blank_beginning_is_refused(tmp_path, track):
    folder = write_folder(tmp_path / "p", [np.zeros((120, 160, 3), np.uint8), picture(0)])
    code, _, said = track(folder, "--points", POINTS)
    assert code == 2 and "is blank" in said and "that is not is START=1" in said
    assert track(folder, "--points", POINTS, "--start", "1")[0] == 0


def test_there_must_be_something_to_read(tmp_path, track):
    assert "there is no" in track(tmp_path / "nothing.mp4")[2]
    (tmp_path / "empty").mkdir()
    assert "holds no picture" in track(tmp_path / "empty")[2]


def test_a_damaged_picture_is_named(tmp_path):
    folder = write_folder(tmp_path / "p", [picture(0)])
    (folder / "0001.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0001\.png cannot be read as a picture"):
        list(PictureSource(folder))


def test_videos_are_read_one_frame_at_a_time(tmp_path):
    frames = iter(PictureSource(write_mp4(tmp_path / "clip.mp4", [picture(i) for i in range(5)])))
    first = next(frames)
    assert first.stamp == 0 and first.depth is None and first.intrinsics.fx == 160
    assert next(frames).stamp == pytest.approx(1e8, abs=1e5)

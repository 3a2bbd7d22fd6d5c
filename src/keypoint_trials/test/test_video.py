import av
import numpy as np
import pytest

from keypoint_trials.banner import Caption, add_bar, bar_height, font, shorten
from keypoint_trials.reader import read_trial
from keypoint_trials.records import TrialRecord
from keypoint_trials.video import caption, write_video


@pytest.fixture
def records(tmp_path, record_trial):
    folders = [record_trial(tmp_path / "run", trial, frames=20) for trial in ("trial-00", "trial-01")]
    outcomes = (("success", ""), ("failure", "the clock was knocked over"))
    return [
        TrialRecord(folder.name, outcome, folder, (0.4, 0.1, 0.2), error, 1.3, 4, 5, "lockstep")
        for folder, (outcome, error) in zip(folders, outcomes, strict=True)
    ]


def test_video_has_every_frame_at_its_time(tmp_path, records):
    path = tmp_path / "trials.mp4"
    assert write_video(path, records) == 2 * (20 + 2)  # the card is two frames: its begin and its end
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert len(frames) == 44
    assert (frames[0].width, frames[0].height) == (160, 120 + bar_height(160))
    times = np.array([frame.time for frame in frames]) - frames[0].time
    assert np.allclose(times[:20], np.arange(20) / 15, atol=1e-3)
    assert times[21] == pytest.approx(19 / 15 + 0.7, abs=1e-3)
    assert (np.diff(times) > 0).all()


def test_video_leaves_out_what_comes_before_the_keypoints(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path)
    for index, phase in enumerate((1, 2, 3, 5)):
        recorder.handle("/trial/state", 10 * index, messages.trial_state(0, "t", phase))
        recorder.handle("/camera/color/image_raw", 10 * index + 5, messages.color(index, index))
    recorder.close()
    assert write_video(tmp_path / "t.mp4", [TrialRecord("t", "success", tmp_path / "t")]) == 2 + 2


def test_no_images_no_video(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path)
    recorder.handle("/trial/state", 1, messages.trial_state(0, "t", 5))
    recorder.close()
    assert write_video(tmp_path / "t.mp4", [TrialRecord("t", "error", tmp_path / "t")]) == 0
    assert not (tmp_path / "t.mp4").exists()


def test_caption_says_what_the_arm_does(tmp_path, record_trial):
    bag = read_trial(record_trial(tmp_path))
    said = caption(bag, "trial-00", int(bag.frames.times[3]))
    assert said.phase == "acting" and said.elapsed == pytest.approx(0.2)
    assert said.note == "arm follows · velocity limit"
    assert caption(bag, "trial-00", 0).phase == "idle"


def test_bar_stands_above_an_untouched_picture():
    picture = np.full((48, 64, 3), 7, np.uint8)
    framed = add_bar(picture, Caption("trial-00", "acting", 1.0, "a note that is far too long for so small a picture"))
    assert framed.shape == (48 + bar_height(64), 64, 3)
    assert (framed[-48:] == 7).all()


def test_long_text_is_shortened():
    face = font("DejaVuSans", 12)
    assert shorten("short", face, 500) == "short"
    assert shorten("a very long note", face, 60).endswith("…")
    assert face.getlength(shorten("a very long note", face, 60)) <= 60

"""From recorded demonstrations to a checkpoint: tracks by what is deployed, the rest as in simulation."""

import numpy as np
import pytest

from keypoint_core.arms.description import load_arm
from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.errors import CorrespondenceError, InputError
from keypoint_core.tracking import TRACKERS
from keypoint_core.types import Keypoints, KeypointStatus
from keypoint_sim.experts import DT, HORIZON
from keypoint_training.episodes import load
from keypoint_training.recorded import train as training
from keypoint_training.recorded.settings import RecordedSettings
from keypoint_training.recorded.tracks import first_frame, follow, follow_all, reference_of
from keypoint_trials.demonstrate import Demonstrator
from keypoint_trials.demonstration import find_demonstrations, read_demonstration

POSE = (1.1, 0.0, 0.32, 0.60768, 0.60768, -0.36156, -0.36156)
COUNT = 5


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demonstrations")
    demonstrator = Demonstrator("clock_button", "hebi", folder)
    for i in range(COUNT):
        demonstrator.record(f"{i:03d}", 600_000 + i, "rp")
    demonstrator.close()
    return folder


@pytest.fixture(scope="module")
def demonstrations(bags):
    joints = load_arm("hebi").joint_names
    return [read_demonstration(bag, joints, HORIZON, DT) for bag in find_demonstrations(bags)]


class Everywhere:
    """Finds each keypoint where the reference has it, but refuses the scenes of some demonstrations."""

    def __init__(self, pixels, refused=()):
        self.pixels, self.refused, self.calls = pixels, refused, 0

    def locate(self, frame):
        self.calls += 1
        if self.calls - 1 in self.refused:
            raise CorrespondenceError("too dark")
        n = len(self.pixels)
        status = np.full(n, KeypointStatus.VISIBLE, np.uint8)
        status[0] = KeypointStatus.LOST
        nowhere = np.full((n, 3), np.nan, np.float32)
        return Keypoints(
            frame.stamp, np.arange(n, dtype=np.int32), self.pixels, np.ones(n, np.float32), status, nowhere
        )


PIXELS = np.array([[100, 100], [300, 300], [320, 350], [200, 200], [500, 300]], np.float32)


def test_the_tracks_are_the_tracker_s(demonstrations):
    one = demonstrations[0]
    episode = follow(one, Everywhere(PIXELS), TRACKERS.create("lucas_kanade"))
    assert episode.pixels.shape == (len(one), 5, 2) and episode.frames == len(one)
    assert not episode.visible[:, 0].any(), "what was not located stays lost"
    np.testing.assert_array_equal(episode.targets, one.targets.astype(np.float32))
    assert np.isfinite(episode.pixels).all() and np.isfinite(episode.tool).all()


def test_what_cannot_be_used_is_left_out_and_said(demonstrations, caplog):
    tracker, ignore = TRACKERS.create("lucas_kanade"), lambda *_: None
    used = follow_all(demonstrations, Everywhere(PIXELS, refused=(1,)), tracker, ignore)
    assert len(used) == COUNT - 1 and "001: left out: too dark" in caplog.text
    with pytest.raises(InputError, match=f"3 of {COUNT} demonstrations can be learnt from, 4 needed"):
        follow_all(demonstrations, Everywhere(PIXELS, refused=(0, 3)), tracker, ignore)


def test_the_reference_is_the_first_frame(demonstrations):
    reference, frame = reference_of(demonstrations[0], PIXELS), first_frame(demonstrations[0])
    np.testing.assert_array_equal(reference.color, frame.color)
    assert reference.ids.tolist() == [0, 1, 2, 3, 4] and reference.depth is not None


def test_from_bags_to_a_checkpoint_and_taken_up_again(tmp_path, bags, monkeypatch, capsys):
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "runs"))
    output = tmp_path / "mine"
    words = ["--demonstrations", str(bags), "--task", "mine", "--camera-pose", *map(str, POSE), "--candidates", "40"]
    words += ["--full-steps", "60", "--mask-steps", "400", "--final-steps", "20", "--output", str(output)]
    assert training.main(words) == 0, capsys.readouterr().out
    checkpoint = load_checkpoint(output)
    card = checkpoint.card
    assert (card.task, card.method, card.joints) == ("mine", "recorded", load_arm("hebi").joint_names)
    assert card.camera_rate == pytest.approx(15, rel=0.02) and 4 <= len(card.keypoint_ids) < 40
    np.testing.assert_allclose(np.array(card.camera_pose)[:3, 3], POSE[:3])
    assert "selection.png" in card.files and "--task mine" in card.training["command"]
    assert str(bags) not in card.training["command"], "no folder of this machine"
    checkpoint.load_policy()

    run = next((tmp_path / "runs").glob("*-recorded"))
    tracks = load(run / "tracks.npz")
    assert tracks.pixels.shape[1] == 40 and 4 <= len(tracks) <= COUNT
    monkeypatch.setattr(training, "follow_all", None)
    (run / "final.safetensors").unlink()
    assert training.main(["--resume", str(run), "--output", str(tmp_path / "again")]) == 0
    assert load_checkpoint(tmp_path / "again").card.files == card.files


def test_the_command_says_what_is_missing(capsys):
    with pytest.raises(SystemExit):
        training.parse(["--task", "mine"])
    assert "give --demonstrations, --task and --camera-pose" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"camera_pose needs 7 numbers.*calibrate prints them"):
        RecordedSettings("bags", (1.0, 2.0), "mine")

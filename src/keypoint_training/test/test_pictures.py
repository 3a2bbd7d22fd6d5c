"""Students that look at pictures: what is gathered, shared, taken up again, and exported."""

import numpy as np
import pytest

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.errors import InputError
from keypoint_core.types import Frame, Observation, RobotState
from keypoint_training.pictures import gather as gathering
from keypoint_training.pictures.gather import Job, load, perform
from keypoint_training.pictures.run import fit
from keypoint_training.pictures.settings import PictureSettings
from keypoint_training.pictures.train import main

TINY = [
    *("--demonstrations", "1", "--rounds", "1", "--round-episodes", "1", "--round-steps", "4", "--final-steps", "4"),
    *("--workers", "0"),
]


@pytest.fixture(scope="module")
def demonstration():
    yield perform(Job(PictureSettings(), 0, 0, None))
    gathering._stage[1].world.close()
    gathering._stage = None


def test_a_demonstration_holds_what_the_camera_saw(demonstration):
    one = demonstration
    assert one.succeeded.tolist() == [True] and one.lengths.tolist() == [one.frames] and one.frames > 20
    assert one.color.shape == (one.frames, 96, 128, 3) and one.depth.shape == (one.frames, 96, 128)
    assert len(one.joints) == len(one.targets) == one.frames
    assert np.abs(one.color[0].astype(int) - one.color[-1]).mean() > 0.5, "the arm moves in the pictures"
    assert 300 < np.median(one.depth[one.depth > 0]) < 2500, "millimetres"
    again = perform(Job(PictureSettings(), 0, 0, None))
    np.testing.assert_array_equal(again.color, one.color)
    np.testing.assert_array_equal(again.targets, one.targets)


@pytest.mark.parametrize("modality", ["rgb", "depth", "point_cloud"])
def test_a_student_learns_one_demonstration(demonstration, modality, world):
    settings = PictureSettings(modality=modality)
    camera = world.camera.intrinsics
    first = fit(demonstration, settings, camera, 0, 5)[1]
    network, later = fit(demonstration, settings, camera, 0, 60)
    assert later < 0.6 * first
    assert network.settings.modality == modality and network.settings.head.gripper_input


def test_a_run_can_be_taken_up_again_and_shares_its_demonstrations(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "runs"))
    output = tmp_path / "rgb"
    assert main(["--modality", "rgb", "--output", str(output), *TINY]) == 0, capsys.readouterr().out
    checkpoint = load_checkpoint(output)
    assert checkpoint.card.method == "rgb" and checkpoint.card.policy == "image_mlp"
    assert (
        checkpoint.card.keypoint_ids == []
        and "--modality rgb --demonstrations 1" in checkpoint.card.training["command"]
    )
    reference = checkpoint.reference()
    frame = Frame(3, reference.color, reference.depth, checkpoint.card.intrinsics)
    state = RobotState(3, np.zeros(6), np.zeros(6), np.zeros(6), 0.0)
    assert np.isfinite(checkpoint.load_policy().act(Observation(None, state, frame)).positions).all()

    run = next((tmp_path / "runs").glob("*-rgb"))
    (run / "final.safetensors").unlink()
    before = load(run / "round_1.npz")
    assert main(["--resume", str(run), "--output", str(tmp_path / "again"), "--workers", "0"]) == 0
    assert load_checkpoint(tmp_path / "again").card.files == checkpoint.card.files

    demonstrations = list((tmp_path / "runs" / "picture-demonstrations").iterdir())
    written = demonstrations[0].stat().st_mtime_ns
    assert main(["--modality", "depth", "--output", str(tmp_path / "depth"), *TINY]) == 0
    assert len(demonstrations) == 1 and demonstrations[0].stat().st_mtime_ns == written
    assert before.frames > 0


def test_an_unknown_modality_names_the_known_ones():
    with pytest.raises(InputError, match="one of rgb, depth, point_cloud, got 'touch'"):
        PictureSettings(modality="touch")

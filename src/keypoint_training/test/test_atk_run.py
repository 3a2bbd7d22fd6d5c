"""A run of ATK gathers with all candidates, trains on the kept ones, can be taken up again, and says what it did."""

import shutil

import cv2
import numpy as np
import pytest

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.errors import InputError
from keypoint_training import episodes as storage
from keypoint_training.atk import run as run_module
from keypoint_training.atk.candidates import choose_candidates
from keypoint_training.atk.picture import draw_selection
from keypoint_training.atk.run import MASK, AtkRun, Candidates, load_selection, save_selection, where
from keypoint_training.atk.selection import Check, Selection
from keypoint_training.atk.settings import AtkSettings, SelectionSettings
from keypoint_training.atk.train import PICTURE, export, parse, selection_report, training_command
from keypoint_training.dagger import FINAL
from keypoint_training.run_folder import load_settings, save_settings
from keypoint_training.settings import FitSettings, NetworkSettings
from keypoint_training.tracks import Traits

SMALL = FitSettings(copies=1, batch=32)
SETTINGS = AtkSettings(
    candidates=24,
    demonstrations=2,
    rounds=1,
    round_episodes=1,
    student_rounds=1,
    round_steps=20,
    final_steps=30,
    network=NetworkSettings(history=2, hidden=32, layers=1, gripper_input=True),
    full_fit=SMALL,
    fit=SMALL,
)
KEPT = np.array([1, 2, 5, 8, 13, 20])
CHECKS = (Check(0, 0.25, 0.2, 0.1, 22.5, 24), Check(10, 0.3, 0.1, 0.1, 6.2, 6))


def ignore(*_):
    pass


@pytest.fixture(scope="module")
def candidates(world):
    pixels = choose_candidates(world.reference().frame, SETTINGS.candidates, SETTINGS.seed)
    bodies = world.attach(pixels.astype(np.float64)).bodies
    return Candidates(pixels, Traits(bodies, np.linspace(0, 2, len(pixels)), np.zeros(len(pixels))))


@pytest.fixture(scope="module")
def selection():
    chances = np.full(SETTINGS.candidates, 0.01)
    chances[KEPT] = 0.97
    return Selection(chances, KEPT, 0.1, 0.105, 0.1, CHECKS)


@pytest.fixture
def asked(monkeypatch, selection):
    """Stands in for the selection, which has tests of its own; the list holds what it was asked for."""
    calls = []

    def select(data, shape, places, *rest):
        calls.append((data, shape, places))
        return selection

    monkeypatch.setattr(run_module, "select", select)
    return calls


def make_run(folder, world, candidates, progress=ignore):
    folder.mkdir(exist_ok=True)
    return AtkRun(folder, SETTINGS, world.camera.intrinsics, candidates, 0, progress)


def test_it_selects_from_all_and_trains_on_the_kept_and_can_be_taken_up_again(
    tmp_path, world, candidates, selection, asked
):
    run = make_run(tmp_path / "whole", world, candidates)
    found = run.select()
    weights = run.train(found)

    (data, shape, places), gathered = asked[0], run._gather()
    parts = (data.student, data.gates, data.held)
    assert all(part.pixels.shape[2] == shape.keypoints == 24 for part in parts)
    assert shape.gripper_input
    assert sum(len(part.pixels) for part in parts) == gathered.frames
    np.testing.assert_allclose(places * [640, 480] - 0.5, candidates.pixels, atol=1e-3)

    first = storage.load(tmp_path / "whole" / "student" / "round_0.npz")
    np.testing.assert_array_equal(first.pixels, gathered.pixels[:, KEPT])
    assert len(first) == 3, "what FullSet gathered, demonstrations and its round, is where the student begins"

    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole" / "full", cut / "full")
    shutil.copy(tmp_path / "whole" / MASK, cut)
    again = make_run(cut, world, candidates)
    resumed = again.train(again.select())
    assert len(asked) == 1, "a mask that is there is not learnt again"
    assert resumed.name == FINAL and resumed.read_bytes() == weights.read_bytes()

    check_checkpoint(tmp_path / "atk", world, candidates, found, weights)


def check_checkpoint(folder, world, candidates, selection, weights):
    report = selection_report(selection, candidates, world)
    figures = {"exact_tracks": {"trials": 1}}
    reference = world.reference()
    export(folder, world, reference, candidates, selection, weights, SETTINGS, report, "command", 1, figures)
    checkpoint = load_checkpoint(folder)
    np.testing.assert_array_equal(checkpoint.reference().pixels, candidates.pixels[KEPT])
    made = checkpoint.card.training["selection"]
    assert checkpoint.card.method == "atk" and made["kept"] == KEPT.tolist()
    assert made["probabilities"][1] == 0.97 and len(made["candidate_u"]) == 24
    assert sum(made["kept_on"].values()) == len(KEPT) and sum(made["candidates_on"].values()) == 24
    assert checkpoint.card.policy_settings["gripper_input"] and checkpoint.card.policy_settings["keypoints"] == 6
    assert made["tracker_error_px"] == np.round(np.linspace(0, 2, 24)[KEPT], 2).tolist()
    assert PICTURE in checkpoint.card.files and cv2.imread(str(folder / PICTURE)).shape == (960, 1280, 3)
    checkpoint.load_policy()


def test_a_selection_survives_its_file(tmp_path, selection):
    save_selection(tmp_path / MASK, selection)
    loaded = load_selection(tmp_path / MASK)
    np.testing.assert_array_equal(loaded.probabilities, selection.probabilities)
    np.testing.assert_array_equal(loaded.kept, KEPT)
    assert loaded.checks == CHECKS and loaded.within_margin
    assert (loaded.full_loss, loaded.kept_loss, loaded.margin) == (0.1, 0.105, 0.1)


def test_points_are_counted_by_the_region_that_they_are_on():
    regions = {"clock": ("clock", "feet"), "robot": ("base",)}
    assert where(["clock", "feet", "base", "shadow"], regions) == {"clock": 2, "robot": 1, "other": 1}


def test_the_picture_rings_the_kept_and_shades_by_probability():
    color = np.full((60, 80, 3), 100, np.uint8)
    pixels = np.array([[20, 20], [60, 20]], np.float32)
    picture = draw_selection(color, pixels, np.array([0.0, 1.0]), np.array([1]))
    assert picture.shape == (120, 160, 3) and (color == 100).all()
    closed, opened = picture[40, 40].astype(int), picture[40, 120].astype(int)
    assert opened[0] > 200 > closed[0], "yellow against violet"
    green = (picture[..., 1].astype(int) - picture[..., 0] > 100).nonzero()[1]
    assert len(green) and green.min() > 100, "only the kept one has a ring"


def test_settings_survive_their_file(tmp_path):
    save_settings(tmp_path, SETTINGS)
    assert load_settings(tmp_path, AtkSettings) == SETTINGS


def test_more_candidates_than_are_kept_for_free_are_needed():
    with pytest.raises(InputError, match="need more than least = 8 candidates, got 8"):
        AtkSettings(candidates=8)


def test_the_students_scenes_begin_where_those_of_full_set_end():
    settings = AtkSettings(demonstrations=30, rounds=2, round_episodes=10)
    assert settings.student(6).first_episode(1) == settings.full_set.episodes == 50


def test_the_command_says_what_differs_from_the_defaults():
    assert training_command(AtkSettings(), 200) == "python -m keypoint_training.atk.train --task clock_button --seed 0"
    words = training_command(AtkSettings(seed=3, rounds=2, selection=SelectionSettings(alpha=1.0)), 5)
    assert words.endswith("--seed 3 --rounds 2 --alpha 1.0 --scenes 5")
    options = parse(words.split()[3:])
    assert (options.seed, options.rounds, options.alpha, options.scenes) == (3, 2, 1.0, 5)

"""Small runs without rendering: they learn, they can be taken up again, and workers do not change them."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_core.types import Observation, RobotState
from keypoint_sim.settings import CameraSettings
from keypoint_sim.tasks.base import Outcome
from keypoint_training import episodes as storage
from keypoint_training.crew import Crew, Job, load_student
from keypoint_training.dagger import FINAL, Dagger
from keypoint_training.evaluation import GRADES, evaluate
from keypoint_training.fitting import policy_settings
from keypoint_training.rollout import Conditions, as_keypoints
from keypoint_training.run_folder import load_settings, save_settings
from keypoint_training.settings import Disturbance, TrainSettings
from keypoint_training.tracks import NO_NOISE, NoisyTracks


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def ignore(*_):
    pass


def train(folder, settings, pixels, workers=0, progress=ignore):
    folder.mkdir(exist_ok=True)
    with Crew(settings, pixels, workers) as crew:
        return Dagger(folder, settings, CameraSettings().intrinsics, crew, progress).run()


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, settings, pixels):
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(folder, settings, pixels)
    return folder


def mean_error(weights, episodes):
    """Of the chunks' first target on exact tracks, relative to standing still."""
    policy, tracks = load_student(weights), NoisyTracks(NO_NOISE, 8, np.random.default_rng(0))
    errors, still = [], []
    for i in range(int(episodes.lengths[0])):
        joints = episodes.joints[i].astype(np.float64)
        sample = tracks.step(episodes.pixels[i].astype(np.float64), episodes.visible[i], episodes.tool[i])
        state = RobotState(0, joints, np.zeros(6), np.zeros(6), -0.6)
        chunk = policy.act(Observation(as_keypoints(sample, 0), state))
        errors.append(np.abs(chunk.positions[-1] - episodes.targets[i, -1]).mean())
        still.append(np.abs(joints - episodes.targets[i, -1]).mean())
    return np.mean(errors) / np.mean(still)


def test_a_tiny_run_learns(whole_run, settings, pixels):
    undisturbed = Disturbance(undisturbed=1.0)
    jobs = [Job((9, 9, scene), Conditions(scene), NO_NOISE, 0.0, disturbance=undisturbed) for scene in (3, 4, 5)]
    with Crew(settings, pixels, 0) as crew:
        fresh = list(crew.run(jobs))
    assert all(result.status.outcome == Outcome.SUCCESS for result in fresh)
    assert np.mean([mean_error(whole_run / FINAL, result.episodes) for result in fresh]) < 0.75  # untrained: 1.1


def test_figures_of_each_round_are_noted(whole_run, settings):
    lines = (whole_run / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith("round,episodes,frames,success_rate,loss")
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["0", str(settings.demonstrations)],
        ["1", str(settings.round_episodes)],
    ]


@pytest.mark.parametrize("stage", ["round 1: student drives", "final student"])
def test_a_run_taken_up_again_ends_in_the_same_bits(tmp_path, whole_run, settings, pixels, stage):
    def stop(name, done, total):
        if name == stage:
            raise StoppedError

    folder = tmp_path / "cut"
    folder.mkdir()
    for name in ("round_0.npz", "round_0.safetensors", "round_0.json"):  # finished before, and not done again here
        shutil.copy(whole_run / name, folder)
    with pytest.raises(StoppedError):
        train(folder, settings, pixels, progress=stop)
    assert not (folder / FINAL).exists()
    train(folder, settings, pixels)
    assert (folder / FINAL).read_bytes() == (whole_run / FINAL).read_bytes()


def test_workers_do_not_change_the_data(tmp_path, whole_run, settings, pixels):
    few = replace(settings, rounds=0, final_steps=1)
    train(tmp_path / "workers", few, pixels, workers=2)
    ours, theirs = storage.load(tmp_path / "workers" / "round_0.npz"), storage.load(whole_run / "round_0.npz")
    for name in ("pixels", "joints", "targets", "lengths"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_evaluation_gives_every_grade_with_its_interval(whole_run, settings, pixels):
    with Crew(settings, pixels, 0) as crew:
        figures = evaluate(crew, settings, whole_run / FINAL, 1, ignore)
    assert set(figures) == {grade.name for grade in GRADES}
    for grade in figures.values():
        assert grade["trials"] == 1
        assert grade["successes"] + sum(grade["failures"].values()) == 1


@pytest.mark.parametrize(("robot", "scale"), [("hebi_chopsticks", 0.25), ("franka", 0.0125)])
def test_the_gripper_is_scaled_in_its_own_unit(whole_run, settings, robot, scale):
    demonstrations = storage.load(whole_run / "round_0.npz")
    made = policy_settings(replace(settings, robot=robot), demonstrations, CameraSettings().intrinsics, 1 / 15)
    assert made.gripper_scale == scale


def test_settings_survive_their_file(tmp_path, settings):
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path, TrainSettings) == settings


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no training run"):
        load_settings(tmp_path, TrainSettings)


def test_settings_of_another_version_are_refused(tmp_path, settings):
    save_settings(tmp_path, settings)
    path = tmp_path / "settings.json"
    path.write_text(path.read_text().replace('"hidden"', '"hiden"'))
    with pytest.raises(InputError, match="hiden"):
        load_settings(tmp_path, TrainSettings)


def test_training_imports_no_ros():
    code = (
        "import sys, keypoint_training.export, keypoint_training.atk.train\n"
        "assert not {'rclpy', 'keypoint_ros', 'keypoint_interfaces'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

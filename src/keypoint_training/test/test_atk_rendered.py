"""The student's last round has what deployment gives it: rendered frames, correspondence and tracker in the loop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.errors import InputError
from keypoint_core.types import ActionChunk
from keypoint_sim.tasks.base import Outcome
from keypoint_training import episodes as storage
from keypoint_training.atk import rendered as rendered_module
from keypoint_training.atk import run as run_module
from keypoint_training.atk.rendered import Deployment, RenderedStage, gather
from keypoint_training.atk.run import AtkRun, Candidates
from keypoint_training.atk.selection import Selection
from keypoint_training.atk.settings import AtkSettings
from keypoint_training.crew import load_student, save_student
from keypoint_training.dagger import FINAL, data_file
from keypoint_training.fitting import join_samples, recorded_samples
from keypoint_training.settings import FitSettings, NetworkSettings, RolloutSettings
from keypoint_training.tracks import Traits

FRAMES = 5
SCENE = 1_000_123


class Holding:
    """A policy that stays where it is; notes what it was given."""

    def __init__(self):
        self.given = []

    def reset(self):
        self.given.clear()

    def act(self, observation):
        self.given.append(observation.keypoints)
        positions = np.repeat(observation.state.position[None], 8, axis=0)
        return ActionChunk(observation.keypoints.stamp, 1 / 15, positions, np.zeros(8))


@pytest.fixture(scope="module")
def pixels():
    """Those of a policy, which are all on the clock: what lies on the table beside it is nowhere in another scene."""
    return load_checkpoint("clock_button/atk").reference().pixels


@pytest.fixture(scope="module")
def deployment(world, pixels):
    return Deployment(world.task.name, world.robot.name, pixels, "descriptors", "hybrid", RolloutSettings())


@pytest.fixture(scope="module")
def stage(world, deployment):
    world.task.time_limit = (FRAMES - 0.5) / 15
    return RenderedStage(world, deployment)


@pytest.fixture(scope="module")
def episode(stage):
    policy = Holding()
    status, episodes = stage.run(policy, SCENE, "light")
    return policy, status, episodes


def test_what_is_recorded_is_what_the_policy_was_given(episode):
    policy, status, episodes = episode
    assert status.outcome == Outcome.FAILURE and status.reason == "time limit"
    assert episodes.lengths.tolist() == [FRAMES] == [len(policy.given)]
    np.testing.assert_array_equal(episodes.pixels, [given.pixels for given in policy.given])
    np.testing.assert_array_equal(episodes.visible, [given.visible for given in policy.given])
    assert episodes.visible[0].any()


def test_tracks_are_those_of_the_tracker_and_not_the_truth(world, pixels, episode):
    world.reset(SCENE, "light")
    truth, _, _ = world.tracks(world.attach(pixels.astype(np.float64)))
    _, _, episodes = episode
    seen = episodes.visible[0]
    error = np.linalg.norm(episodes.pixels[0] - truth, axis=1)[seen]
    assert (error > 0).all() and error.max() < 5


def test_labels_are_the_experts_for_the_state_at_the_exposure(world, episode):
    world.reset(SCENE, "light")
    wanted = world.expert().act()
    _, _, episodes = episode
    np.testing.assert_allclose(episodes.joints[0], world.state().position, atol=1e-6)
    np.testing.assert_allclose(episodes.targets[0], wanted.positions, atol=1e-6)
    assert not np.allclose(episodes.targets[-1], episodes.joints[-1], atol=1e-3), (
        "the expert would move; the policy holds"
    )


def test_scenes_without_the_keypoints_are_left_out(monkeypatch, deployment, episode):
    _, status, episodes = episode
    found = iter([(status, None), (status, episodes), (status, None)])
    asked = []
    monkeypatch.setattr(rendered_module, "load_student", lambda path: path)
    monkeypatch.setattr(RenderedStage, "run", lambda self, *job: (asked.append(job), next(found))[1])
    told, weights = [], Path("student.safetensors")
    gathered = gather(deployment, weights, [1, 2], 0, lambda *progress: told.append(progress))
    assert len(gathered) == 1 and [done for _, done, _ in told] == [1, 2]
    assert asked == [(weights, 1, "light"), (weights, 2, "light+nudge")], "with and without a push by turns"
    with pytest.raises(InputError, match="located in none of 1 rendered scenes"):
        gather(deployment, weights, [3], 0, lambda *_: None)


def test_other_processes_record_the_same(tmp_path):
    checkpoint = load_checkpoint("clock_button/atk")
    card, weights = checkpoint.card, tmp_path / "student.safetensors"
    save_student(weights, checkpoint.load_policy())
    deployed = Deployment(
        card.task, card.robot, checkpoint.reference().pixels, "descriptors", "hybrid", RolloutSettings()
    )
    here, there = (gather(deployed, weights, [SCENE], workers, lambda *_: None) for workers in (0, 1))
    assert here.succeeded.all() and here.pixels.tobytes() == there.pixels.tobytes()


def test_recorded_tracks_become_samples_as_they_are(episode):
    _, _, episodes = episode
    visible = episodes.visible.copy()
    visible[:, 0], visible[2, 0] = False, True
    visible[:, 1], visible[3, 1] = True, False
    twice = storage.join([replace(episodes, visible=visible)] * 2)
    samples = recorded_samples(twice, copies=3)
    assert samples.pixels.shape == (2 * FRAMES, 3, len(visible[0]), 2)
    assert (samples.pixels == torch.from_numpy(twice.pixels)[:, None]).all()
    seen, now = samples.flags[:, 1, 0].T.tolist()
    assert seen == [0, 0, 1, 1, 1] * 2 and now == [0, 0, 1, 0, 0] * 2, "each episode begins anew"
    assert samples.flags[:FRAMES, 0, 1, 0].tolist() == [1] * FRAMES, "seen stays while it is hidden"
    joined = join_samples(samples, samples)
    assert joined.first.tolist() == [0] * FRAMES + [5] * FRAMES + [10] * FRAMES + [15] * FRAMES
    assert len(joined.targets) == 4 * FRAMES


def test_the_last_round_adds_to_all_data_and_can_be_taken_up_again(tmp_path, world, pixels, episode, monkeypatch):
    small = FitSettings(copies=1, batch=32)
    settings = AtkSettings(
        student_rounds=0,
        final_steps=30,
        rendered_episodes=1,
        network=NetworkSettings(history=2, hidden=32, layers=1, gripper_input=True),
        fit=small,
    )
    kept = np.arange(len(pixels))
    bodies = world.attach(pixels.astype(np.float64)).bodies
    selection = Selection(np.ones(len(pixels)), kept, 0.1, 0.1, 0.1, ())
    run = AtkRun(tmp_path, settings, world.camera.intrinsics, Candidates(pixels, Traits(bodies)), 0, lambda *_: None)
    asked = []
    monkeypatch.setattr(run_module, "gather", lambda *job: (asked.append(job), episode[2])[1])
    (tmp_path / "student").mkdir()
    exact = replace(episode[2], tool=np.zeros((FRAMES, 2), np.float32))
    storage.save(tmp_path / "student" / data_file(0), exact)
    fitted = []
    real_fit = run_module.fit
    monkeypatch.setattr(run_module, "fit", lambda samples, *rest: (fitted.append(samples), real_fit(samples, *rest))[1])
    weights = run.train(selection)
    refined = run.refine(selection, weights)
    ((where, student, scenes, workers, _),) = asked
    assert (where.pixels == pixels).all() and student == weights and len(scenes) == 1 and workers == 0
    before = refined.read_bytes()
    assert refined == tmp_path / "rendered" / FINAL and before != weights.read_bytes()
    assert load_student(refined).settings == load_student(weights).settings
    recorded = storage.load(tmp_path / "rendered" / data_file(0))
    assert len(fitted[-1].targets) == exact.frames + recorded.frames, "noisy tracks and recorded ones"
    run.refine(selection, weights)
    assert len(fitted) == 1 and refined.read_bytes() == before, "what is there is not done again"
    refined.unlink()
    run.refine(selection, weights)
    assert refined.read_bytes() == before, "fitted again from the recorded episodes, to the same weights"

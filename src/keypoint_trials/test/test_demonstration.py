"""Demonstrations: read from bags, and recorded in simulation."""

import numpy as np
import pytest

from keypoint_core.types import SECOND
from keypoint_sim.tasks.base import Outcome
from keypoint_trials.bag import BagError
from keypoint_trials.demonstrate import Demonstrator, Pushes
from keypoint_trials.demonstration import find_demonstrations, read_demonstration

T, DT = 8, 1 / 15
JOINTS = [f"J{index}" for index in range(1, 7)]


@pytest.fixture
def record(make_recorder, messages):
    """Records the synthetic trial without some topics; joint i moves by .01 rad per frame."""

    def make(folder, *without, frames=30):
        recorder = make_recorder(folder)
        for name, stamp, data in messages.trial("000", frames):
            if name not in without:
                recorder.handle(name, stamp, data)
        recorder.close()
        return folder / "000"

    return make


def test_what_was_wanted_is_what_was_commanded(tmp_path, record):
    one = read_demonstration(record(tmp_path), JOINTS, T, DT)
    assert len(one) == 30 and one.rate == pytest.approx(15, rel=1e-3) and one.succeeded is None
    np.testing.assert_allclose(one.joints, np.tile(0.01 * np.arange(30)[:, None], 6), atol=1e-9)
    np.testing.assert_allclose(one.targets, np.broadcast_to(0.1 * np.arange(T)[:, None], (30, T, 6)))
    np.testing.assert_allclose(one.gripper, -0.175)
    frames = list(one.frames())
    assert [frame.stamp for frame in frames] == one.stamps.tolist()
    assert np.isnan(frames[4].depth[:10, :10]).all() and frames[4].depth[20, 20] == pytest.approx(0.904)
    assert frames[0].color.shape == (120, 160, 3) and frames[0].intrinsics.fx == 200


def test_without_commands_it_is_where_the_arm_was_later(tmp_path, record):
    one = read_demonstration(record(tmp_path, "/policy/action", "/arm/state"), JOINTS, T, DT)
    later = np.minimum(np.arange(30)[:, None] + 1 + np.arange(T), 29) * 0.01
    np.testing.assert_allclose(one.targets, np.repeat(later[..., None], 6, axis=2), atol=1e-6)
    np.testing.assert_allclose(one.gripper, later, atol=1e-6)
    np.testing.assert_allclose(one.opening, 0.01 * np.arange(30), atol=1e-9)


def test_without_a_trial_every_frame_counts(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path, always=True)
    for name, stamp, data in messages.trial("000", 30):
        if name != "/trial/state":
            recorder.handle(name, stamp, data)
    recorder.close()
    assert len(read_demonstration(tmp_path / "recording", JOINTS, T, DT)) == 30


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("/camera/color/camera_info", "no camera/color/camera_info"),
        ("/joint_states", "joint_states lack J1, J2, J3, J4, J5, J6; they hold nothing"),
        ("/camera/depth_registered/image_raw", "0 frames with colour, depth and joint states"),
    ],
)
def test_says_what_a_bag_lacks(tmp_path, record, without, words):
    with pytest.raises(BagError, match=words):
        read_demonstration(record(tmp_path, without), JOINTS, T, DT)


def test_names_the_joints_that_are_missing(tmp_path, record):
    with pytest.raises(BagError, match=r"lack shoulder; they hold J1, .*chopsticks"):
        read_demonstration(record(tmp_path), [*JOINTS, "shoulder"], T, DT)


def test_a_folder_without_bags(tmp_path):
    with pytest.raises(BagError, match="record demonstrations first"):
        find_demonstrations(tmp_path)


def test_the_expert_s_bag_can_be_learnt_from(tmp_path):
    demonstrator = Demonstrator("clock_button", "hebi", tmp_path, push=0.01)
    status = demonstrator.record("000", 600_000, "rp")
    world = demonstrator.world
    (bag,) = find_demonstrations(tmp_path)
    one = read_demonstration(bag, world.arm.joint_names, T, DT)
    assert status.outcome == Outcome.SUCCESS and one.succeeded is True
    assert one.intrinsics == world.camera.intrinsics and len(one) > 20
    demonstrator.close()
    ahead = np.abs(one.targets[:-1, 0] - one.joints[1:]).max(axis=1)
    assert np.median(ahead) < 0.02, "the arm goes where it was wanted"
    assert ahead.max() > 0.005, "but for the pushes, which nobody wanted"
    assert np.isfinite(one.gripper).all() and np.isfinite(one.opening).all()
    assert sum(1 for _ in one.frames()) == len(one)


def test_pushes_come_and_go():
    from keypoint_core.types import ActionChunk

    pushes, still = Pushes(0.01, 6, 3), Pushes(0.0, 6, 3)
    zeros = [ActionChunk(i * SECOND // 15, DT, np.zeros((T, 6)), np.zeros(T)) for i in range(90)]
    offsets = np.array([pushes.applied_to(chunk).positions[0, 0] for chunk in zeros])
    assert 0.03 < (offsets != 0).mean() < 0.6 and offsets[:4].tolist() == [0, 0, 0, 0]
    assert all((still.applied_to(chunk).positions == 0).all() for chunk in zeros)

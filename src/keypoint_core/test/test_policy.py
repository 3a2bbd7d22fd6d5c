"""The keypoint policy: same observations, same bits; a history that begins full; flags that mean what they say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from keypoint_core.errors import CheckpointError, InputError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpPolicy, KeypointMlpSettings
from keypoint_core.types import ActionChunk, Keypoints, KeypointStatus, Observation, RobotState

N, D, H, T = 4, 6, 3, 5


def settings(**changes: Any) -> KeypointMlpSettings:
    fields: dict[str, Any] = {
        "keypoints": N,
        "joints": D,
        "history": H,
        "horizon": T,
        "dt": 1 / 15,
        "hidden": 32,
        "layers": 2,
        "focal": 600.0,
        "centre": (320.0, 240.0),
        "joint_centre": tuple(0.1 * i for i in range(D)),
        "joint_scale": (0.5,) * D,
        "action_scale": 0.2,
        "gripper_centre": -0.4,
        "gripper_scale": 0.25,
    }
    return KeypointMlpSettings(**{**fields, **changes})


def make_policy(seed: int = 0) -> KeypointMlpPolicy:
    torch.manual_seed(seed)
    return KeypointMlpPolicy(KeypointMlp(settings()))


def observation(index: int, status: tuple[int, ...] = (0,) * N, seed: int = 0) -> Observation:
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    pixels = rng.uniform(0, 480, (N, 2)).astype(np.float32)
    keypoints = Keypoints(
        1000 + index,
        np.arange(N, dtype=np.int32),
        pixels,
        np.ones(N, np.float32),
        np.array(status, np.uint8),
        np.full((N, 3), np.nan, np.float32),
    )
    state = RobotState(1000 + index, rng.uniform(-1, 1, D), np.zeros(D), np.zeros(D), -0.3)
    return Observation(keypoints, state)


def assert_same(a: ActionChunk, b: ActionChunk) -> None:
    assert (a.stamp, a.dt) == (b.stamp, b.dt)
    assert a.positions.tobytes() == b.positions.tobytes() and a.gripper.tobytes() == b.gripper.tobytes()


class Spy(KeypointMlp):
    """Keeps what the network is given."""

    def forward(self, pixels: torch.Tensor, flags: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
        self.given = (pixels.numpy()[0], flags.numpy()[0], joints.numpy()[0])
        return super().forward(pixels, flags, joints)


@pytest.fixture
def spy() -> tuple[KeypointMlpPolicy, Spy]:
    torch.manual_seed(0)
    network = Spy(settings())
    return KeypointMlpPolicy(network), network


def test_shapes_stamp_and_time_step() -> None:
    chunk = make_policy().act(observation(5))
    assert chunk.stamp == 1005 and chunk.dt == 1 / 15
    assert chunk.positions.shape == (T, D) and chunk.positions.dtype == np.float64
    assert chunk.gripper.shape == (T,) and np.isfinite(chunk.positions).all()


def test_equal_observations_give_equal_bits() -> None:
    first, second = make_policy(), make_policy()
    for index in range(6):
        assert_same(first.act(observation(index)), second.act(observation(index)))


def test_reset_forgets_everything() -> None:
    used, fresh = make_policy(), make_policy()
    for index in range(4):
        used.act(observation(index))
    used.reset()
    hidden = (0, KeypointStatus.OCCLUDED, KeypointStatus.LOST, KeypointStatus.OUT_OF_VIEW)
    assert_same(used.act(observation(9, hidden)), fresh.act(observation(9, hidden)))


def test_history_matters() -> None:
    a, b = make_policy(), make_policy()
    a.act(observation(0))
    b.act(observation(1))
    assert not np.array_equal(a.act(observation(2)).positions, b.act(observation(2)).positions)


def test_history_is_newest_first_and_begins_full_of_the_first(spy: tuple[KeypointMlpPolicy, Spy]) -> None:
    policy, network = spy
    seen = [observation(index) for index in range(5)]
    for expected, newest in (((0, 0, 0), 0), ((1, 0, 0), 1), ((2, 1, 0), 2), ((3, 2, 1), 3), ((4, 3, 2), 4)):
        policy.act(seen[newest])
        pixels, _, joints = network.given
        for row, index in enumerate(expected):
            np.testing.assert_array_equal(pixels[row], seen[index].keypoints.pixels)
            np.testing.assert_array_equal(joints[row], seen[index].state.position.astype(np.float32))


def test_flags_are_seen_since_the_start_and_visible_now(spy: tuple[KeypointMlpPolicy, Spy]) -> None:
    policy, network = spy
    policy.act(observation(0, (0, 2, 0, 2)))
    assert network.given[1][0].tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]
    policy.act(observation(1, (1, 0, 0, 2)))
    assert network.given[1][0].tolist() == [[1, 0], [1, 1], [1, 1], [0, 0]]
    assert network.given[1][1].tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]], "the past is not rewritten"


def test_the_pixel_of_a_keypoint_never_seen_does_not_matter() -> None:
    a, b = make_policy(), make_policy()
    one, other = observation(0, (0, 2, 0, 0)), observation(0, (0, 2, 0, 0))
    other.keypoints.pixels[1] = 77.0
    assert_same(a.act(one), b.act(other))


def test_a_tracker_may_reuse_its_arrays() -> None:
    a, b = make_policy(), make_policy()
    reused = observation(0)
    a.act(reused)
    b.act(observation(0))
    reused.keypoints.pixels[:] = 0
    reused.state.position[:] = 0
    assert_same(a.act(observation(1)), b.act(observation(1)))


def test_targets_are_relative_to_the_newest_posture_and_scaled() -> None:
    policy = make_policy()
    for parameter in policy._network.parameters():
        parameter.data.zero_()
    seen = observation(0)
    chunk = policy.act(seen)
    np.testing.assert_array_equal(chunk.positions, np.tile(seen.state.position, (T, 1)))
    np.testing.assert_array_equal(chunk.gripper, np.full(T, -0.4))


def test_normalised_targets_are_undone_by_the_policy() -> None:
    s, rng = settings(), np.random.default_rng(1)
    joints, targets, gripper = rng.normal(size=(1, D)), rng.normal(size=(1, T, D)), rng.normal(size=(1, T))
    tensors = (torch.from_numpy(x) for x in (targets, gripper, joints))
    normal = KeypointMlp(s).normalise_targets(*tensors).numpy()[0]
    np.testing.assert_allclose(joints + normal[:, :-1] * s.action_scale, targets[0])
    np.testing.assert_allclose(normal[:, -1] * s.gripper_scale + s.gripper_centre, gripper[0])


@pytest.mark.parametrize(("keypoints", "joints"), [(N - 1, D), (N + 1, D), (N, D - 1), (N, D + 1), (0, 0)])
def test_other_sizes_are_refused_with_both(keypoints: int, joints: int) -> None:
    n = keypoints
    points = Keypoints(
        1,
        np.arange(n, dtype=np.int32),
        np.zeros((n, 2), np.float32),
        np.ones(n, np.float32),
        np.zeros(n, np.uint8),
        np.zeros((n, 3), np.float32),
    )
    state = RobotState(1, np.zeros(joints), np.zeros(joints), np.zeros(joints))
    words = f"takes {N} keypoints and {D} joints, got {keypoints} and {joints}"
    with pytest.raises(InputError, match=words):
        make_policy().act(Observation(points, state))


def test_saved_and_loaded_it_acts_bit_for_bit_the_same(tmp_path: Path) -> None:
    policy = make_policy(3)
    card = policy.save(tmp_path / "policy.safetensors")
    loaded = KeypointMlpPolicy.load(tmp_path / "policy.safetensors", card)
    assert loaded.settings == policy.settings
    for index in range(5):
        assert_same(policy.act(observation(index)), loaded.act(observation(index)))


def test_saved_settings_are_plain_data(tmp_path: Path) -> None:
    card = make_policy().save(tmp_path / "policy.safetensors")
    assert yaml.safe_load(yaml.safe_dump(card)) == card


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    card = make_policy().save(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="do not fit"):
        KeypointMlpPolicy.load(path, card)


def test_settings_need_one_centre_per_joint() -> None:
    with pytest.raises(InputError, match="6 joints"):
        settings(joint_centre=(0.0,))


def with_gripper(seen: Observation, gripper: float) -> Observation:
    return replace(seen, state=replace(seen.state, gripper=gripper))


def gripping(seed: int = 0) -> KeypointMlpPolicy:
    torch.manual_seed(seed)
    return KeypointMlpPolicy(KeypointMlp(settings(gripper_input=True)))


def test_a_policy_without_gripper_input_does_not_mind_the_gripper() -> None:
    for gripper in (0.2, float("nan")):
        a, b = make_policy(), make_policy()
        assert_same(a.act(observation(0)), b.act(with_gripper(observation(0), gripper)))


def test_a_policy_with_gripper_input_acts_on_it_and_on_its_motion() -> None:
    a, b = gripping(), gripping()
    assert_same(a.act(observation(0)), b.act(observation(0)))
    same, other = observation(1), with_gripper(observation(1), -0.6)
    assert not np.array_equal(a.act(same).positions, b.act(other).positions)
    same, other = observation(2), with_gripper(observation(2), -0.3)
    assert not np.array_equal(a.act(same).positions, b.act(other).positions), "the past differs"


def test_the_grippers_place_and_motion_are_scaled() -> None:
    network = KeypointMlp(settings(gripper_input=True))
    features = network._gripper_features(torch.tensor([[-0.15, -0.4, 0.1]]))
    np.testing.assert_allclose(features, [[1.0, -1.0, 1.0]], atol=1e-6)


def test_a_gripper_that_is_not_measured_is_refused_where_it_is_needed() -> None:
    with pytest.raises(InputError, match="measured gripper"):
        gripping().act(with_gripper(observation(0), float("nan")))


def test_a_gripping_policy_acts_the_same_when_saved_and_loaded(tmp_path: Path) -> None:
    policy = gripping(3)
    card = policy.save(tmp_path / "policy.safetensors")
    loaded = KeypointMlpPolicy.load(tmp_path / "policy.safetensors", card)
    for index in range(4):
        assert_same(policy.act(observation(index)), loaded.act(observation(index)))


def test_a_card_from_before_the_gripper_loads_and_acts_as_before(tmp_path: Path) -> None:
    policy = make_policy(3)
    card = policy.save(tmp_path / "policy.safetensors")
    del card["gripper_input"]
    loaded = KeypointMlpPolicy.load(tmp_path / "policy.safetensors", card)
    for index in range(4):
        assert_same(policy.act(observation(index)), loaded.act(observation(index)))

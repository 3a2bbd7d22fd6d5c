import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import keypoint_sim.gym
from keypoint_core.errors import InputError, UnknownNameError
from keypoint_sim.gym.env import FIRST_SCENE, KeypointEnv
from keypoint_sim.gym.keypoints import spread_keypoints
from keypoint_sim.gym.observations import OBSERVERS
from keypoint_sim.objects import clock
from keypoint_sim.settings import CameraSettings
from keypoint_sim.tasks import TASKS

ID = "keypoint/ClockButton-v0"
SMALL = CameraSettings(
    x=80, y=30, width=160, height=120, full_width=320, full_height=180, fx=152.0, fy=152.0, cx=159.5, cy=91.5
)


@pytest.fixture(scope="module")
def shared_env() -> Iterator[KeypointEnv]:
    env = KeypointEnv(reward="shaped")
    yield env
    env.close()


@pytest.fixture
def env(shared_env: KeypointEnv) -> KeypointEnv:
    shared_env.reset(seed=0)
    return shared_env


def rollout(env: gymnasium.Env, seed: int, steps: int) -> list[np.ndarray]:
    """All that an episode of random actions shows, flattened."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    seen = [np.concatenate([value.ravel() for value in observation.values()])]
    for _ in range(steps):
        observation, reward, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        seen.append(np.concatenate([*(value.ravel() for value in observation.values()), [reward]]))
    return seen


def play_expert(env: KeypointEnv, seed: int) -> tuple[float, bool, bool, dict]:
    """The expert's episode: the sum of rewards, how it ended, and the last info."""
    env.reset(seed=seed)
    total, terminated, truncated, info = 0.0, False, False, {}
    while not (terminated or truncated):
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        total += reward
    return total, terminated, truncated, info


def test_every_task_has_an_environment_of_its_own() -> None:
    ids = {keypoint_sim.gym.environment_id(task): task for task in TASKS}
    assert len(ids) == len(list(TASKS)) and ids[ID] == "clock_button"
    assert keypoint_sim.gym.environment_id("sushi_pick_place") == "keypoint/SushiPickPlace-v0"
    for name, task in ids.items():
        assert gymnasium.spec(name).kwargs == {"task": task}


@pytest.mark.parametrize("observation", OBSERVERS)
def test_gymnasiums_checker_has_nothing_to_say(observation: str) -> None:
    env = gymnasium.make(ID, observation=observation, camera=SMALL, render_mode="rgb_array").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
    assert env.privileged == (observation != "rgbd")
    env.close()


@pytest.mark.parametrize("task", list(TASKS))
def test_every_expert_succeeds_through_controller_and_gate(task: str) -> None:
    env = gymnasium.make(keypoint_sim.gym.environment_id(task)).unwrapped
    assert play_expert(env, 0)[1:3] == (True, False)
    total, terminated, truncated, info = play_expert(env, 1)
    assert (total, terminated, truncated, info["success"], info["reason"]) == (1.0, True, False, True, "")
    env.close()


def test_shaped_reward_is_the_way_to_the_target(env: KeypointEnv) -> None:
    def distance() -> float:
        return float(np.linalg.norm(env.world.data.site("tcp").xpos - env.world.task.target(env.world.data)))

    before = distance()
    rewards = [env.step(env.expert_action())[1] for _ in range(10)]
    assert sum(rewards) == pytest.approx(before - distance()) and sum(rewards) > 0.05


def test_a_step_lasts_a_camera_frame_and_keeps_the_speed_limits(env: KeypointEnv) -> None:
    full = np.ones(7, dtype=np.float32)
    stamps, joints = [], [env.world.state().position]
    for sign in (1, 1, 1, -1, -1, -1):
        env.step(sign * full)
        stamps.append(env.world.stamp)
        joints.append(env.world.state().position)
        assert env.world.frame_due and np.abs(env.world.state().velocity).max() < 1.2 * env.world.arm.velocity.max()
    assert stamps == [70_000_000, 140_000_000, 200_000_000, 270_000_000, 340_000_000, 400_000_000]
    moved = np.abs(np.diff(joints, axis=0))
    assert moved.max() <= env.world.arm.velocity.max() * 0.07 and moved[2].min() > 0.03


def test_a_zero_action_holds_the_arm_and_plus_one_opens_the_gripper(env: KeypointEnv) -> None:
    still, arm = np.zeros(7, dtype=np.float32), env.world.arm
    still[-1] = 1.0
    for _ in range(10):
        observation, *_ = env.step(still)
    np.testing.assert_allclose(observation["joints"], arm.home, atol=2e-3)
    assert observation["gripper"][0] == pytest.approx(arm.gripper.open, abs=0.02)
    still[-1] = -1.0
    for _ in range(10):
        observation, *_ = env.step(still)
    assert observation["gripper"][0] == pytest.approx(arm.gripper.closed, abs=0.02)


def test_truncated_when_time_is_up_terminated_on_failure(env: KeypointEnv) -> None:
    still, ended = np.zeros(7, dtype=np.float32), False
    while not ended:
        _, reward, terminated, ended, info = env.step(still)
        assert not terminated and reward == pytest.approx(0, abs=1e-3)
    assert (info["success"], info["reason"], info["elapsed"]) == (False, "time limit", pytest.approx(12.0))
    env.reset(seed=0)
    env.world.data.joint(clock.JOINT).qpos[0] += 0.05
    _, reward, terminated, truncated, info = env.step(still)
    assert (terminated, truncated, info["reason"]) == (True, False, "clock pushed away")
    with pytest.raises(ResetNeeded):
        env.step(still)


def test_the_safety_gate_stops_an_arm_that_is_held(env: KeypointEnv) -> None:
    action, terminated = np.zeros(7, dtype=np.float32), False
    action[0] = 1.0
    while not terminated:
        env.world.data.qpos[:6] = env.world.arm.home
        _, _, terminated, truncated, info = env.step(action)
        assert not truncated
    assert info["reason"] == "arm stopped: measured and applied positions parted too far" and not info["success"]


def test_a_seed_is_a_scene_and_no_seed_draws_one_that_no_evaluation_uses(env: KeypointEnv) -> None:
    first, info = env.reset(seed=7)
    np.testing.assert_array_equal(info["poses"], env.world.reset(7).poses)
    drawn = [env.reset()[1]["seed"] for _ in range(3)]
    assert len(set(drawn)) == 3 and min(drawn) >= FIRST_SCENE
    again, _ = env.reset(seed=7)
    assert [env.reset()[1]["seed"] for _ in range(3)] == drawn
    np.testing.assert_array_equal(first["pixels"], again["pixels"])


def test_reset_takes_poses_and_a_condition(env: KeypointEnv) -> None:
    _, info = env.reset(seed=3, options={"poses": [[0.4, 0.1, 0.2]], "condition": "light"})
    np.testing.assert_array_equal(info["poses"], [[0.4, 0.1, 0.2]])
    assert info["condition"] == "light" and env.reset(seed=3)[1]["condition"] == "rp"
    with pytest.raises(InputError, match="out of reach"):
        env.reset(seed=3, options={"poses": [[2.0, 0.0, 0.0]]})
    with pytest.raises(UnknownNameError, match="unknown option of reset 'pose'; known: condition, poses"):
        env.reset(seed=3, options={"pose": None})


def test_unknown_names_list_the_known(env: KeypointEnv) -> None:
    with pytest.raises(UnknownNameError, match="unknown observation 'lidar'; known: keypoints, privileged, rgbd"):
        KeypointEnv(observation="lidar")
    with pytest.raises(UnknownNameError, match="unknown reward 'dense'; known: shaped, sparse"):
        KeypointEnv(reward="dense")
    with pytest.raises(UnknownNameError, match="unknown render mode 'human'; known: rgb_array"):
        KeypointEnv(render_mode="human")
    with pytest.raises(UnknownNameError, match="unknown condition 'fog'"):
        KeypointEnv(condition="fog")
    with pytest.raises(InputError, match="7 finite numbers within -1..1, got"):
        env.step(np.full(7, np.nan, dtype=np.float32))


def test_keypoints_lie_on_every_region_and_follow_the_surface(env: KeypointEnv) -> None:
    pixels = spread_keypoints(env.world, 30)
    assert len(np.unique(pixels, axis=0)) == 30
    assert [env.world.attach(pixels).bodies.count(body) for body in ("clock", "clock_button")] == [15, 15]
    with pytest.raises(InputError, match="1..[0-9]+ fit on the reference view of 'clock_button', got 1000000"):
        spread_keypoints(env.world, 1_000_000)


def test_what_deployment_sees_is_the_camera_and_the_arm() -> None:
    env = KeypointEnv(observation="rgbd", camera=SMALL, render_mode="rgb_array")
    observation, _ = env.reset(seed=2)
    assert set(observation) == {"color", "depth", "joints", "joint_velocities", "gripper"}
    frame = env.world.capture()
    np.testing.assert_array_equal(observation["color"], frame.color)
    np.testing.assert_array_equal(env.render(), frame.color)
    np.testing.assert_array_equal(observation["depth"] == 0, np.isnan(frame.depth))
    env.close()


def test_a_teacher_sees_the_whole_state() -> None:
    env = KeypointEnv(observation="privileged")
    observation, info = env.reset(seed=2)
    x, y, yaw = info["poses"][0]
    np.testing.assert_allclose(observation["objects"][0, :3], [x, y, 0], atol=1e-3)
    np.testing.assert_allclose(observation["objects"][0, 3:7], [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)], atol=1e-3)
    np.testing.assert_allclose(observation["target"], env.world.task.target(env.world.data), atol=1e-6)
    env.world.data.joint(clock.JOINT).qvel[:] = [0, 0, 1.0, 0, 0, 3.0]  # thrown, so that nothing but gravity acts
    thrown, *_ = env.step(np.zeros(7, dtype=np.float32))
    fallen = 9.81 * env.world.stamp * 1e-9
    np.testing.assert_allclose(thrown["objects"][0, 7:], [0, 0, 1.0 - fallen, 0, 0, 3.0], atol=0.03)
    env.close()


def test_processes_see_what_a_single_environment_sees() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 2, 7)).astype(np.float32)
    vector = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="async", vector_kwargs={"context": "spawn"})
    observations, _ = vector.reset(seed=11)
    together = [observations] + [vector.step(action)[0] for action in actions]
    vector.close()
    env = KeypointEnv()
    for index in range(2):
        observation, _ = env.reset(seed=11 + index)
        alone = [observation] + [env.step(action[index])[0] for action in actions]
        for one, many in zip(alone, together, strict=True):
            for name, value in one.items():
                np.testing.assert_array_equal(value, many[name][index], err_msg=name)
    env.close()


def test_history_does_not_leak_into_the_next_episode(env: KeypointEnv) -> None:
    first = rollout(env, 4, 8)
    rollout(env, 5, 3)
    for one, other in zip(first, rollout(env, 4, 8), strict=True):
        np.testing.assert_array_equal(one, other)

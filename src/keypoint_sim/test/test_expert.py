from collections.abc import Iterator

import numpy as np
import pytest

from keypoint_core.types import ActionChunk
from keypoint_sim.experts import DT, HORIZON, ChunkPlayer
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome, TaskStatus, Tool
from keypoint_sim.world import World

MAX_SPEED = 0.25  # [m/s]
CELLS = [(task, robot) for task in TASKS for robot in ROBOTS]


@pytest.fixture(scope="module", params=CELLS, ids="-".join)
def any_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Every task with every robot; tests that share one are run one after the other."""
    world = World(*request.param)
    yield world
    world.close()


def check_chunk(chunk: ActionChunk, world: World, arm: ArmKinematics) -> None:
    """Shape, joint limits, joint speeds and the tool's speed."""
    assert chunk.positions.shape == (HORIZON, len(world.arm.joints)) and chunk.gripper.shape == (HORIZON,)
    assert chunk.stamp == world.stamp and chunk.dt == DT
    rows = np.vstack([world.state().position, chunk.positions])
    assert (np.abs(np.diff(rows, axis=0)) <= world.arm.velocity * DT).all()
    assert (chunk.positions >= world.arm.lower).all() and (chunk.positions <= world.arm.upper).all()
    low, high = world.arm.gripper.range
    assert (chunk.gripper >= low).all() and (chunk.gripper <= high).all()
    path = np.array([arm.forward(row)[0] for row in rows])
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() <= MAX_SPEED * DT


def spoilt(chunk: ActionChunk, rng: np.random.Generator) -> ActionChunk:
    """One chunk in six leads astray, by a centimetre or so."""
    if rng.random() >= 1 / 6:
        return chunk
    return ActionChunk(
        chunk.stamp, chunk.dt, chunk.positions + rng.normal(0, 0.02, len(chunk.positions[0])), chunk.gripper
    )


def play_checked(world: World, seed: int, rng: np.random.Generator | None = None) -> TaskStatus:
    """Plays the expert and checks every chunk; with random numbers, some chunks are spoilt first."""
    world.reset(seed)
    arm, expert, state = ArmKinematics(world.model, world.robot), world.expert(), world.state()
    player, period = ChunkPlayer(state.position, state.gripper), world.timing.control_period
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            chunk = expert.act()
            check_chunk(chunk, world, arm)
            player.take(spoilt(chunk, rng) if rng else chunk)
        world.step(player.command(world.stamp + period, period))
    return world.status()


def test_succeeds_within_the_limits_of_joints_and_tool(any_world: World) -> None:
    status = play_checked(any_world, 0)
    assert status.outcome == Outcome.SUCCESS, status
    assert status.elapsed < 0.7 * any_world.task.time_limit


def test_the_wish_depends_on_the_measured_state_alone(any_world: World) -> None:
    """Whatever was asked or done before: equal observations have equal labels."""
    world = any_world
    world.reset(3)
    arm, gripper = ArmKinematics(world.model, world.robot), world.robot.gripper()
    tool = Tool(*arm.forward(world.arm.home), gripper.opening(world.arm.gripper_home), gripper)
    first = world.task.waypoint(world.data, tool)
    away = Tool(tool.position + (0.1, 0.05, -0.1), tool.rotation, gripper.widest, gripper)
    world.task.waypoint(world.data, away)
    again = world.task.waypoint(world.data, tool)
    np.testing.assert_array_equal(first.position, again.position)
    np.testing.assert_array_equal(first.rotation, again.rotation)
    assert (first.speed, first.opening) == (again.speed, again.opening)


def test_act_is_a_function_of_the_state(world: World) -> None:
    one, other = world.expert(), world.expert()
    one.act()
    np.testing.assert_array_equal(one.act().positions, other.act().positions)


def test_recovers_from_where_a_poor_student_led(any_world: World) -> None:
    """The labels must still end in success, and keep every limit on the way."""
    seeds = (0, 1) if any_world.robot.name == "hebi_chopsticks" else (2,)
    ends = [play_checked(any_world, seed, np.random.default_rng(seed)) for seed in seeds]
    assert all(end.outcome == Outcome.SUCCESS for end in ends), ends

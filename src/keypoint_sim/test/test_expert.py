import numpy as np

from keypoint_core.types import ActionChunk
from keypoint_sim.experts import DT, HORIZON, ChunkPlayer
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World

MAX_SPEED = 0.25  # [m/s]


def test_chunks_keep_the_joints_and_the_tools_speed_limits(world: World) -> None:
    arm = ArmKinematics(world.model, world.robot)
    expert, state = world.expert(), world.state()
    player = ChunkPlayer(state.position, state.gripper)
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            chunk = expert.act()
            assert chunk.positions.shape == (HORIZON, 6) and chunk.stamp == world.stamp and chunk.dt == DT
            rows = np.vstack([world.state().position, chunk.positions])
            assert (np.abs(np.diff(rows, axis=0)) <= world.arm.velocity * DT).all()
            assert (chunk.positions >= world.arm.lower).all() and (chunk.positions <= world.arm.upper).all()
            path = np.array([arm.forward(row)[0] for row in rows])
            assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() <= MAX_SPEED * DT
            player.take(chunk)
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
    assert world.status().outcome == Outcome.SUCCESS


def test_act_is_a_function_of_the_state(world: World) -> None:
    one, other = world.expert(), world.expert()
    one.act()
    np.testing.assert_array_equal(one.act().positions, other.act().positions)


def test_expert_recovers_from_where_a_poor_student_led(world: World) -> None:
    """One chunk in six leads a centimetre astray; the expert's labels must still end in success, and stay finite."""
    succeeded = 0
    for seed in range(10):
        world.reset(seed)
        rng = np.random.default_rng(seed)
        expert, state = world.expert(), world.state()
        player = ChunkPlayer(state.position, state.gripper)
        while world.status().outcome == Outcome.RUNNING:
            if world.frame_due:
                chunk = expert.act()
                assert np.isfinite(chunk.positions).all()
                if rng.random() < 1 / 6:
                    spoilt = chunk.positions + rng.normal(0, 0.02, 6)
                    chunk = ActionChunk(chunk.stamp, chunk.dt, spoilt, chunk.gripper)
                player.take(chunk)
            world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
        succeeded += world.status().outcome == Outcome.SUCCESS
    assert succeeded >= 9

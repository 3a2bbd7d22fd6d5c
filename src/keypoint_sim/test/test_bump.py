"""The camera that is knocked against, and what is known of where it stands."""

import numpy as np
import pytest

from keypoint_core.geometry.pose import Pose, difference
from keypoint_core.types import ArmCommand, Float64
from keypoint_sim.disturbances.bump import SECONDS, Bump
from keypoint_sim.experts import ChunkPlayer, play
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World


def the_bump(world: World) -> Bump:
    (bump,) = world._scenario.events
    assert isinstance(bump, Bump)
    return bump


def hold(world: World) -> ArmCommand:
    return ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home)


def in_base(world: World) -> Float64:
    """Where the camera really is."""
    pose = world.camera_pose.copy()
    pose[:3, 3] -= world.robot.base
    return pose


def camera_poses(world: World) -> list[Float64]:
    """After each tick of the expert's trial."""
    state = world.state()
    player, expert, poses = ChunkPlayer(state.position, state.gripper), world.expert(), []
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
        poses.append(world.camera_pose.copy())
    return poses


def test_knocks_are_within_their_bounds_and_in_all_directions(world: World) -> None:
    knocks = []
    for seed in range(60):
        world.reset(seed, "bump")
        knocks.append(the_bump(world))
    shifts, turns = (np.array([getattr(knock, name) for knock in knocks]) for name in ("shift", "turn"))
    for values, low, high in ((shifts, 0.02, 0.03), (np.rad2deg(turns), 2.0, 3.0)):
        lengths = np.linalg.norm(values, axis=1)
        assert lengths.min() >= low - 1e-9 and lengths.max() <= high + 1e-9 and np.ptp(lengths) > 0.7 * (high - low)
        assert (values.min(axis=0) < 0).all() and (values.max(axis=0) > 0).all()
    assert all(0.35 <= knock.when <= 0.8 for knock in knocks)


def test_the_camera_is_knocked_once_during_the_approach_and_stays(world: World) -> None:
    world.reset(3, "rp+bump")
    bump, stand = the_bump(world), world.camera_pose.copy()
    poses = camera_poses(world)
    moving = np.flatnonzero([not np.array_equal(a, b) for a, b in zip(poses[:-1], poses[1:], strict=True)])
    assert 0.8 * SECONDS < (moving[-1] - moving[0] + 1) * 0.01 < 1.3 * SECONDS
    assert (np.diff(moving) == 1).all() and moving[0] > 10 and moving[-1] < len(poses) - 10
    np.testing.assert_array_equal(poses[0], stand)
    distance, angle = difference(stand, poses[-1])
    assert distance == pytest.approx(np.linalg.norm(bump.shift)) and angle == pytest.approx(np.linalg.norm(bump.turn))
    assert world.status().outcome == Outcome.SUCCESS, "nothing but the camera is moved"


def test_without_an_approach_nothing_is_knocked(world: World) -> None:
    world.reset(3, "bump")
    stand = world.camera_pose.copy()
    for _ in range(200):
        world.step(hold(world))
    np.testing.assert_array_equal(world.camera_pose, stand)


def test_physics_do_not_feel_it_and_the_next_scene_forgets_it(world: World) -> None:
    states = []
    for condition in ("rp", "rp+bump"):
        world.reset(4, condition)
        stand = world.camera_pose.copy()
        assert play(world, world.expert()).outcome == Outcome.SUCCESS
        states.append(world.data.qpos.copy())
    np.testing.assert_array_equal(*states)
    assert difference(stand, world.camera_pose)[0] > 0.015
    world.reset(4, "rp")
    np.testing.assert_array_equal(world.camera_pose, stand)


def test_a_moved_camera_is_knocked_from_where_it_stands(world: World) -> None:
    world.reset(6, "rp+camera")
    stand = world.camera_pose.copy()
    world.reset(6, "rp+camera+bump")
    np.testing.assert_array_equal(world.camera_pose, stand)
    knocked = camera_poses(world)[-1]
    assert difference(stand, knocked)[0] == pytest.approx(np.linalg.norm(the_bump(world).shift))


def test_a_snapshot_keeps_its_camera_and_truth_follows(world: World) -> None:
    points = world.attach(np.array([[318.0, 350.0]]))
    world.reset(3, "rp+bump")
    before, (pixel, _, _) = world.snapshot(), world.tracks(points)
    stand = before.camera.copy()
    (running,) = world._events
    running._way = 1e9
    for _ in range(round(SECONDS * 100) + 2):
        world.step(hold(world))
    np.testing.assert_array_equal(before.camera, stand)
    after, (moved, _, _) = world.snapshot(), world.tracks(points)
    assert difference(after.camera, stand)[0] > 0.015 and np.linalg.norm(moved - pixel) > 5


@pytest.mark.parametrize("condition", ["rp", "light+camera"])
def test_a_calibration_is_nearly_right_and_always_the_same(world: World, condition: str) -> None:
    poses = []
    for seed in range(20):
        world.reset(seed, condition)
        pose = world.calibration()
        assert isinstance(pose, Pose)
        distance, angle = difference(in_base(world), pose.matrix)
        assert distance == pytest.approx(0.002, abs=1e-6) and np.rad2deg(angle) == pytest.approx(0.15, abs=1e-4)
        poses.append(pose)
    world.reset(0, condition)
    assert world.calibration() == poses[0] != poses[1]


def test_a_calibration_knows_nothing_of_the_knock(world: World) -> None:
    world.reset(3, "rp+bump")
    before = world.calibration()
    camera_poses(world)
    assert world.calibration() == before
    assert difference(in_base(world), before.matrix)[0] > 0.015


@pytest.mark.parametrize("robot", ["hebi_chopsticks", "franka"])
def test_a_calibration_is_given_in_the_base_frame(robot: str) -> None:
    world = World(robot=robot)
    expected = world.camera_pose[:3, 3] - np.array(world.robot.base)
    np.testing.assert_allclose(world.calibration().position, expected, atol=0.0021)

"""What happens during a trial: the hand that hides, the push that displaces."""

import mujoco
import numpy as np
import pytest

from keypoint_core.types import ArmCommand, Float64
from keypoint_sim.disturbances.hand import BODY
from keypoint_sim.disturbances.nudge import SECONDS, Nudge
from keypoint_sim.disturbances.occluder import Pass
from keypoint_sim.experts import ChunkPlayer, play
from keypoint_sim.objects import clock
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World

FACE = SurfacePoints(
    (clock.BODY,) * 9, np.array([[0.027, y, z] for y in (-0.025, 0, 0.025) for z in (0.04, 0.06, 0.08)])
)


def hold(world: World) -> ArmCommand:
    return ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home)


def the_pass(world: World) -> Pass:
    (event,) = world._scenario.events
    assert isinstance(event, Pass)
    return event


def the_nudge(world: World) -> Nudge:
    nudge = world._scenario.events[-1]
    assert isinstance(nudge, Nudge)
    return nudge


def clock_pose(world: World) -> Float64:
    """x, y, yaw."""
    qpos = world.data.joint(clock.JOINT).qpos
    return np.array([qpos[0], qpos[1], 2 * np.arctan2(qpos[6], qpos[3])])


def approach(world: World, until: float) -> list[Float64]:
    """Poses of the clock while the expert acts, for so many seconds or to the end."""
    state = world.state()
    player, expert, poses = ChunkPlayer(state.position, state.gripper), world.expert(), []
    while world.status().outcome == Outcome.RUNNING and world.stamp * 1e-9 < until:
        if world.frame_due:
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
        poses.append(clock_pose(world))
    return poses


def test_the_hand_covers_the_object_for_most_seeds(world: World) -> None:
    hidden = []
    for seed in range(20):
        world.reset(seed, "occluder")
        way = the_pass(world)
        assert 0.4 <= way.start <= 2.0 and 1.0 <= way.duration <= 2.0
        _, before, _ = world.tracks(FACE)
        assert before.all()
        world.data.mocap_pos[:] = way.position(way.start + way.duration / 2)
        mujoco.mj_kinematics(world.model, world.data)
        hidden.append(1 - world.tracks(FACE)[1].mean())
    assert np.mean(np.array(hidden) > 0.5) >= 0.8


def test_the_hand_comes_and_goes(world: World) -> None:
    world.reset(2, "occluder")
    way, seen = the_pass(world), []
    while world.stamp * 1e-9 < way.start + way.duration + 0.2:
        if world.frame_due:
            seen.append((world.stamp * 1e-9, world.tracks(FACE)[1].mean()))
        world.step(hold(world))
    times, visible = np.array(seen).T
    inside = (times > way.start) & (times < way.start + way.duration)
    assert visible[~inside].min() == 1.0 and visible[inside].min() < 0.5
    np.testing.assert_array_equal(world.data.mocap_pos[0], way.position(99.0))


def test_the_hand_is_in_the_picture_only_while_it_passes(world: World) -> None:
    world.reset(2, "rp")
    clean = world.capture().color.astype(int)
    world.reset(2, "occluder")
    parked = world.capture().color
    assert (np.abs(parked - clean).max(axis=2) > 40).mean() < 0.001
    way = the_pass(world)
    while world.stamp * 1e-9 < way.start + way.duration / 2:
        world.step(hold(world))
    assert (np.abs(world.capture().color - clean).max(axis=2) > 40).mean() > 0.04


def test_the_hand_touches_nothing(world: World) -> None:
    """The trial's physics are those without it, bit by bit."""
    states = []
    for condition in ("rp", "occluder"):
        world.reset(4, condition)
        assert play(world, world.expert()).outcome == Outcome.SUCCESS
        states.append(world.data.qpos.copy())
    np.testing.assert_array_equal(*states)
    geoms = world.model.geom_bodyid == world.model.body(BODY).id
    assert geoms.any() and not world.model.geom_contype[geoms].any() and not world.model.geom_conaffinity[geoms].any()


def test_nudges_are_within_their_bounds(world: World) -> None:
    placement, shifts, turns = world.task.placements[0], [], []
    for seed in range(80):
        pose = np.array(world.reset(seed, "nudge").pose)
        nudge = the_nudge(world)
        shifts.append(np.hypot(*nudge.shift))
        turns.append(abs(np.rad2deg(nudge.turn)))
        end = pose + (*nudge.shift, nudge.turn)
        assert (end >= placement.low).all() and (end <= placement.high).all()
        assert 0.35 <= nudge.when <= 0.8
    assert 0.02 <= min(shifts) < 0.025 and 0.045 < max(shifts) <= 0.05
    assert max(turns) <= 20.0 and max(turns) > 15.0


def test_a_nudge_moves_the_clock_smoothly_during_the_approach(world: World) -> None:
    for seed in range(3):
        start = np.array(world.reset(seed, "nudge").pose)
        nudge = the_nudge(world)
        poses = np.array(approach(world, 30.0))
        assert world.status().outcome == Outcome.SUCCESS, world.status()
        moved = np.hypot(*(poses - start)[:, :2].T)
        ticks = np.flatnonzero(np.diff(moved) > 1e-5)
        assert 0.5 * SECONDS < (ticks[-1] - ticks[0]) * 0.01 < 1.2 * SECONDS
        np.testing.assert_allclose(poses[ticks[-1] + 5], start + (*nudge.shift, nudge.turn), atol=2e-3)
        assert np.abs(np.diff(poses[:, :2], axis=0)).max() / 0.01 < 0.25  # [m/s]


def test_a_nudged_object_is_at_rest_and_counts_as_kept(world: World) -> None:
    pose = np.array(world.reset(1, "nudge").pose)
    nudge = the_nudge(world)
    approach(world, 5.0)
    world.reset(1, "nudge")
    (running,) = world._events
    running._way = 1e9  # the tool is near at once
    for _ in range(round(SECONDS * 100) + 2):
        world.step(hold(world))
    np.testing.assert_allclose(clock_pose(world), pose + (*nudge.shift, nudge.turn), atol=1e-3)
    assert np.abs(world.data.joint(clock.JOINT).qvel).max() < 5e-3
    assert np.hypot(*nudge.shift) > 0.02 and world.status().outcome == Outcome.RUNNING
    world.data.joint(clock.JOINT).qpos[0] += 0.035
    world.step(hold(world))
    assert world.status().reason == "clock pushed away"


def test_without_an_approach_nothing_is_nudged(world: World) -> None:
    start = np.array(world.reset(3, "nudge").pose)
    for _ in range(300):
        world.step(hold(world))
    np.testing.assert_allclose(clock_pose(world), start, atol=1e-4)


def test_what_is_touched_is_not_nudged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    start = np.array(world.reset(3, "nudge").pose)
    (running,) = world._events
    monkeypatch.setattr(running, "_touched", lambda: True)
    running._way = 1e9
    for _ in range(60):
        world.step(hold(world))
    np.testing.assert_allclose(clock_pose(world), start, atol=1e-4)


def test_touching_is_noticed(world: World) -> None:
    world.reset(5, "nudge")
    (running,) = world._events
    assert not running._touched()
    touched = []
    state = world.state()
    player, expert = ChunkPlayer(state.position, state.gripper), world.expert()
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
        touched.append(running._touched())
    assert world.status().outcome == Outcome.SUCCESS and any(touched) and not touched[0]


def test_the_expert_copes_with_nudge_and_hand(world: World) -> None:
    succeeded = 0
    for seed in range(8):
        world.reset(seed, "nudge+occluder")
        succeeded += play(world, world.expert()).outcome == Outcome.SUCCESS
    assert succeeded == 8

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from keypoint_core.types import ActionChunk, ArmCommand
from keypoint_sim.experts import ChunkPlayer, play
from keypoint_sim.objects import hand_clock as clock
from keypoint_sim.tasks.base import Outcome, Tool
from keypoint_sim.tasks.clock_hand import BEHIND, DEPTH, ENOUGH, HOVER, RADIUS, START, polar
from keypoint_sim.world import World

DIRECTIONS = {"clock_hand": 1.0, "clock_hand_counterclockwise": -1.0}
BOTH = pytest.mark.parametrize("task", DIRECTIONS)


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, World]]:
    worlds = {task: World(task) for task in DIRECTIONS}
    yield worlds
    for world in worlds.values():
        world.close()


@pytest.fixture
def world(worlds: dict[str, World]) -> World:
    worlds["clock_hand"].reset(0)
    return worlds["clock_hand"]


def hold(world: World, seconds: float) -> None:
    command = ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home)
    for _ in range(round(seconds * 100)):
        world.step(command)


def angle(world: World) -> float:
    """Of the hand, clockwise from the 12 [rad]."""
    return float(world.data.joint(clock.HAND_JOINT).qpos[0])


def wish(world: World, behind: float, height: float) -> tuple[np.ndarray, float]:
    """Where the expert wants a tool that is so far behind the hand [rad] and over the dial [m]: its height, its step
    along the arc [m]."""
    face = world.data.body(clock.FACE_BODY)
    rotation = face.xmat.reshape(3, 3)
    at = angle(world) - DIRECTIONS[world.task.name] * behind
    place = polar(RADIUS, at)
    tcp = face.xpos + rotation @ np.array([height, *place])
    goal = world.task.waypoint(world.data, Tool(tcp, np.eye(3), 0.0, world.robot.gripper())).position
    out, right, up = rotation.T @ (goal - face.xpos)
    along = DIRECTIONS[world.task.name] * np.array([np.cos(at), -np.sin(at)])
    return out, float((np.array([right, up]) - place) @ along)


@BOTH
@pytest.mark.parametrize("robot", ["hebi_chopsticks", "franka"])
def test_expert_turns_the_hand_the_asked_way(task: str, robot: str) -> None:
    world = World(task, robot)
    for seed in range(3):
        world.reset(seed)
        start = angle(world)
        status = play(world, world.expert())
        assert status.outcome == Outcome.SUCCESS, f"seed {seed}: {status}"
        assert DIRECTIONS[task] * (angle(world) - start) >= ENOUGH
        assert status.elapsed < 7.0
    world.close()


@BOTH
def test_expert_recovers_from_where_a_poor_student_led(worlds: dict[str, World], task: str) -> None:
    world, succeeded = worlds[task], 0
    for seed in range(5):
        world.reset(seed)
        rng, expert, state = np.random.default_rng(seed), world.expert(), world.state()
        player = ChunkPlayer(state.position, state.gripper)
        while world.status().outcome == Outcome.RUNNING:
            if world.frame_due:
                chunk = expert.act()
                spoilt = chunk.positions + (rng.random() < 1 / 6) * rng.normal(0, 0.02, 6)
                player.take(ActionChunk(chunk.stamp, chunk.dt, spoilt, chunk.gripper))
            world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
        succeeded += world.status().outcome == Outcome.SUCCESS
    assert succeeded >= 4


@BOTH
def test_expert_goes_down_behind_the_hand_and_pushes_there_only(worlds: dict[str, World], task: str) -> None:
    world = worlds[task]
    world.reset(1)
    height, step = wish(world, BEHIND, DEPTH + HOVER)
    assert height == pytest.approx(DEPTH) and step == pytest.approx(0.0, abs=1e-9)
    height, step = wish(world, np.deg2rad(20), DEPTH)
    assert height == pytest.approx(DEPTH) and step > 0.01
    height, step = wish(world, -np.deg2rad(20), DEPTH)  # before the hand: out first, not through it
    assert height > clock.HAND_HIGH + clock.KNOB[2] and step == pytest.approx(0.0, abs=1e-9)
    height, step = wish(world, -np.deg2rad(20), DEPTH + HOVER)  # then over it
    assert height > clock.HAND_HIGH + clock.KNOB[2] and step < -0.02


def test_the_hand_starts_anywhere_near_twelve_and_at_twelve_in_the_reference(world: World) -> None:
    starts = []
    for seed in range(30):
        world.reset(seed)
        starts.append(angle(world))
    assert min(starts) < -START / 2 and max(starts) > START / 2 and np.abs(starts).max() <= START
    world.reset(7)
    assert angle(world) == starts[7]
    reference, _ = world._reference_state()
    assert reference.joint(clock.HAND_JOINT).qpos[0] == 0.0


def test_the_hand_and_the_clock_stay_where_they_are_left(world: World) -> None:
    world.reset(3)
    start, pose = angle(world), world.data.joint(clock.JOINT).qpos.copy()
    hold(world, 3.0)
    assert angle(world) == pytest.approx(start, abs=np.deg2rad(0.1))
    np.testing.assert_allclose(world.data.joint(clock.JOINT).qpos, pose, atol=1e-4)


def test_the_clock_weighs_and_grips_what_it_says(world: World) -> None:
    """Eight newtons do not move it; twenty do, and that is a failure."""
    body = int(world.model.body(clock.BODY).id)
    assert world.model.body_subtreemass[body] == pytest.approx(clock.MASS + clock.FACE_MASS + clock.HAND_MASS)
    world.data.xfrc_applied[body, 1] = 8.0
    hold(world, 0.5)
    assert world.status().outcome == Outcome.RUNNING
    world.data.xfrc_applied[body, 1] = 20.0
    hold(world, 0.5)
    assert (world.status().outcome, world.status().reason) == (Outcome.FAILURE, "clock moved")


@BOTH
@pytest.mark.parametrize(
    ("turned", "verdict"),
    [
        (59, (Outcome.RUNNING, "")),
        (61, (Outcome.SUCCESS, "")),
        (-25, (Outcome.RUNNING, "")),
        (-61, (Outcome.FAILURE, "hand turned the wrong way")),
    ],
)
def test_verdict_of_a_turned_hand(
    worlds: dict[str, World], task: str, turned: float, verdict: tuple[Outcome, str]
) -> None:
    world = worlds[task]
    world.reset(2)
    world.data.joint(clock.HAND_JOINT).qpos[0] += DIRECTIONS[task] * np.deg2rad(turned)
    hold(world, 0.01)
    assert (world.status().outcome, world.status().reason) == verdict


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((0.021, 0, 0), "clock moved"),
        ((0, 0, np.deg2rad(16)), "clock moved"),
        ((0, np.deg2rad(16), 0), "clock knocked over"),
    ],
)
def test_moving_the_clock_fails(world: World, change: tuple[float, float, float], reason: str) -> None:
    shift, tilt, yaw = change
    joint, turn = world.data.joint(clock.JOINT), np.zeros(4)
    joint.qpos[0] += shift
    joint.qpos[2] += 0.03 * (tilt > 0)
    mujoco.mju_euler2Quat(turn, np.array([0.0, tilt, yaw]), "xyz")
    rotated = np.zeros(4)
    mujoco.mju_mulQuat(rotated, joint.qpos[3:7].copy(), turn)
    joint.qpos[3:7] = rotated
    hold(world, 0.01)
    assert (world.status().outcome, world.status().reason) == (Outcome.FAILURE, reason)


def test_a_nudge_moves_what_is_to_be_kept_but_not_where_the_hand_began(world: World) -> None:
    start = angle(world)
    world.data.joint(clock.JOINT).qpos[0] += 0.04
    world.data.joint(clock.HAND_JOINT).qpos[0] = start + np.deg2rad(40)
    mujoco.mj_kinematics(world.model, world.data)
    world.task.keep(world.data)
    hold(world, 0.01)
    assert world.status().outcome == Outcome.RUNNING
    world.data.joint(clock.HAND_JOINT).qpos[0] = start + np.deg2rad(61)
    hold(world, 0.01)
    assert world.status().outcome == Outcome.SUCCESS


def test_the_reference_view_shows_clock_and_hand(world: World) -> None:
    grid = np.stack(np.meshgrid(np.arange(200, 440, 4.0), np.arange(240, 460, 4.0)), axis=-1).reshape(-1, 2)
    seen = world.attach(grid).bodies
    counts = {region: sum(body in bodies for body in seen) for region, bodies in world.task.regions.items()}
    assert counts["clock"] > 500 and counts["hand"] > 25

from collections.abc import Callable, Iterator

import mujoco
import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_core.types import Float64
from keypoint_sim.experts import ChunkPlayer, play
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.objects import nigiri, plate
from keypoint_sim.rng import Stream, generator
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks.base import Outcome, TaskStatus, Tool, tool_down
from keypoint_sim.tasks.sushi_moves import CLOSES, HOLDS, OPEN, between, grip
from keypoint_sim.tasks.sushi_pick_place import GAP, HOLD_STILL, NEAR, PLATE, REACHES, SUSHI, SushiPickPlace
from keypoint_sim.world import World


@pytest.fixture(scope="module", params=sorted(ROBOTS))
def any_arm(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World("sushi_pick_place", request.param)
    yield world
    world.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    world = World("sushi_pick_place")
    yield world
    world.close()


@pytest.fixture
def sushi(shared: World) -> World:
    shared.reset(0)
    return shared


def lay(world: World, x: float, y: float, z: float = 0.0) -> None:
    """Puts the nigiri somewhere else, at rest [m]."""
    joint = world.data.joint(nigiri.JOINT)
    joint.qpos[:], joint.qvel[:] = [x, y, z, 1, 0, 0, 0], 0
    mujoco.mj_forward(world.model, world.data)


def lay_on_plate(world: World, off: float = 0.0) -> None:
    x, y, _ = world.data.body(plate.BODY).xpos
    lay(world, x, y + off, plate.FLOOR + 0.0005)


def height(world: World) -> float:
    return float(world.data.body(nigiri.BODY).xpos[2])


def with_clutter(task: SushiPickPlace, piece: Float64, dish: Float64) -> Float64:
    """Poses [4, 3] of which the first two are given."""
    for seed in range(1000):
        poses = task.sample(np.random.default_rng(seed))
        poses[:2] = piece, dish
        try:
            return task.check(poses)
        except InputError:
            continue
    raise RuntimeError("no free place for the clutter")


def test_expert_serves_from_the_corners_of_the_poses(any_arm: World) -> None:
    low, high = np.array(SUSHI.low), np.array(SUSHI.high)
    near, away = np.array(PLATE.low), np.array(PLATE.high)
    for corner in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1)):
        far = np.array([1 - corner[0], 1, corner[1]])
        poses = with_clutter(any_arm.task, low + (high - low) * corner, near + (away - near) * far)
        any_arm.reset(1, poses=poses)
        status = play(any_arm, any_arm.expert())
        assert status.outcome == Outcome.SUCCESS and status.elapsed < 9, (poses[0], status)


def test_expert_takes_up_again_what_it_lost(any_arm: World) -> None:
    """Snatched out of the grip twice, once on the way up and once over the plate."""
    any_arm.reset(3, poses=any_arm.task.nominal())
    expert, state = any_arm.expert(), any_arm.state()
    player, period = ChunkPlayer(state.position, state.gripper), any_arm.timing.control_period
    losses = [(0.45, -0.02), (0.52, -0.10)]
    while any_arm.status().outcome == Outcome.RUNNING:
        if losses and height(any_arm) > 0.02 * (3 - len(losses)):
            lay(any_arm, *losses.pop(0))
        if any_arm.frame_due:
            player.take(expert.act())
        any_arm.step(player.command(any_arm.stamp + period, period))
    assert not losses
    assert any_arm.status().outcome == Outcome.SUCCESS, any_arm.status()


@pytest.mark.parametrize(
    ("along", "down", "held", "closes"),
    [
        (0.0, 0.0, True, True),
        (0.0, -0.013, True, True),  # the sticks' tips on the table
        (0.0, 0.010, True, False),
        (0.0, 0.014, False, False),  # above the sticks' tips by most of its height
        (0.020, 0.0, True, False),
        (0.025, 0.0, False, False),
    ],
)
def test_what_is_deep_between_the_fingers_is_held(
    any_arm: World, along: float, down: float, held: bool, closes: bool
) -> None:
    """What is not held is let go, in the air as well, so more is held than the fingers would close on."""
    gripper, frame = any_arm.robot.gripper(), (np.array([0.4, 0.0, 0.1]), tool_down(0.3))
    tool = Tool(*frame, nigiri.WIDTH, gripper)
    point = frame[0] + frame[1] @ (gripper.center(nigiri.WIDTH), along, down)
    assert (between(tool, frame, point, HOLDS), between(tool, frame, point, CLOSES)) == (held, closes)


def test_a_plan_carries_the_nigiri_along(sushi: World) -> None:
    """A chunk made in the air neither opens the gap nor goes too far, although in a plan nothing but the tool moves."""
    expert, state, arm = sushi.expert(), sushi.state(), ArmKinematics(sushi.model, sushi.robot)
    player, period = ChunkPlayer(state.position, state.gripper), sushi.timing.control_period
    gripper, held, end = sushi.robot.gripper(), 0, float(sushi.data.body(plate.BODY).xpos[1])
    while sushi.status().outcome == Outcome.RUNNING:
        if sushi.frame_due:
            chunk = expert.act()
            player.take(chunk)
            if height(sushi) > 0.04:
                held += 1
                path = np.array([arm.forward(row)[0] for row in chunk.positions])
                beside = path[:, 1] + gripper.center(nigiri.WIDTH)
                assert (np.diff(path[:, 1]) > -0.001).all() and beside.max() < end + 0.003
                assert (path[:-1, 2] > 0.02).all() and (chunk.gripper[0] == gripper.position(0.0)).all()
        sushi.step(player.command(sushi.stamp + period, period))
    assert held > 10 and sushi.status().outcome == Outcome.SUCCESS


def test_success_takes_a_second_of_lying_still_and_free(sushi: World, rest: Callable[..., TaskStatus]) -> None:
    lay_on_plate(sushi, off=0.027)
    assert rest(sushi, HOLD_STILL - 0.05).outcome == Outcome.RUNNING
    lay_on_plate(sushi)
    sushi.data.joint(nigiri.JOINT).qvel[0] = 0.1
    assert rest(sushi, HOLD_STILL - 0.05).outcome == Outcome.RUNNING  # it was moved: the second begins anew
    assert rest(sushi, 0.2).outcome == Outcome.SUCCESS


def test_at_the_rim_it_is_not_on_the_plate(sushi: World, rest: Callable[..., TaskStatus]) -> None:
    lay_on_plate(sushi, off=0.034)
    assert rest(sushi, 1.5 * HOLD_STILL).outcome == Outcome.RUNNING


def test_what_the_tool_still_surrounds_is_not_released(sushi: World, rest: Callable[..., TaskStatus]) -> None:
    arm, (x, y, _) = ArmKinematics(sushi.model, sushi.robot), sushi.data.body(plate.BODY).xpos
    turned = grip(0.0, sushi.robot.gripper())
    high, _ = arm.solve(np.array([x, y - OPEN / 2, 0.10]), sushi.arm.home, turned)
    low, residual = arm.solve(np.array([x, y - OPEN / 2, 0.03]), high, turned)
    assert residual < 1e-5
    rest(sushi, 2.0, high, OPEN)
    rest(sushi, 1.0, low, OPEN)
    lay_on_plate(sushi)
    assert rest(sushi, 1.5 * HOLD_STILL, low, OPEN).outcome == Outcome.RUNNING
    rest(sushi, 0.5, high, OPEN)
    assert rest(sushi, 1.5 * HOLD_STILL, high, OPEN).outcome == Outcome.SUCCESS


def test_failures_have_their_reasons(sushi: World, rest: Callable[..., TaskStatus]) -> None:
    seen = []
    for where in ((1.8, 0.0, -0.1), (0.70, 0.0, 0.0)):
        sushi.reset(0)
        lay(sushi, *where)
        seen.append(rest(sushi, 0.1).reason)
    sushi.reset(0)
    sushi.data.joint(nigiri.JOINT).qpos[3:] = [np.cos(0.7), np.sin(0.7), 0, 0]
    seen.append(rest(sushi, 0.1).reason)
    sushi.reset(0)
    sushi.data.joint(plate.JOINT).qpos[0] += 0.06
    seen.append(rest(sushi, 0.1).reason)
    assert tuple(seen) == sushi.task.failures


def test_objects_keep_their_distance_and_clutter_is_near(shared: World) -> None:
    task = shared.task
    for seed in range(200):
        poses = task.sample(generator(seed, Stream.POSE))
        task.check(poses)
        gaps = np.linalg.norm(poses[:, None, :2] - poses[None, :, :2], axis=2) - np.add.outer(REACHES, REACHES)
        others = gaps[1:, 1:][np.triu_indices(3, 1)]
        assert (gaps[0, 1:] >= 0).all() and (others >= GAP).all()
        assert np.linalg.norm(poses[2:, :2] - poses[0, :2], axis=1).max() <= NEAR
    task.check(task.nominal())


def test_poses_that_collide_are_refused(shared: World) -> None:
    poses = shared.task.nominal()
    poses[2, :2] = poses[0, :2] + (0.05, 0.0)
    with pytest.raises(InputError, match="nigiri and soy dish are 0.050 m apart.*need 0.101 m"):
        shared.reset(0, poses=poses)
    poses = shared.task.nominal()
    poses[0, 0] = 0.2
    with pytest.raises(InputError, match="nigiri at x 0.200 m.*out of reach"):
        shared.reset(0, poses=poses)


def test_everything_that_matters_is_in_the_reference_view(shared: World) -> None:
    """Rays from the camera meet nigiri and plate over an area that is large enough for keypoints."""
    v, u = np.mgrid[280:460:6, 120:560:6]
    points = shared.attach(np.column_stack([u.ravel(), v.ravel()]).astype(float))
    assert points.bodies.count(nigiri.BODY) >= 20 and points.bodies.count(plate.BODY) >= 60
    assert {body for bodies in shared.task.regions.values() for body in bodies} <= set(points.bodies)

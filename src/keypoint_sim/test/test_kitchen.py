from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_core.types import ActionChunk, ArmCommand
from keypoint_sim.experts import ChunkPlayer, play
from keypoint_sim.objects import drawer, microwave
from keypoint_sim.tasks import closing
from keypoint_sim.tasks.base import TOOL_DOWN, Outcome, Tool
from keypoint_sim.tasks.drawer_close import DrawerClose
from keypoint_sim.tasks.microwave_close import MicrowaveClose
from keypoint_sim.world import World

TASKS = {"microwave_close": MicrowaveClose, "drawer_close": DrawerClose}
POSES = {"microwave_close": microwave.JOINT, "drawer_close": drawer.JOINT}


@pytest.fixture(scope="module", params=TASKS)
def kitchen(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.close()


@pytest.fixture
def world(kitchen: World) -> World:
    kitchen.reset(0)
    return kitchen


def joint(world: World) -> float:
    return float(world.data.joint(world.task.joint).qpos[0])


def pose(world: World) -> np.ndarray:
    return world.data.joint(POSES[world.task.name]).qpos


def wait(world: World, ticks: int) -> None:
    for _ in range(ticks):
        world.step(ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home))


def tool_at(world: World, out: float, right: float, height: float, start: np.ndarray | None = None) -> Tool:
    """A tool that points down, so far before the face, right of the spot and over it [m]."""
    gripper = world.robot.gripper()
    face = world.task.face(world.data, joint(world))
    tool = Tool(face.spot, TOOL_DOWN, 0.0, gripper)
    to_right = np.array([-face.normal[1], face.normal[0], 0.0])
    position = face.spot + (out + closing.reach(tool, face.normal)) * face.normal + right * to_right
    return Tool(position + [0, 0, height], TOOL_DOWN, 0.0, gripper, start)


def test_seeds_vary_how_far_it_is_open(kitchen: World) -> None:
    low, high = kitchen.task.ajar
    openings = []
    for seed in range(20):
        kitchen.reset(seed)
        openings.append(joint(kitchen))
    assert low <= min(openings) < low + 0.2 * (high - low) and high - 0.2 * (high - low) < max(openings) <= high
    kitchen.reset(7)
    assert joint(kitchen) == openings[7]


def test_reference_view_shows_it_half_open(kitchen: World) -> None:
    data, task = mujoco.MjData(kitchen.model), kitchen.task
    task.place(data, task.nominal())
    assert data.joint(task.joint).qpos[0] == pytest.approx(sum(task.ajar) / 2)


def test_it_stays_where_it_is_left(world: World) -> None:
    before = joint(world), pose(world).copy()
    wait(world, 100)
    assert joint(world) == pytest.approx(before[0], abs=1e-3)
    np.testing.assert_allclose(pose(world), before[1], atol=1e-3)
    assert world.status().outcome == Outcome.RUNNING


@pytest.mark.parametrize("robot", ["hebi_chopsticks", "franka"])
@pytest.mark.parametrize("task", TASKS)
def test_expert_succeeds_with_either_arm_without_moving_the_furniture(task: str, robot: str) -> None:
    world = World(task, robot)
    low, high = world.task.placements[0].low, world.task.placements[0].high
    near, far = (low[0], high[1], low[2]), (high[0], low[1], high[2])
    for seed, corner in enumerate((None, None, near, far)):
        world.reset(seed, poses=None if corner is None else np.array([corner]))
        before = pose(world).copy()
        status = play(world, world.expert())
        assert status.outcome == Outcome.SUCCESS, f"seed {seed}, pose {corner}: {status}"
        assert status.elapsed < 8.0
        assert np.linalg.norm(pose(world)[:3] - before[:3]) < 0.005
    world.close()


def test_expert_recovers_from_where_a_poor_student_led(kitchen: World) -> None:
    """One chunk in six leads astray; the labels must still end in success, and stay finite."""
    for seed in range(4):
        kitchen.reset(seed)
        rng = np.random.default_rng(seed)
        expert, state = kitchen.expert(), kitchen.state()
        player = ChunkPlayer(state.position, state.gripper)
        while kitchen.status().outcome == Outcome.RUNNING:
            if kitchen.frame_due:
                chunk = expert.act()
                assert np.isfinite(chunk.positions).all()
                if rng.random() < 1 / 6:
                    spoilt = chunk.positions + rng.normal(0, 0.02, 6)
                    chunk = ActionChunk(chunk.stamp, chunk.dt, spoilt, chunk.gripper)
                player.take(chunk)
            kitchen.step(player.command(kitchen.stamp + kitchen.timing.control_period, kitchen.timing.control_period))
        assert kitchen.status().outcome == Outcome.SUCCESS, f"seed {seed}: {kitchen.status()}"


def test_a_low_tool_before_the_face_pushes_toward_shut(world: World) -> None:
    for out in (-0.008, 0.0, 0.03):
        tool = tool_at(world, out, 0.01, 0.005)
        way = world.task.waypoint(world.data, tool).position - tool.position
        assert way @ world.task.face(world.data, joint(world)).normal < -0.01


def test_a_low_tool_behind_or_beside_the_face_goes_up_first(world: World) -> None:
    for out, right in ((-0.04, 0.0), (0.002, 0.08)):
        tool = tool_at(world, out, right, 0.0)
        way = world.task.waypoint(world.data, tool).position - tool.position
        assert way[2] > 0.02 and np.hypot(*way[:2]) < 1e-9


def test_a_plan_goes_on_through_a_face_that_it_began_before(world: World) -> None:
    start = tool_at(world, 0.005, 0.0, 0.0).position
    tool = tool_at(world, -0.03, 0.0, 0.0, start)
    way = world.task.waypoint(world.data, tool).position - tool.position
    assert way @ world.task.face(world.data, joint(world)).normal < -0.01 and abs(way[2]) < 1e-9


def test_the_way_down_never_meets_the_face(world: World) -> None:
    """From over the furniture to the pushing height, a slow tool keeps clear of the face's upper edge."""
    face = world.task.face(world.data, joint(world))
    position = tool_at(world, -0.10, 0.0, 0.12).position
    for _ in range(200):
        tool = Tool(position, TOOL_DOWN, 0.0, world.robot.gripper())
        out, _, height = face.locate(tool, position)
        if height < 0.036:
            assert out > 0.0
        if height <= closing.LOW:
            return
        way = world.task.waypoint(world.data, tool).position - position
        position = position + way * min(1.0, 0.005 / np.linalg.norm(way))
    pytest.fail("the tool never came down")


def test_success_needs_half_a_second_closed(world: World) -> None:
    opening = world.data.joint(world.task.joint)
    opening.qpos[0] = 0.0
    wait(world, 45)
    assert world.status().outcome == Outcome.RUNNING
    opening.qpos[0] = 2 * world.task.closed
    wait(world, 1)
    opening.qpos[0], opening.qvel[0] = 0.0, 0.0
    wait(world, 45)
    assert world.status().outcome == Outcome.RUNNING
    wait(world, 10)
    assert world.status().outcome == Outcome.SUCCESS


def test_almost_closed_is_no_success(world: World) -> None:
    world.data.joint(world.task.joint).qpos[0] = 1.3 * world.task.closed
    wait(world, 80)
    assert world.status().outcome == Outcome.RUNNING


def test_moving_the_furniture_fails(world: World) -> None:
    pose(world)[1] += 0.025
    wait(world, 1)
    assert world.status().reason == f"{world.task.thing} pushed away" and world.status().reason in world.task.failures


def test_turning_the_furniture_fails(world: World) -> None:
    half = np.deg2rad(10)
    turned = np.zeros(4)
    mujoco.mju_mulQuat(turned, np.array([np.cos(half), 0, 0, np.sin(half)]), pose(world)[3:7].copy())
    pose(world)[3:7] = turned
    wait(world, 1)
    assert world.status().reason == f"{world.task.thing} pushed away"


def test_knocking_the_furniture_over_fails(world: World) -> None:
    pose(world)[2] += 0.05
    pose(world)[3:7] = [np.cos(0.2), np.sin(0.2), 0, 0]
    wait(world, 1)
    assert world.status().reason == f"{world.task.thing} knocked over" and world.status().reason in world.task.failures


def test_poses_out_of_reach_are_refused(world: World) -> None:
    low = world.task.placements[0].low
    with pytest.raises(InputError, match=r"out of reach; reachable: x 0\.26\.\.0\.46 m"):
        world.reset(0, poses=np.array([[low[0] - 0.05, low[1], low[2]]]))


def test_what_is_pushed_is_seen_at_the_start(kitchen: World) -> None:
    """Points of its region, picked on the reference view, are visible from the camera in every scene."""
    u, v = np.meshgrid(np.arange(100.0, 540, 12), np.arange(150.0, 460, 12))
    points = kitchen.attach(np.column_stack([u.ravel(), v.ravel()]))
    (_, pushed) = kitchen.task.regions.values()
    of_region = np.array([body in pushed for body in points.bodies])
    assert of_region.sum() > 20
    for seed in range(20):
        kitchen.reset(seed)
        _, visible, _ = kitchen.tracks(points)
        assert visible[of_region].mean() > 0.3, f"seed {seed}"

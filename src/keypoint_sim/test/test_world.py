import hashlib
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from keypoint_core.errors import InputError, UnknownNameError
from keypoint_core.types import ArmCommand, Frame, Observation, RobotState
from keypoint_sim.experts import play
from keypoint_sim.objects import clock
from keypoint_sim.settings import CameraSettings, Timing
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World


def hold(world: World) -> ArmCommand:
    return ArmCommand(world.arm.home, np.zeros(6), world.arm.gripper_home)


def fingerprint(world: World, seed: int, condition: str) -> str:
    """Hash of the first picture, the last picture and the outcome of the expert's trial."""
    world.reset(seed, condition)
    first = world.capture()
    status = play(world, world.expert())
    last = world.capture()
    digest = hashlib.sha256(repr(status).encode())
    for frame in (first, last):
        digest.update(frame.color.tobytes())
        digest.update(frame.depth.tobytes())
    digest.update(world.data.qpos.tobytes())
    return digest.hexdigest()


def test_reset_starts_at_home_and_at_rest(world: World) -> None:
    state = world.state()
    np.testing.assert_array_equal(state.position, world.arm.home)
    np.testing.assert_array_equal(state.velocity, 0.0)
    assert state.gripper == world.arm.gripper_home and state.stamp == 0 and world.frame_due


def test_arm_holds_home_without_sagging(world: World) -> None:
    for _ in range(100):
        world.step(hold(world))
    np.testing.assert_allclose(world.state().position, world.arm.home, atol=1e-3)
    assert world.status().outcome == Outcome.RUNNING and world.stamp == 1_000_000_000


def test_exposures_fall_on_the_first_tick_at_or_after_each_fifteenth() -> None:
    due = [tick for tick in range(101) if Timing().frame_due(tick)]
    assert due == [-(-k * 100 // 15) for k in range(16)]


def test_same_seed_same_pixels_and_outcome_in_any_world_and_process(shared_world: World) -> None:
    here = fingerprint(shared_world, 5, "light")
    other = World()
    assert fingerprint(other, 5, "light") == here
    other.close()
    script = "import sys; sys.path.insert(0, sys.argv[1]);"
    script += "from test_world import fingerprint, World; print(fingerprint(World(), 5, 'light'))"
    folder = __file__.rsplit("/", 1)[0]
    result = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == here


def test_history_does_not_leak_into_the_next_trial(shared_world: World) -> None:
    first = fingerprint(shared_world, 9, "rb")
    fingerprint(shared_world, 10, "light")
    assert fingerprint(shared_world, 9, "rb") == first


def test_conditions_really_differ(world: World) -> None:
    means = {}
    for condition in ("rp", "rb", "light"):
        frames = []
        for seed in range(4):
            world.reset(seed, condition)
            frames.append(world.capture().color.astype(float))
        table = np.stack([frame[400:, :150].mean(axis=(0, 1)) for frame in frames])
        means[condition] = table.std(axis=0).mean()
    assert means["rp"] < 1.5 < means["rb"]
    world.reset(1, "rb")
    textured = world.capture().color.astype(float)
    world.reset(1, "light")
    assert abs(world.capture().color.mean() - textured.mean()) > 3.0


def test_conditions_keep_the_pose_and_take_any_case(world: World) -> None:
    poses = {world.reset(3, condition).pose for condition in ("rp", "RB", "Light", "textures+lights")}
    assert len(poses) == 1
    assert world.reset(4).pose not in poses


def test_expert_succeeds_on_ten_seeds(world: World) -> None:
    for seed in range(10):
        world.reset(seed)
        status = play(world, world.expert())
        assert status.outcome == Outcome.SUCCESS, f"seed {seed}: {status}"
        assert 1.5 < status.elapsed < 6.0


def test_knocking_the_clock_over_fails(world: World) -> None:
    joint = world.data.joint(clock.JOINT)
    joint.qpos[2] += 0.01
    joint.qpos[3:7] = [np.cos(0.2), 0, np.sin(0.2), 0]
    world.step(hold(world))
    assert (world.status().outcome, world.status().reason) == (Outcome.FAILURE, "clock knocked over")


def test_pushing_the_clock_away_fails(world: World) -> None:
    world.data.joint(clock.JOINT).qpos[0] += 0.035
    world.step(hold(world))
    assert (world.status().outcome, world.status().reason) == (Outcome.FAILURE, "clock pushed away")


def test_time_runs_out(world: World) -> None:
    while world.status().outcome == Outcome.RUNNING:
        world.step(hold(world))
    assert world.status().reason == "time limit" and world.status().elapsed == pytest.approx(12.0)


def test_pressing_without_letting_go_is_no_success(world: World) -> None:
    world.data.joint(clock.BUTTON_JOINT).qpos[0] = -0.95 * clock.TRAVEL
    world.data.joint(clock.BUTTON_JOINT).qvel[0] = 0.0
    world.task.judge(world.data)
    assert world.task.pressed and world.status().outcome == Outcome.RUNNING
    for _ in range(20):
        world.step(hold(world))
    assert world.status().outcome == Outcome.SUCCESS


def test_a_verdict_stays(world: World) -> None:
    world.data.joint(clock.JOINT).qpos[0] += 0.035
    world.step(hold(world))
    before = world.status()
    world.data.joint(clock.JOINT).qpos[0] -= 0.035
    world.step(hold(world))
    assert world.status() == before


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match="unknown task 'chess'; known: clock_button"):
        World(task="chess")
    with pytest.raises(UnknownNameError, match="unknown robot 'r2d2'; known: franka, hebi_chopsticks"):
        World(robot="r2d2")


def test_unknown_condition_lists_the_known(world: World) -> None:
    with pytest.raises(UnknownNameError, match="unknown condition 'fog'; known: .*light.*rb.*rp"):
        world.reset(0, "rb+fog")


def test_bad_input_is_refused(world: World) -> None:
    with pytest.raises(InputError, match="seed must be >= 0"):
        world.reset(-1)
    with pytest.raises(InputError, match="6 finite joint positions"):
        world.step(ArmCommand(np.full(6, np.nan), np.zeros(6)))
    with pytest.raises(InputError, match="6 finite joint positions"):
        world.step(ArmCommand(np.zeros(7), np.zeros(7)))
    with pytest.raises(InputError, match="whole number of physics steps"):
        Timing(physics_step=3_000_000)


def test_camera_has_the_promised_region() -> None:
    k = CameraSettings().intrinsics
    assert (k.width, k.height, k.fx, k.distortion) == (640, 480, 607.0, ())


def test_poses_out_of_reach_are_refused_with_the_ranges(world: World) -> None:
    pose = np.array([[0.45, 0.05, 0.3]])
    assert world.reset(0, "rp", pose).poses == ((0.45, 0.05, 0.3),)
    np.testing.assert_allclose(world.data.joint(clock.JOINT).qpos[:2], pose[0, :2])
    before = world.data.qpos.copy()
    with pytest.raises(
        InputError, match=r"clock at x 0.900 m.*out of reach; reachable: x 0.34..0.54 m, y -0.13..0.13 m"
    ):
        world.reset(0, "rp", np.array([[0.9, 0.0, 0.0]]))
    with pytest.raises(InputError, match=r"yaw 90.0 deg is out of reach.*yaw -45..45 deg"):
        world.reset(0, "rp", np.array([[0.45, 0.0, np.pi / 2]]))
    with pytest.raises(InputError, match=r"poses must be \[1, 3\].*clock"):
        world.reset(0, "rp", np.zeros((2, 3)))
    with pytest.raises(InputError, match="out of reach"):
        world.reset(0, "rp", np.full((1, 3), np.nan))
    np.testing.assert_array_equal(world.data.qpos, before)


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_refuses_a_pose_that_no_arm_reaches(name: str) -> None:
    task = TASKS.create(name)
    assert task.check(task.nominal()).shape == (len(task.placements), 3)
    far = task.nominal()
    far[0, 0] = 2.0
    with pytest.raises(InputError, match=f"{task.placements[0].name} at x 2.000 m.*reachable: x"):
        task.check(far)


def test_regions_name_the_parts_of_the_scene(world: World) -> None:
    world.reset(0, "ro")
    regions = world.regions()
    assert regions["clock"] == (clock.BODY,) and regions["scene"] == ("world",)
    assert regions["robot"][0] == world.robot.base_body and len(regions["robot"]) > 6
    assert len(regions["distractors"]) >= 3
    names = [name for bodies in regions.values() for name in bodies]
    assert len(names) == len(set(names)) and all(world.model.body(name).id >= 0 for name in names)
    world.reset(0, "rp")
    assert world.regions()["distractors"] == ()


def test_a_verdict_depends_on_the_physics_alone(world: World) -> None:
    """What is seen, from where and how often changes neither the motion nor the outcome."""
    results = []
    for condition in ("rp", "textures+lights+moving_light+flashing_light+camera+occluder"):
        world.reset(6, condition)
        status = play(world, world.expert())
        results.append((status, world.data.qpos[: world.model.nq].tolist()))
        world.capture()
    assert results[0] == results[1] and results[0][0].outcome == Outcome.SUCCESS


def test_what_a_deployed_system_sees_carries_no_ground_truth(world: World) -> None:
    assert {f.name for f in fields(Frame)} == {"stamp", "color", "depth", "intrinsics", "frame_id"}
    assert {f.name for f in fields(RobotState)} == {"stamp", "position", "velocity", "effort", "gripper", "awaits"}
    assert {f.name for f in fields(Observation)} == {"keypoints", "state", "frame"}
    seen = []
    for x in (0.40, 0.50):  # the state is that of the arm, wherever the clock stands
        world.reset(2, "rp", np.array([[x, 0.1, 0.2]]))
        seen.append(world.state())
    for name in ("position", "velocity", "gripper"):
        np.testing.assert_array_equal(getattr(seen[0], name), getattr(seen[1], name))
    np.testing.assert_allclose(seen[0].effort, seen[1].effort, atol=1e-9)


def test_the_node_publishes_no_ground_truth() -> None:
    """Its topics are those of a camera and an arm, the clock, and the verdict for whoever keeps the score."""
    script = (
        "import rclpy\n"
        "from keypoint_sim.sim_node import SimNode\n"
        "rclpy.init(domain_id=101)\n"
        "node = SimNode()\n"
        "for info in node.publishers:\n"
        "    print(info.topic_name, info.msg_type.__name__, *info.msg_type.get_fields_and_field_types())\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    topics = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    allowed = {"Image", "CameraInfo", "SimFeedback", "TaskStatus", "Clock", "StageTiming"}
    allowed |= {"DiagnosticArray", "ParameterEvent", "Log", "TransitionEvent", "TFMessage"}
    assert {words[0] for words in topics.values()} <= allowed | {"PoseStamped"}, topics
    poses = [topic for topic, words in topics.items() if words[0] == "PoseStamped"]
    assert poses == ["/camera/pose"], "of the camera, as a laboratory calibrates it: with an error"
    feedback = {"header", "tick", "position", "velocity", "effort", "gripper", "awaits"}
    assert set(topics["/sim/feedback"][1:]) == feedback
    verdict = {"header", "seed", "outcome", "reason", "elapsed"}
    assert set(topics["/task/status"][1:]) - {"condition"} == verdict

"""The camera monitor of keypoint_core on rendered trials: everything moves, and only the camera counts."""

import cv2
import numpy as np
import pytest

from keypoint_core.camera_monitor.monitor import CameraMonitor
from keypoint_core.geometry.pose import difference
from keypoint_core.types import Float64
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World

FRAMES = 40
BUSY = "light+nudge+occluder+flashing_light+moving_light"


def watch(world: World, condition: str, seed: int) -> tuple[CameraMonitor, list[tuple[Float64, Float64 | None]]]:
    """The monitor, and the camera's true and followed pose in the world at each frame of an expert's trial."""
    cv2.setNumThreads(1)
    world.reset(seed, condition)
    monitor, poses = CameraMonitor("follow"), []
    monitor.calibrate(world.camera_pose.copy())
    state = world.state()
    player, expert = ChunkPlayer(state.position, state.gripper), world.expert()
    while world.status().outcome == Outcome.RUNNING and len(poses) < FRAMES:
        if world.frame_due:
            (monitor.update if poses else monitor.start)(world.capture())
            poses.append((world.camera_pose.copy(), monitor.camera_pose))
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
    return monitor, poses


@pytest.mark.parametrize("seed", [5, 8])
def test_arm_hand_light_and_a_pushed_object_are_no_moved_camera(world: World, seed: int) -> None:
    monitor, poses = watch(world, BUSY, seed)
    assert not monitor.report and len(poses) == FRAMES
    assert all(found is poses[0][1] for _, found in poses)


@pytest.mark.parametrize(("condition", "seed"), [(f"{BUSY}+bump", 5), ("rp+bump", 3)])
def test_a_knock_is_followed_within_millimetres(world: World, condition: str, seed: int) -> None:
    monitor, poses = watch(world, condition, seed)
    errors = np.array([difference(found, true) for true, found in poses])
    moved = np.array([difference(poses[0][0], true)[0] for true, _ in poses])
    assert moved[-1] > 0.015 and "camera moved by" in monitor.report
    assert errors[-1, 0] < 0.003 and errors[-1, 1] < np.deg2rad(0.15)
    assert errors[moved > 0.005, 0].max() < 0.006, "also while it moves"

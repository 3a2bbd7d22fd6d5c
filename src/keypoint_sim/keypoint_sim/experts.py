"""Scripted experts: privileged teachers that see where the task's objects are.

    python -m keypoint_sim.experts --n 200

An expert's chunk is a function of the measured arm, the scene and the task's own memory alone, so that it is valid
from any state that a student may bring about.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.types import ActionChunk, ArmCommand, Float64
from keypoint_sim.kinematics import ArmKinematics
from keypoint_sim.tasks.base import Outcome, TaskStatus, Tool

if TYPE_CHECKING:
    from keypoint_sim.world import World

HORIZON = 8
DT = 1 / 15  # [s]
SLOW_DOWN = 0.12  # the last of the way takes at least this long [s]


class Expert:
    """Rolls its own kinematic plan forward from the measured pose, waypoint by waypoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._arm = ArmKinematics(world.model, world.robot)
        self._gripper = world.robot.gripper()

    def reset(self) -> None:
        """Nothing is kept between calls; the one bit of memory lives in the task."""

    def act(self) -> ActionChunk:
        """The chunk from the present state: joint targets [T, D] at stamp + (i + 1) dt."""
        state, task = self._world.state(), self._world.task
        joints, opening = state.position, self._gripper.opening(state.gripper)
        position, rotation = self._arm.forward(joints)
        start = position
        targets, grips = [], []
        for _ in range(HORIZON):
            wish = task.waypoint(self._world.data, Tool(position, rotation, opening, self._gripper, start))
            position = advance(position, wish.position, wish.speed)
            rotation = turn(rotation, wish.rotation, wish.turn_speed)
            joints, position, rotation = self._reach(position, rotation, joints)
            targets.append(joints)
            grips.append(self._gripper.position(wish.opening))
        return ActionChunk(state.stamp, DT, np.array(targets), np.array(grips))

    def _reach(self, position: Float64, rotation: Float64, joints: Float64) -> tuple[Float64, Float64, Float64]:
        """Joint angles toward a TCP pose, cut to the joints' speeds, and the pose that they give."""
        solution, _ = self._arm.solve(position, joints, rotation, iterations=12)
        change = solution - joints
        room = self._arm.arm.velocity * DT * 0.95
        scale = min(1.0, float((room / np.maximum(np.abs(change), 1e-9)).min()))
        joints = joints + scale * change
        return joints, *self._arm.forward(joints)


def advance(position: Float64, goal: Float64, speed: float) -> Float64:
    """One step of DT toward a goal at a saturated speed that fades out close to it."""
    way = goal - position
    distance = float(np.linalg.norm(way))
    step = min(speed * DT, distance * DT / SLOW_DOWN)
    return position + way * (step / distance) if distance > 1e-6 else position.copy()


def turn(rotation: Float64, goal: Float64, speed: float) -> Float64:
    """One step of DT toward a goal rotation [3, 3], at most at `speed` [rad/s]."""
    way = Rotation.from_matrix(goal @ rotation.T).as_rotvec()
    angle = float(np.linalg.norm(way))
    if angle <= speed * DT:
        return goal
    return Rotation.from_rotvec(way * (speed * DT / angle)).as_matrix() @ rotation


class ChunkPlayer:
    """Interpolates the newest chunk at the control rate, from the last command on."""

    def __init__(self, position: Float64, gripper: float) -> None:
        self._last, self._gripper = position.copy(), gripper
        self._stamps, self._rows = np.zeros(1, dtype=np.int64), position[None]

    def take(self, chunk: ActionChunk) -> None:
        """Follows this chunk from its stamp on."""
        step = round(chunk.dt * 1e9)
        self._stamps = chunk.stamp + step * np.arange(len(chunk.positions) + 1)
        self._rows = np.vstack([self._last, chunk.positions])
        self._gripper = float(chunk.gripper[0])

    def command(self, stamp: int, period: int) -> ArmCommand:
        """The command for the tick that ends at `stamp` [ns]."""
        where = (stamp - int(self._stamps[0])) / max(1, int(self._stamps[-1] - self._stamps[0])) * (len(self._rows) - 1)
        index = int(np.clip(np.floor(where), 0, max(0, len(self._rows) - 2)))
        part = float(np.clip(where - index, 0.0, 1.0))
        last = min(index + 1, len(self._rows) - 1)
        position = (1 - part) * self._rows[index] + part * self._rows[last]
        velocity = (position - self._last) / (period * 1e-9)
        self._last = position
        return ArmCommand(position, velocity, self._gripper)


def play(world: World, expert: Expert) -> TaskStatus:
    """Lets the expert act at every exposure until the trial ends."""
    state = world.state()
    player = ChunkPlayer(state.position, state.gripper)
    expert.reset()
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))
    return world.status()


if __name__ == "__main__":
    from keypoint_sim.experts_table import main

    sys.exit(main())

"""Compiled models of one robot and one task: the plain scene, and the newest one with something added."""

from __future__ import annotations

import mujoco

from keypoint_sim.disturbances.additions import Addition
from keypoint_sim.robots import RobotSpec
from keypoint_sim.scene import build_model
from keypoint_sim.tasks.base import Task


class Models:
    """Additions come last in a model, so ids and addresses of everything else are the same in all of them.

    Args:
        robot, task: of the scene.
        timestep: of the physics [s].
    """

    def __init__(self, robot: RobotSpec, task: Task, timestep: float) -> None:
        self._robot, self._objects, self._timestep = robot, task.mjcf(), timestep
        self.plain = self._build(())
        self._newest: tuple[tuple[Addition, ...], mujoco.MjModel] = ((), self.plain)

    def get(self, additions: tuple[Addition, ...]) -> mujoco.MjModel:
        """The model with these additions, the task's textures not yet drawn; built anew only when they change."""
        if not additions:
            return self.plain
        if self._newest[0] != additions:
            self._newest = (additions, self._build(additions))
        return self._newest[1]

    def _build(self, additions: tuple[Addition, ...]) -> mujoco.MjModel:
        model = build_model(self._robot, self._objects, [addition.mjcf() for addition in additions])
        model.opt.timestep = self._timestep
        if additions and model.nv > self.plain.nv:
            model.opt.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE  # a fifth faster with many free bodies
        for addition in additions:
            addition.paint(model)
        return model

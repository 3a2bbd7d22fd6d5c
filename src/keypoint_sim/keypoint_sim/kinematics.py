"""Forward and inverse kinematics of the arm in the MuJoCo model, on a scratch state of its own."""

from __future__ import annotations

import mujoco
import numpy as np

from keypoint_core.types import Float64
from keypoint_sim.robots import RobotSpec
from keypoint_sim.tasks.base import TOOL_DOWN

DAMPING = 1e-4  # of the least squares [m^2 and rad^2 alike]
HOMING = 0.1  # part of the way home that a redundant arm goes per iteration, as far as the tool's pose leaves it free


class ArmKinematics:
    """Where the tool is for given joint angles, and back.

    Args:
        model: of the whole scene; only the arm's joints are moved.
        robot: whose joints and TCP these are.
    """

    def __init__(self, model: mujoco.MjModel, robot: RobotSpec) -> None:
        self.arm = robot.description()
        self._lower, self._upper = self.arm.lower, self.arm.upper
        self._model = model
        self._data = mujoco.MjData(model)
        self._site = int(model.site(robot.tcp_site).id)
        self._qpos = np.array([int(model.joint(name).qposadr[0]) for name in self.arm.joint_names])
        self._dof = np.array([int(model.joint(name).dofadr[0]) for name in self.arm.joint_names])
        self._jacobian = np.zeros((6, model.nv))

    def forward(self, joints: Float64) -> tuple[Float64, Float64]:
        """TCP position [3] in the world [m] and rotation [3, 3] at joint angles [D]."""
        self._data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.site_xpos[self._site].copy(), self._data.site_xmat[self._site].reshape(3, 3).copy()

    def solve(
        self, position: Float64, start: Float64, rotation: Float64 = TOOL_DOWN, iterations: int = 100
    ) -> tuple[Float64, float]:
        """Joint angles [D] near `start` that bring the TCP to a pose, by damped least squares.

        An arm of more than six joints moves toward its home posture with what the pose leaves free, so that its elbow
        does not wander.

        Returns:
            The angles within the limits, and what is left of the error [m plus rad].
        """
        joints = np.array(start, dtype=np.float64)
        residual = np.inf
        for _ in range(iterations):
            error = self._error(joints, position, rotation)
            residual = float(np.abs(error).max())
            if residual < 1e-6:
                break
            jacobian = self._tool_jacobian()
            square = jacobian @ jacobian.T + DAMPING * residual * np.eye(6)
            change = jacobian.T @ np.linalg.solve(square, error)
            if len(joints) > 6:
                homing = HOMING * (self.arm.home - joints)
                change += homing - jacobian.T @ np.linalg.solve(square, jacobian @ homing)
            joints = np.clip(joints + np.clip(change, -0.3, 0.3), self._lower, self._upper)
        return joints, residual

    def _error(self, joints: Float64, position: Float64, rotation: Float64) -> Float64:
        """What is missing to the pose: position [m] and half the sine of the rotation, in the world; [6]."""
        here, turn = self.forward(joints)
        twist = 0.5 * np.cross(turn.T, rotation.T).sum(axis=0)
        return np.concatenate([position - here, twist])

    def _tool_jacobian(self) -> Float64:
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
        return self._jacobian[:, self._dof]

"""What an environment shows. Two of the three modes are privileged: no deployed system has them.

| mode       | holds                                                                        | privileged |
|------------|------------------------------------------------------------------------------|------------|
| keypoints  | exact tracks of surface points, their visibility, the arm's feedback          | yes        |
| privileged | the whole state of the task's objects, the tool's pose, the arm's feedback    | yes        |
| rgbd       | colour and depth as the camera measures them, the arm's feedback              | no         |

Every value lies in its space: what leaves the bounds, which are wide, is cut to them.
"""

from __future__ import annotations

from typing import Any, Protocol

import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from keypoint_core.errors import UnknownNameError
from keypoint_core.types import Float64, Frame
from keypoint_sim.gym.keypoints import spread_keypoints
from keypoint_sim.rendering import FAR
from keypoint_sim.tasks.base import Task
from keypoint_sim.world import World

Observation = dict[str, NDArray[Any]]


class Observer(Protocol):
    """One mode.

    Attributes:
        privileged: whether it shows what deployment never sees.
        space: of the observations.
    """

    privileged: bool
    space: spaces.Dict

    def observe(self, world: World, frame: Frame | None) -> Observation:
        """The observation of the present; `frame` is the picture of the present where the mode shows one."""


def box(low: Any, high: Any, shape: tuple[int, ...]) -> spaces.Box:
    """A float32 box with bounds that spread over the shape."""
    return spaces.Box(
        np.broadcast_to(low, shape).astype(np.float32),
        np.broadcast_to(high, shape).astype(np.float32),
        dtype=np.float32,
    )


def fit(space: spaces.Box, values: Any) -> NDArray[Any]:
    """The values in the type and shape of a box, cut to its bounds."""
    return np.clip(np.asarray(values, dtype=space.dtype).reshape(space.shape), space.low, space.high)


class Feedback:
    """The arm's own feedback: `joints` [D] [rad], `joint_velocities` [D] [rad/s], `gripper` [1] in the driver's unit."""

    def __init__(self, world: World) -> None:
        arm = world.arm
        low, high = arm.gripper.range
        slack = 0.2 * (high - low)
        self.spaces = {
            "joints": box(arm.lower - 0.1, arm.upper + 0.1, arm.lower.shape),
            "joint_velocities": box(-3 * arm.velocity, 3 * arm.velocity, arm.lower.shape),
            "gripper": box(low - slack, high + slack, (1,)),
        }

    def observe(self, world: World) -> Observation:
        """The three arrays."""
        state = world.state()
        values = {"joints": state.position, "joint_velocities": state.velocity, "gripper": state.gripper}
        return {name: fit(self.spaces[name], value) for name, value in values.items()}


class KeypointObserver:
    """`pixels` [N, 2] (u, v) [px] of surface points, whatever hides them, `visible` [N] 0 or 1, and the feedback.

    Args:
        world: whose reference view the points are picked on.
        keypoints: how many, spread over the task's regions; or their pixels [N, 2] in the reference view.
    """

    privileged = True

    def __init__(self, world: World, keypoints: int | Float64) -> None:
        pixels = spread_keypoints(world, keypoints) if isinstance(keypoints, int) else np.asarray(keypoints, np.float64)
        self._feedback, self._points = Feedback(world), world.attach(pixels)
        size, n = np.array([world.camera.width, world.camera.height]), len(self._points)
        self.space = spaces.Dict(
            {"pixels": box(-size, 2 * size, (n, 2)), "visible": spaces.MultiBinary(n), **self._feedback.spaces}
        )

    def observe(self, world: World, frame: Frame | None) -> Observation:
        """See the class."""
        pixels, visible, _ = world.tracks(self._points)
        return {
            "pixels": fit(self.space["pixels"], pixels),
            "visible": visible.astype(np.int8),
            **self._feedback.observe(world),
        }


class StateObserver:
    """`objects` [B, 13], `tool` [7], `target` [3], and the feedback; all in the world's frame.

    A row of `objects` is a body's position [m], quaternion (w, x, y, z), velocity [m/s] and rate of turn [rad/s];
    `tool` is the TCP's position and quaternion; `target` is the point that the tool has to approach first.
    """

    privileged = True

    def __init__(self, world: World, keypoints: int | Float64) -> None:
        self._feedback, self._bodies = Feedback(world), moving_bodies(world.model, world.task)
        limits = np.repeat([10.0, 1.0, 50.0, 500.0], (3, 4, 3, 3))
        self.space = spaces.Dict(
            {
                "objects": box(-limits, limits, (len(self._bodies), 13)),
                "tool": box(-limits[:7], limits[:7], (7,)),
                "target": box(-10.0, 10.0, (3,)),
                **self._feedback.spaces,
            }
        )

    def observe(self, world: World, frame: Frame | None) -> Observation:
        """See the class."""
        site, quaternion = world.data.site(world.robot.tcp_site), np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, site.xmat)
        return {
            "objects": fit(self.space["objects"], [_body_state(world, name) for name in self._bodies]),
            "tool": fit(self.space["tool"], np.concatenate([site.xpos, quaternion])),
            "target": fit(self.space["target"], world.task.target(world.data)),
            **self._feedback.observe(world),
        }


class CameraObserver:
    """`color` [H, W, 3] RGB, `depth` [H, W] [m], 0 where the sensor has none, and the feedback: what deployment sees."""

    privileged = False

    def __init__(self, world: World, keypoints: int | Float64) -> None:
        self._feedback, size = Feedback(world), (world.camera.height, world.camera.width)
        self.space = spaces.Dict(
            {
                "color": spaces.Box(0, 255, (*size, 3), np.uint8),
                "depth": box(0.0, FAR, size),
                **self._feedback.spaces,
            }
        )

    def observe(self, world: World, frame: Frame | None) -> Observation:
        """See the class."""
        frame = frame or world.capture()
        depth = fit(self.space["depth"], np.nan_to_num(frame.depth, nan=0.0))
        return {"color": frame.color, "depth": depth, **self._feedback.observe(world)}


OBSERVERS: dict[str, type[Observer]] = {
    "keypoints": KeypointObserver,
    "privileged": StateObserver,
    "rgbd": CameraObserver,
}


def make_observer(name: str, world: World, keypoints: int | Float64) -> Observer:
    """The observer of a mode.

    Raises:
        UnknownNameError: no such mode; the message lists the known ones.
        InputError: the keypoints do not fit the reference view.
    """
    if name not in OBSERVERS:
        raise UnknownNameError("observation", name, list(OBSERVERS))
    return OBSERVERS[name](world, keypoints)


def moving_bodies(model: mujoco.MjModel, task: Task) -> list[str]:
    """Names of the bodies of the task's objects: those that are placed, what lies on them, and their moving parts."""
    joints = [joint for placement in task.placements for joint in (placement.joint, *placement.riders)]
    roots = {int(model.joint(joint).bodyid[0]) for joint in joints}
    found = set(roots)
    for body in range(model.nbody):  # a parent comes before its children
        if int(model.body_parentid[body]) in found:
            found.add(body)
    return [model.body(body).name for body in sorted(found)]


def _body_state(world: World, name: str) -> Float64:
    """[13] of one body; see StateObserver."""
    body, twist = world.data.body(name), np.zeros(6)
    mujoco.mj_objectVelocity(world.model, world.data, mujoco.mjtObj.mjOBJ_BODY, body.id, twist, 0)
    return np.concatenate([body.xpos, body.xquat, twist[3:], twist[:3]])

"""The simulated world: steps physics, reads the arm, takes pictures.

What a deployed system may see is `state` (RobotState), `capture` (Frame) and `calibration`. `status`, `expert`, `tracks`, `attach` and
the pose in `SceneInfo` are privileged: for training, judging and reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.geometry.pose import Pose
from keypoint_core.types import ArmCommand, Float64, Frame, RobotState
from keypoint_sim.camera import Snapshot, SnapshotCamera, calibrated, jitter, look_at
from keypoint_sim.disturbances import (
    REFERENCE,
    DisturbanceSettings,
    Scenario,
    Surroundings,
    find_files,
    sample_scenario,
)
from keypoint_sim.disturbances.base import Running, Stage
from keypoint_sim.experts import Expert
from keypoint_sim.models import Models
from keypoint_sim.rng import Stream, generator
from keypoint_sim.robots import ArmAddresses, load_robot
from keypoint_sim.settings import CameraSettings, Timing
from keypoint_sim.tasks import TASKS
from keypoint_sim.tasks.base import Outcome, Task, TaskStatus
from keypoint_sim.truth import Projector, ReferenceView, SurfacePoints, pick


@dataclass(frozen=True)
class SceneInfo:
    """What was put up. The poses are privileged.

    Attributes:
        seed, condition: that give this scene again.
        poses: x [m], y [m], yaw [rad] in the world of each object that the task places; the task object's is the first.
    """

    seed: int
    condition: str
    poses: tuple[tuple[float, float, float], ...]

    @property
    def pose(self) -> tuple[float, float, float]:
        """Of the task object."""
        return self.poses[0]


class World:
    """One scene with one arm and one camera; deterministic in its seed.

    No OpenGL context exists until the first `capture` or `reference`. Pictures are drawn in one thread of the world's
    own, so these two may be called from any thread, also while another one steps.

    Args:
        task, robot: names; unknown ones raise UnknownNameError that lists the known ones.
        timing, camera: rates and camera.
        disturbances: folders and ranges of what conditions draw.

    Raises:
        InputError: a picture or an object in a folder cannot be used; the message names it and the reason.
    """

    def __init__(
        self,
        task: str = "clock_button",
        robot: str = "hebi_chopsticks",
        timing: Timing = Timing(),  # noqa: B008 (frozen)
        camera: CameraSettings = CameraSettings(),  # noqa: B008 (frozen)
        disturbances: DisturbanceSettings = DisturbanceSettings(),  # noqa: B008 (frozen)
    ) -> None:
        self.task: Task = TASKS.create(task)
        self.robot = load_robot(robot)
        self.arm = self.robot.description()
        self.timing, self.camera, self.disturbances = timing, camera, disturbances
        self._photos, self._objects = find_files(disturbances)
        self._stand = look_at(camera.position, camera.target)
        self._models = Models(self.robot, self.task, timing.physics_step * 1e-9)
        self._plan = mujoco.MjData(self._models.plain)
        self._projector: tuple[SurfacePoints, Projector] | None = None
        self._use(self._models.plain)
        self._shutter: SnapshotCamera | None = None
        self.reset(0)

    def reset(self, seed: int, condition: str = "rp", poses: Float64 | None = None) -> SceneInfo:
        """Puts up the scene of a seed, the arm at home and at rest.

        Args:
            seed: of everything random.
            condition: presets and disturbances joined by "+".
            poses: [K, 3] (x [m], y [m], yaw [rad]) of the objects that the task places; None draws them.

        Raises:
            UnknownNameError: unknown condition; the message lists the known ones.
            InputError: negative seed; poses out of reach, with the ranges that are not.
        """
        rng = generator(seed, Stream.POSE)
        poses = self.task.sample(rng) if poses is None else self.task.check(poses)
        self._scenario = scenario = sample_scenario(condition, self._survey(seed, poses))
        self.camera_pose = np.array(self._stand if scenario.camera is None else scenario.camera)
        self._calibration = calibrated(self.camera_pose, self.robot.base, generator(seed, Stream.CALIBRATION))
        self._seed, self._tick = seed, 0
        model = self._models.get(scenario.additions)
        if model is not self.model:
            self._use(model)
        self._put(self.data, poses, seed, scenario)
        self.task.reset(self.data)
        stage = Stage(self.model, self.data, self.task, self.robot, self.camera_pose)
        self._events: list[Running] = [event.begin(stage) for event in scenario.events]
        self._status = TaskStatus(Outcome.RUNNING)
        return SceneInfo(seed, condition.lower(), tuple((float(x), float(y), float(yaw)) for x, y, yaw in poses))

    @property
    def stamp(self) -> int:
        """Time since reset [ns]."""
        return self._tick * self.timing.control_period

    @property
    def frame_due(self) -> bool:
        """Whether an exposure falls on the current tick."""
        return self.timing.frame_due(self._tick, self._seed)

    def state(self) -> RobotState:
        """The arm's feedback at `stamp`."""
        arm, data = self._addresses, self.data
        return RobotState(
            self.stamp,
            data.qpos[arm.qpos],
            data.qvel[arm.dof],
            data.qfrc_actuator[arm.dof],
            float(data.qpos[arm.gripper_qpos]),
        )

    def calibration(self) -> Pose:
        """The camera in the arm's base frame, as somebody measured it before the trial: with a small error.

        A laboratory calibrates its camera as well, so this is nothing that only a simulator knows. What becomes of the
        camera during the trial is not in it.
        """
        return self._calibration

    def step(self, command: ArmCommand) -> None:
        """One control tick under position servos with velocity feed-forward; a NaN gripper keeps its last target.

        Raises:
            InputError: the command does not fit the arm, or is not finite.
        """
        arm, position = self._addresses, np.asarray(command.position, dtype=np.float64)
        if position.shape != arm.qpos.shape or not np.isfinite(position).all():
            raise InputError(f"the command needs {len(arm.qpos)} finite joint positions, got {position}")
        velocity = np.asarray(command.velocity, dtype=np.float64)
        lead = np.where(np.isfinite(velocity), velocity, 0.0) if velocity.shape == position.shape else 0.0
        self.data.ctrl[arm.servos] = position + arm.lead * lead
        if np.isfinite(command.gripper):
            self.data.ctrl[arm.gripper_servo] = command.gripper
        mujoco.mj_step(self.model, self.data, self.timing.substeps)
        mujoco.mj_kinematics(self.model, self.data)
        self._tick += 1
        for event in self._events:
            event.step(self.stamp * 1e-9)
        self._judge()

    def snapshot(self) -> Snapshot:
        """What a picture of the present moment needs."""
        data, look = self.data, self._scenario.look_at(self.stamp * 1e-9)
        state = (data.qpos.copy(), _mocap(data))
        return Snapshot(self.stamp, self._seed, self._tick, self.model, *state, look, self.camera_pose.copy())

    def capture(self, snapshot: Snapshot | None = None) -> Frame:
        """Colour and registered depth with the sensor's failures; a function of the snapshot alone.

        Raises:
            SimulationError: no OpenGL library is installed.
        """
        return self._draw(snapshot or self.snapshot())

    def status(self) -> TaskStatus:
        """Privileged: the verdict as of the last step. Once it is no longer RUNNING it stays."""
        return self._status

    def expert(self) -> Expert:
        """Privileged: the task's scripted expert, acting on this world."""
        return Expert(self)

    def reference(self) -> ReferenceView:
        """The reference picture: nominal pose, arm at home, other textures, light and camera jitter than deployment.

        Its depth is exact: a model of what keypoints lie on, which belongs to the checkpoint, not to a camera.
        """
        data, camera = self._reference_state()
        snapshot = Snapshot(0, 0, 0, self._models.plain, data.qpos.copy(), _mocap(data), REFERENCE, camera)
        frame = self._draw(snapshot, exact_depth=True)
        return ReferenceView(frame, np.linalg.inv(camera))

    def attach(self, pixels: Float64) -> SurfacePoints:
        """Privileged: the surface points at pixels [N, 2] of the reference view; needs no rendering."""
        data, camera = self._reference_state()
        return pick(self._models.plain, data, camera, self.camera.intrinsics, pixels)

    def tracks(self, points: SurfacePoints) -> tuple[Float64, NDArray[np.bool_], Float64]:
        """Privileged: exact pixels [N, 2], visible [N] and positions [N, 3] in the optical frame [m], by rays."""
        if self._projector is None or self._projector[0] is not points:
            self._projector = (points, Projector(self.model, points, self.camera.intrinsics))
        return self._projector[1].project(self.data, self.camera_pose)

    def regions(self) -> Mapping[str, tuple[str, ...]]:
        """Privileged: name of a part of the scene -> its bodies; the task's regions, robot, scene and distractors."""
        model = self.model
        root = int(model.body(self.robot.base_body).id)
        robot = tuple(model.body(i).name for i in np.flatnonzero(model.body_rootid == root))
        distractors = self._scenario.things.bodies
        return {**self.task.regions, "robot": robot, "scene": ("world",), "distractors": distractors}

    def close(self) -> None:
        """Frees the renderer; safe to call twice."""
        if self._shutter is not None:
            self._shutter.close()
            self._shutter = None

    def _use(self, model: mujoco.MjModel) -> None:
        """Makes a model the present one; addresses that somebody took in another one stay good."""
        self.model, self.data = model, mujoco.MjData(model)
        self.task.bind(model)
        self._addresses = ArmAddresses.find(model, self.arm)
        self._projector = None

    def _put(
        self, data: mujoco.MjData, poses: Float64, seed: int | None = None, scenario: Scenario | None = None
    ) -> None:
        """Stands everything up; without a seed only what the reference view shows."""
        mujoco.mj_resetData(data.model, data)
        arm = self._addresses
        data.qpos[arm.qpos] = data.ctrl[arm.servos] = self.arm.home
        data.qpos[arm.gripper_qpos] = data.ctrl[arm.gripper_servo] = self.arm.gripper_home
        self.task.place(data, poses)
        if scenario is not None:
            scenario.place(data)
        mujoco.mj_forward(data.model, data)
        if seed is not None:
            self.task.vary(data, generator(seed, Stream.STATE))
            mujoco.mj_forward(data.model, data)

    def _survey(self, seed: int, poses: Float64) -> Surroundings:
        """The undisturbed scene for the samplers of disturbances."""
        self._put(self._plan, poses, seed)
        return Surroundings(
            seed=seed,
            settings=self.disturbances,
            photos=self._photos,
            objects=self._objects,
            task=self.task,
            robot=self.robot,
            data=self._plan,
            poses=poses,
            camera=self._stand,
            intrinsics=self.camera.intrinsics,
        )

    def _reference_state(self) -> tuple[mujoco.MjData, Float64]:
        data = mujoco.MjData(self._models.plain)
        self._put(data, self.task.nominal())
        return data, jitter(self._stand, generator(0, Stream.REFERENCE))

    def _judge(self) -> None:
        if self._status.outcome != Outcome.RUNNING:
            return
        outcome, reason = self.task.judge(self.data)
        elapsed = self.stamp * 1e-9
        if outcome == Outcome.RUNNING and elapsed >= self.task.time_limit:
            outcome, reason = Outcome.FAILURE, "time limit"
        self._status = TaskStatus(outcome, reason, elapsed)

    def _draw(self, snapshot: Snapshot, exact_depth: bool = False) -> Frame:
        if self._shutter is None:
            self._shutter = SnapshotCamera(self.camera)
        return self._shutter.capture(snapshot, exact_depth)


def _mocap(data: mujoco.MjData) -> Float64:
    """[M, 7] positions and quaternions of the bodies that are moved by hand."""
    return np.concatenate([data.mocap_pos, data.mocap_quat], axis=1)

"""One task as a Gymnasium environment, under the arm controller and the safety gate of deployment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.errors import UnknownNameError
from keypoint_core.types import SECOND, ArmMode, Float64, Frame
from keypoint_sim.disturbances import DisturbanceSettings
from keypoint_sim.experts import Expert
from keypoint_sim.gym.actions import JointAction
from keypoint_sim.gym.observations import Observation, make_observer
from keypoint_sim.settings import CameraSettings, Timing
from keypoint_sim.tasks.base import Outcome, TaskStatus
from keypoint_sim.world import World

REWARDS = ("sparse", "shaped")
OPTIONS = ("condition", "poses")
COMMANDER = "policy"
FIRST_SCENE, LAST_SCENE = 1_000_000, 2**31 - 1  # of resets without a seed: lower ones are for evaluation
# Box for the tool in the world: x, y, z lower, then upper [m]. It may touch the table, not go through it.
WORKSPACE = (-0.15, -0.50, 0.0, 0.80, 0.50, 0.95)


class KeypointEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One step lasts one camera frame; in it the controller and its gate command the arm every control tick.

    Action: see `JointAction`. Observation: see `observations`. Reward: 1 on success, else 0; "shaped" adds the metres by
    which the tool came nearer to the task's target (as a potential, it leaves the best policy as it is: Ng et al., 1999).
    An episode is terminated by success, by failure, or when the safety gate stops the arm; it is truncated when time is up.
    `reset(seed=s)` puts up the scene of seed s; without a seed, scenes are drawn from those that no evaluation uses. Its
    options are "condition" and "poses" [K, 3] (x [m], y [m], yaw [rad] of the placed objects).
    `info` is privileged: success, reason, elapsed [s], and the scene's seed, condition and poses.

    Args:
        task, robot, condition: names; unknown ones raise UnknownNameError that lists the known ones.
        observation: "keypoints", "privileged" or "rgbd".
        keypoints: of the mode "keypoints": how many, or their pixels [N, 2] in the reference view.
        reward: "sparse" or "shaped".
        camera, timing, disturbances: settings of the world; None for the defaults.
        render_mode: None or "rgb_array".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        task: str = "clock_button",
        robot: str = "hebi_chopsticks",
        condition: str = "rp",
        observation: str = "keypoints",
        keypoints: int | Float64 = 32,
        reward: str = "sparse",
        camera: CameraSettings | None = None,
        timing: Timing | None = None,
        disturbances: DisturbanceSettings | None = None,
        render_mode: str | None = None,
    ) -> None:
        for kind, name, known in (
            ("reward", reward, REWARDS),
            ("render mode", render_mode or "rgb_array", self.metadata["render_modes"]),
        ):
            if name not in known:
                raise UnknownNameError(kind, name, list(known))
        self.world = World(
            task, robot, timing or Timing(), camera or CameraSettings(), disturbances or DisturbanceSettings()
        )
        self.world.reset(0, condition)
        self.condition, self.reward, self.render_mode = condition, reward, render_mode
        self._observer = make_observer(observation, self.world, keypoints)
        self._actions = JointAction(self.world.arm, 1 / self.world.timing.camera_rate)
        self._controller = make_controller(self.world.arm, _arm_parameters(self.world))
        self.observation_space, self.action_space = self._observer.space, self._actions.space
        self._status: TaskStatus | None = None
        self._frame: Frame | None = None
        self._expert: Expert | None = None

    @property
    def privileged(self) -> bool:
        """Whether observations show what deployment never sees."""
        return self._observer.privileged

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict]:
        """Puts up a scene; see the class.

        Raises:
            UnknownNameError: unknown option or condition.
            InputError: negative seed; poses out of reach, with the ranges that are not.
        """
        super().reset(seed=seed)
        options = options or {}
        for name in options:
            if name not in OPTIONS:
                raise UnknownNameError("option of reset", name, list(OPTIONS))
        scene = int(self.np_random.integers(FIRST_SCENE, LAST_SCENE)) if seed is None else seed
        self._scene = self.world.reset(scene, options.get("condition", self.condition), options.get("poses"))
        self._controller.reset()
        self._controller.engage(COMMANDER, self.world.stamp)
        self._last, self._expert = self.world.state().position, None
        self._status, self._distance, self._frame = self.world.status(), self._to_target(), None
        return self._observe(), self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict]:
        """Lets the action act until the next exposure, or until the episode ends.

        Raises:
            ResetNeeded: there is no running episode.
            InputError: the action has the wrong shape, or is not finite.
        """
        if self._status is None or self._status.outcome != Outcome.RUNNING:
            raise ResetNeeded("call reset() first: no episode is running")
        world = self.world
        chunk = self._actions.chunk(action, world.stamp, self._last)
        self._controller.submit(chunk, COMMANDER, world.stamp, world.stamp)
        while self._tick() and not world.frame_due:
            pass
        self._frame = None
        over, late = self._status.outcome != Outcome.RUNNING, self._status.reason == "time limit"
        return self._observe(), self._rewarded(), over and not late, late, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """The camera's picture [H, W, 3] of the present; None without a render mode."""
        return self._capture().color if self.render_mode else None

    def close(self) -> None:
        """Frees the renderer."""
        self.world.close()

    def expert_action(self) -> NDArray[np.float32]:
        """Privileged: what the task's scripted expert would do now, as an action."""
        self._expert = self._expert or self.world.expert()
        return self._actions.toward(self._expert.act(), self._last)

    def _tick(self) -> bool:
        """One control tick; whether the episode still runs."""
        world = self.world
        tick = self._controller.update(world.state(), world.stamp)
        if tick.mode == ArmMode.STOPPED:
            words = "; ".join(reason.words for reason in tick.reasons)
            self._status = TaskStatus(Outcome.FAILURE, f"arm stopped: {words}", world.stamp / SECOND)
            return False
        world.step(tick.command)
        self._last, self._status = tick.command.position, world.status()
        return self._status.outcome == Outcome.RUNNING

    def _rewarded(self) -> float:
        before, self._distance = self._distance, self._to_target()
        progress = before - self._distance if self.reward == "shaped" else 0.0
        return float(self._status.outcome == Outcome.SUCCESS) + progress

    def _to_target(self) -> float:
        """From the tool to what it has to approach [m]."""
        world = self.world
        tool = world.data.site(world.robot.tcp_site).xpos
        return float(np.linalg.norm(tool - world.task.target(world.data)))

    def _observe(self) -> Observation:
        return self._observer.observe(self.world, None if self.privileged else self._capture())

    def _capture(self) -> Frame:
        if self._frame is None:
            self._frame = self.world.capture()
        return self._frame

    def _info(self) -> dict[str, Any]:
        status, scene = self._status, self._scene
        return {
            "success": status.outcome == Outcome.SUCCESS,
            "reason": status.reason,
            "elapsed": self.world.stamp / SECOND,
            "seed": scene.seed,
            "condition": scene.condition,
            "poses": np.array(scene.poses),
        }


def _arm_parameters(world: World) -> ArmParameters:
    """Of the controller in deployment, with the workspace seen from the arm's base."""
    box = np.reshape(WORKSPACE, (2, 3)) - world.robot.base
    return ArmParameters(
        robot=world.robot.name,
        control_rate=SECOND / world.timing.control_period,
        workspace=tuple(float(bound) for bound in box.ravel()),
    )

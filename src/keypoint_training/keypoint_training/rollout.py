"""One episode without rendering, under the control path that deployment has.

At every exposure the tracks (exact or noisy) go to whoever drives; the chunk reaches the arm's controller some ticks
later; the controller, with the same safety gate as on the robot, commands the world every tick.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keypoint_core.arms.controller import ArmController
from keypoint_core.arms.description import load_arm
from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.types import SECOND, ActionChunk, ArmMode, Float32, Float64, Keypoints, KeypointStatus, Observation
from keypoint_sim.experts import Expert
from keypoint_sim.tasks.base import Outcome, TaskStatus
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World
from keypoint_training.episodes import Episodes
from keypoint_training.settings import RolloutSettings
from keypoint_training.tracks import NoisyTracks, TrackSample

COMMANDER = "policy"


class Driver(Protocol):
    """Who drives."""

    def act(self, observation: Observation, label: ActionChunk | None) -> ActionChunk:
        """The chunk to execute; `label` is what the expert would do, where that was asked for."""


@dataclass(frozen=True)
class Conditions:
    """What an episode is run under.

    Attributes:
        scene: seed of the world.
        latency: from exposure to the arm having the chunk [s].
        latency_jitter: added to it, evenly from 0 up to this [s].
        dropped: part of the frames that never reach the driver.
    """

    scene: int
    latency: float = 0.0
    latency_jitter: float = 0.0
    dropped: float = 0.0


@dataclass(frozen=True)
class FrameRecord:
    """One frame of an episode; see `Episodes`."""

    pixels: Float64 | Float32
    visible: NDArray[np.bool_]
    tool: Float64
    joints: Float64
    opening: float
    label: ActionChunk


class Stage:
    """A world with its keypoints and its arm's limits, ready to run episodes.

    Args:
        world: the scene.
        pixels: [N, 2] keypoints in the reference view.
        settings: of the control path.
    """

    def __init__(self, world: World, pixels: Float64, settings: RolloutSettings) -> None:
        self.world = world
        self.points: SurfacePoints = world.attach(np.asarray(pixels, dtype=np.float64))
        self._settings = settings
        self._site = int(world.model.site(world.robot.tcp_site).id)

    def run(
        self,
        driver: Driver,
        tracks: NoisyTracks,
        conditions: Conditions,
        rng: np.random.Generator,
        label: bool,
    ) -> tuple[TaskStatus, list[FrameRecord]]:
        """Runs one episode until the world's verdict, or until the safety gate stops the arm.

        Args:
            driver: who drives.
            tracks: noise, fresh for this episode.
            conditions: see there.
            rng: draws latencies and dropped frames.
            label: whether the expert labels every frame; records are only made then.
        """
        world, controller = self.world, make_arm_controller(self.world, self._settings)
        world.reset(conditions.scene)
        controller.engage(COMMANDER, now=world.stamp)
        expert = world.expert() if label else None
        waiting: deque[tuple[int, ActionChunk]] = deque()
        records: list[FrameRecord] = []
        while world.status().outcome == Outcome.RUNNING:
            if world.frame_due:
                observation, wanted = self._observe(tracks, expert, records)
                if world.stamp == 0 or rng.random() >= conditions.dropped:
                    chunk = driver.act(observation, wanted)
                    delay = conditions.latency + rng.random() * conditions.latency_jitter
                    waiting.append((world.stamp + round(delay * SECOND), chunk))
            while waiting and waiting[0][0] <= world.stamp:
                chunk = waiting.popleft()[1]
                controller.submit(chunk, COMMANDER, exposure=chunk.stamp, now=world.stamp)
            tick = controller.update(world.state(), world.stamp)
            if tick.mode == ArmMode.STOPPED:
                words = ", ".join(reason.words for reason in tick.reasons)
                return TaskStatus(Outcome.FAILURE, f"arm stopped: {words}", world.stamp / SECOND), records
            world.step(tick.command)
        return world.status(), records

    def _observe(
        self, tracks: NoisyTracks, expert: Expert | None, records: list[FrameRecord]
    ) -> tuple[Observation, ActionChunk | None]:
        """What the driver gets at this exposure; with an expert also its label, and a record of both."""
        pixels, visible, _ = self.world.tracks(self.points)
        state, tool = self.world.state(), self.tool_pixel()
        observation = Observation(as_keypoints(tracks.step(pixels, visible, tool), state.stamp), state)
        if expert is None:
            return observation, None
        wanted = expert.act()
        records.append(FrameRecord(pixels, visible, tool, state.position, state.gripper, wanted))
        return observation, wanted

    def tool_pixel(self) -> Float64:
        """[2] where the tool's tip is in the image, whatever hides it."""
        world, k = self.world, self.world.camera.intrinsics
        camera = world.camera_pose
        x, y, z = (world.data.site_xpos[self._site] - camera[:3, 3]) @ camera[:3, :3]
        return np.array([k.fx * x / z + k.cx, k.fy * y / z + k.cy])


def make_arm_controller(world: World, settings: RolloutSettings) -> ArmController:
    """The controller, with its safety gate, of a world's arm."""
    parameters = ArmParameters(
        robot=world.robot.name,
        control_rate=SECOND / world.timing.control_period,
        workspace=settings.workspace,
        max_age=settings.max_age,
        tracking_error=settings.tracking_error,
    )
    return make_controller(load_arm(world.robot.name), parameters)


def as_keypoints(sample: TrackSample, stamp: int) -> Keypoints:
    """The first realisation of a sample as what a tracker publishes."""
    visible, seen = sample.visible[0], sample.seen[0]
    hidden = np.where(seen, KeypointStatus.OCCLUDED, KeypointStatus.LOST)
    n = len(visible)
    return Keypoints(
        stamp=stamp,
        ids=np.arange(n, dtype=np.int32),
        pixels=sample.pixels[0],
        confidence=visible.astype(np.float32),
        status=np.where(visible, KeypointStatus.VISIBLE, hidden).astype(np.uint8),
        points=np.full((n, 3), np.nan, dtype=np.float32),
    )


def as_episodes(status: TaskStatus, records: list[FrameRecord]) -> Episodes:
    """One episode from its frames."""
    return Episodes(
        lengths=np.array([len(records)], dtype=np.int64),
        succeeded=np.array([status.outcome == Outcome.SUCCESS]),
        pixels=np.array([record.pixels for record in records], dtype=np.float32),
        visible=np.array([record.visible for record in records], dtype=np.bool_),
        tool=np.array([record.tool for record in records], dtype=np.float32),
        joints=np.array([record.joints for record in records], dtype=np.float32),
        opening=np.array([record.opening for record in records], dtype=np.float32),
        targets=np.array([record.label.positions for record in records], dtype=np.float32),
        gripper=np.array([record.label.gripper for record in records], dtype=np.float32),
    )

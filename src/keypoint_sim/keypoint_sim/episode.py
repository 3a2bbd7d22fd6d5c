"""Episodes on rendered pictures, in one process: the world in lockstep with core's pipeline and arm controller.

The ROS graph in lockstep runs the same objects in the same order; a test holds that both agree to the last bit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from keypoint_core.arms.controller import ArmController
from keypoint_core.errors import CorrespondenceError
from keypoint_core.pipeline import Pipeline
from keypoint_core.types import ActionChunk, ArmMode, Float64, Keypoints
from keypoint_sim.tasks.base import Outcome, TaskStatus
from keypoint_sim.world import SceneInfo, World

COMMANDER = "policy"


@dataclass
class Episode:
    """What happened.

    Attributes:
        scene: what was put up.
        status: the world's verdict.
        keypoints, chunks: of every frame.
        located: how many keypoints the correspondence accepted.
    """

    scene: SceneInfo
    status: TaskStatus
    keypoints: list[Keypoints] = field(default_factory=list)
    chunks: list[ActionChunk] = field(default_factory=list)
    located: int = 0


def run_episode(
    world: World,
    pipeline: Pipeline,
    controller: ArmController,
    seed: int,
    condition: str,
    latency: int = 0,
    calibrated: bool = True,
) -> Episode:
    """Runs one episode to its end.

    Args:
        world: of the task.
        pipeline: perception and policy.
        controller: of the arm.
        seed, condition: of the scene.
        latency: frames between an exposure and the command that derives from it.
        calibrated: whether the pipeline is told the world's calibration of the camera.
    """
    episode = Episode(world.reset(seed, condition), world.status())
    camera_pose = world.calibration().matrix if calibrated else None
    controller.reset()
    controller.engage(COMMANDER, world.stamp)
    waiting: deque[ActionChunk] = deque()
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            try:
                waiting.append(_perceive(world, pipeline, episode, camera_pose))
            except CorrespondenceError as error:
                episode.status = TaskStatus(Outcome.FAILURE, f"not located: {error}", 0.0)
                return episode
            if len(waiting) > latency:
                chunk = waiting.popleft()
                controller.submit(chunk, COMMANDER, chunk.stamp, world.stamp)
        tick = controller.update(world.state(), world.stamp)
        if tick.mode == ArmMode.STOPPED:
            words = "; ".join(reason.words for reason in tick.reasons)
            episode.status = TaskStatus(Outcome.FAILURE, f"arm stopped: {words}", world.status().elapsed)
            return episode
        world.step(tick.command)
    episode.status = world.status()
    return episode


def _perceive(world: World, pipeline: Pipeline, episode: Episode, camera_pose: Float64 | None) -> ActionChunk:
    """One frame through the pipeline."""
    frame, state = world.capture(), world.state()
    keypoints = pipeline.track(frame) if episode.keypoints else pipeline.start(frame, camera_pose)
    if not episode.keypoints:
        episode.located = int(keypoints.visible.sum())
    episode.keypoints.append(keypoints)
    episode.chunks.append(pipeline.act(keypoints, state))
    return episode.chunks[-1]

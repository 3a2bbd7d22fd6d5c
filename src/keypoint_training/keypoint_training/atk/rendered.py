"""A round of DAgger on what deployment gives the student: rendered frames, the correspondence, the tracker.

No noise model holds all that these do. The student drives, the expert labels every frame, and the tracks are recorded as
the student saw them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import InputError
from keypoint_core.geometry.view import TrainingView
from keypoint_core.pipeline import Pipeline
from keypoint_core.protocols import Correspondence, Policy, Tracker
from keypoint_core.tracking import TRACKERS
from keypoint_core.types import ActionChunk, Float32, Observation
from keypoint_sim.episode import run_episode
from keypoint_sim.tasks.base import Outcome, TaskStatus
from keypoint_sim.truth import ReferenceView
from keypoint_sim.world import World
from keypoint_training.episodes import Episodes, join
from keypoint_training.export import camera_in_base
from keypoint_training.rollout import FrameRecord, as_episodes, make_arm_controller
from keypoint_training.settings import RolloutSettings

LOG = logging.getLogger("keypoint_training")
CONDITION = "light"  # the hardest of the paper's: other textures, things and light
UNKNOWN = np.full(2, np.nan)  # the tool's pixel, which only the track noise asks for


class RenderedStage:
    """Runs episodes as deployment does.

    Args:
        world: of the task.
        reference: view that the keypoints were chosen on.
        pixels: [N, 2] keypoints in it.
        correspondence, tracker: names of back ends.
        settings: of the control path.
    """

    def __init__(
        self,
        world: World,
        reference: ReferenceView,
        pixels: Float32,
        correspondence: str,
        tracker: str,
        settings: RolloutSettings,
    ) -> None:
        frame, ids = reference.frame, np.arange(len(pixels), dtype=np.int32)
        view = Reference(frame.color, frame.depth, world.camera.intrinsics, ids, pixels)
        self._world = world
        self._correspondence: Correspondence = CORRESPONDENCES.create(correspondence, view)
        self._tracker: Tracker = TRACKERS.create(tracker)
        self._view = TrainingView(camera_in_base(world), world.camera.intrinsics)
        self._controller = make_arm_controller(world, settings)

    def run(self, policy: Policy, scene: int) -> tuple[TaskStatus, Episodes | None]:
        """One episode that a policy drives; nothing is recorded where the keypoints were not located.

        The episode's pixels and visible are what the policy was given, not the truth.
        """
        watched = LabelledPolicy(policy, self._world)
        pipeline = Pipeline(self._correspondence, self._tracker, watched, self._view)
        status = run_episode(self._world, pipeline, self._controller, scene, CONDITION).status
        return status, as_episodes(status, watched.records) if watched.records else None


class LabelledPolicy:
    """A policy that notes what it is given at every frame, and what the expert would do there.

    Args:
        policy: that acts.
        world: that it acts in, at the frame's exposure whenever it is asked.
    """

    def __init__(self, policy: Policy, world: World) -> None:
        self._policy, self._expert = policy, world.expert()
        self.records: list[FrameRecord] = []

    def reset(self) -> None:
        """A new episode."""
        self._policy.reset()
        self.records = []

    def act(self, observation: Observation) -> ActionChunk:
        """The policy's chunk."""
        given, state = observation.keypoints, observation.state
        self.records.append(
            FrameRecord(given.pixels, given.visible, UNKNOWN, state.position, state.gripper, self._expert.act())
        )
        return self._policy.act(observation)


def gather(
    stage: RenderedStage, policy: Policy, scenes: list[int], progress: Callable[[str, int, int], None]
) -> Episodes:
    """Episodes that a policy drives in these scenes; those in which nothing was located are left out.

    Raises:
        InputError: that were all of them.
    """
    recorded = []
    for done, scene in enumerate(scenes, 1):
        status, episodes = stage.run(policy, scene)
        if status.outcome != Outcome.SUCCESS:
            LOG.debug("rendered: scene %d: %s", scene, status.reason)
        if episodes is not None:
            recorded.append(episodes)
        progress("rendered: student drives", done, len(scenes))
    if not recorded:
        raise InputError(
            f"the keypoints were located in none of {len(scenes)} rendered scenes; see the log for the reasons"
        )
    return join(recorded)

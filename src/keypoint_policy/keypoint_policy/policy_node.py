"""Runs a checkpoint's policy: keypoints and the robot's state at their exposure in, action chunks out."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import torch
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from keypoint_interfaces.msg import StageTiming
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from keypoint_core.checkpoint import Checkpoint, load_checkpoint
from keypoint_core.errors import InputError
from keypoint_core.geometry.view import TrainingView, training_view
from keypoint_core.parameters import parameter
from keypoint_core.protocols import Policy
from keypoint_core.states import StateHistory
from keypoint_core.types import Keypoints, Observation
from keypoint_ros.conversions import from_joint_state, from_keypoints, to_trajectory
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.qos import command, subscribe_stream
from keypoint_ros.timing import TimingPublisher
from keypoint_ros.worker import LatestWorker

COMMANDER = "policy"


@dataclass(frozen=True)
class PolicyParameters:
    """Parameters of the policy node."""

    checkpoint: str = parameter("", "folder of the checkpoint, absolute or relative to the models folder")
    gripper: str = parameter("", "name of the gripper's joint in joint_states; empty: none")
    camera_rate: float = parameter(15.0, "rate of the camera", unit="1/s", minimum=1.0, maximum=120.0)
    reproject: bool = parameter(
        True, "move keypoints into the view that the policy was trained for, where the camera's pose is known"
    )
    threads: int = parameter(1, "threads of the network; more than one may change the last bit", minimum=1, maximum=16)


class PolicyNode(KeypointNode):
    """Topic policy/action, service ~/reset."""

    Parameters = PolicyParameters

    def __init__(self) -> None:
        super().__init__("policy")
        self._checkpoint: Checkpoint | None = None
        self._policy: Policy | None = None
        self._view: TrainingView | None = None
        self._worker: LatestWorker[tuple[Keypoints, int]] | None = None
        self._states = StateHistory()
        self._waiting: deque[tuple[Keypoints, int]] = deque(maxlen=30)
        self._fresh = True
        self._action: JointTrajectory | None = None
        stream = subscribe_stream(self.lockstep)
        self._publisher = self.create_publisher(JointTrajectory, "policy/action", command(self.lockstep))
        self._timing = TimingPublisher(self, StageTiming.POLICY)
        self.create_subscription(JointState, "joint_states", self._on_state, stream)
        self.create_subscription(KeypointsMsg, "perception/keypoints", self._on_keypoints, stream)
        self.create_service(Trigger, "~/reset", self._reset)

    def configure(self) -> None:
        """Loads and verifies the checkpoint."""
        torch.set_num_threads(self.parameters.threads)
        self._checkpoint = load_checkpoint(self.parameters.checkpoint)
        self._checkpoint.require_rate(self.parameters.camera_rate)
        self._policy = self._checkpoint.load_policy()
        self._view = training_view(self._checkpoint) if self.parameters.reproject else None

    def activate(self) -> None:
        """Starts the worker."""
        capacity = 30 if self.lockstep else 1
        self._worker = LatestWorker(
            "policy", self._work, self.failed, lambda: self.diagnostics.count("keypoints dropped"), capacity
        )

    def deactivate(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._waiting.clear()
        self._fresh, self._action = True, None
        response.success = self.active
        response.message = "" if self.active else "the policy is not active"
        return response

    def _on_state(self, message: JointState) -> None:
        if self._checkpoint is None:
            return
        try:
            self._states.add(from_joint_state(message, self._checkpoint.card.joints, self.parameters.gripper))
        except InputError as error:
            self.report(str(error))
        self._release_waiting()

    def _on_keypoints(self, message: KeypointsMsg) -> None:
        if self._action is not None and self._action.header.stamp == message.header.stamp:
            self._publisher.publish(self._action)  # lockstep asks again: somebody missed our answer
            return
        try:
            self._waiting.append((from_keypoints(message), time.time_ns()))
        except InputError as error:
            self.report(str(error))
        self._release_waiting()

    def _release_waiting(self) -> None:
        """Keypoints wait until the robot's state at their exposure is known."""
        while self._waiting and self._worker is not None and self._states.reaches(self._waiting[0][0].stamp):
            self._worker.submit(self._waiting.popleft())

    def _work(self, item: tuple[Keypoints, int]) -> None:
        keypoints, received = item
        if self._policy is None or self._checkpoint is None:
            return
        began = time.perf_counter()
        if self._fresh:
            self._policy.reset()
            if self._view is not None:
                self._view.reset()
            self._fresh = False
        if self._view is not None:
            keypoints = self._in_training_view(self._view, keypoints)
        chunk = self._policy.act(Observation(keypoints, self._states.at(keypoints.stamp)))
        compute = time.perf_counter() - began
        self._action = to_trajectory(chunk, self._checkpoint.card.joints, self.parameters.gripper, COMMANDER)
        self._publisher.publish(self._action)
        self._timing.publish(keypoints.stamp, received, compute)
        self.diagnostics.tick("actions")

    def _in_training_view(self, view: TrainingView, keypoints: Keypoints) -> Keypoints:
        """Says once per trial when it changes something."""
        before = view.moved
        keypoints = view.apply(keypoints)
        if view.moved and not before:
            self.get_logger().info("the camera stands elsewhere than in the training: keypoints are reprojected")
            self.diagnostics.count("trials with another camera pose")
        return keypoints


def main() -> None:
    """Runs the node."""
    run(PolicyNode)

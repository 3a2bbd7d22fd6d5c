"""What a trial sees of the graph, and what it may ask of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from keypoint_interfaces.msg import ArmState, Keypoints, StageTiming, TaskStatus
from keypoint_interfaces.srv import Engage, Locate, ResetWorld, StartTracking
from rclpy.client import Client
from rclpy.node import Node
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from keypoint_core.errors import KeypointError
from keypoint_ros.conversions import from_stamp, to_stamp
from keypoint_ros.qos import LATCHED, SUBSCRIBE_STREAM_LOSSLESS, command
from keypoint_ros.services import call

_TIMEOUT = 3.0  # of short service calls [s]
STAGES = (StageTiming.CAMERA, StageTiming.TRACKER, StageTiming.POLICY, StageTiming.ARM)


class GraphError(KeypointError):
    """A stage refused, or did not do its part; `code` is one of RunTrial.Result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoFrameError(GraphError):
    """A stage has not got the frame that it was asked about."""


@dataclass
class Stage:
    """Newest exposure that a stage has dealt with [ns], and when that was by the steady clock [s]."""

    stamp: int = 0
    when: float = field(default_factory=time.monotonic)


class TrialGraph:
    """Subscriptions kept up to date by the executor; calls made from the trial's thread."""

    def __init__(self, node: Node, lockstep: bool) -> None:
        self.changed = threading.Condition()
        self.arm: ArmState | None = None
        self.arm_when = 0.0
        self.task: TaskStatus | None = None
        self.visible = self.total = 0
        self.acted_on = 0  # newest exposure that the policy made a command from [ns]
        self.stages = {name: Stage() for name in STAGES}
        self._node, self.lockstep = node, lockstep
        stream = SUBSCRIBE_STREAM_LOSSLESS
        node.create_subscription(ArmState, "arm/state", self._on_arm, stream)
        node.create_subscription(TaskStatus, "task/status", self._on_task, LATCHED)
        node.create_subscription(Keypoints, "perception/keypoints", self._on_keypoints, stream)
        node.create_subscription(StageTiming, "timing", self._on_timing, 30)
        node.create_subscription(JointTrajectory, "policy/action", self._on_action, command(lockstep))
        self._reset_world = node.create_client(ResetWorld, "sim/reset")
        self._locate = node.create_client(Locate, "correspondence/locate")
        self._start = node.create_client(StartTracking, "tracker/start")
        self._engage = node.create_client(Engage, "arm/engage")
        names = ("arm/stop", "arm/home", "tracker/reset", "policy/reset")
        self._triggers = {name: node.create_client(Trigger, name) for name in names}

    def now(self) -> int:
        """Time of the graph's clock [ns]."""
        return int(self._node.get_clock().now().nanoseconds)

    def trigger(self, service: str, code: int, timeout: float = _TIMEOUT) -> None:
        """Calls a Trigger service; GraphError with `code` when it is not there or says no."""
        answer = self._answer(self._triggers[service], Trigger.Request(), code, timeout)
        if not answer.success:
            raise GraphError(code, f"{service}: {answer.message}")

    def engage(self, commander: str, code: int, timeout: float = _TIMEOUT) -> None:
        """Engages the arm to somebody, or to nobody."""
        self._call(self._engage, Engage.Request(commander=commander), code, timeout)

    def reset_world(self, seed: int, condition: str, code: int) -> ResetWorld.Response:
        """Puts up the simulated scene."""
        request = ResetWorld.Request(seed=seed, condition=condition, stamp=to_stamp(time.time_ns()))
        return self._call(self._reset_world, request, code, 30.0)

    def locate(self, stamp: int, code: int, timeout: float) -> Keypoints:
        """Keypoints in a frame exposed at or after `stamp` [ns]; waits for such a frame."""
        request = Locate.Request(stamp=to_stamp(stamp))
        deadline = time.monotonic() + timeout
        while True:
            answer = self._answer(self._locate, request, code, timeout)
            if answer.error_code != Locate.Response.NO_FRAME or time.monotonic() > deadline:
                break
            with self.changed:
                self.changed.wait(0.05)
        if answer.error_code:
            raise GraphError(code, f"correspondence/locate: {answer.error_msg}")
        return answer.keypoints

    def start_tracking(self, keypoints: Keypoints, code: int) -> None:
        """Starts the tracker; raises NoFrameError when it has not got the frame."""
        answer = self._answer(self._start, StartTracking.Request(keypoints=keypoints), code, 5.0)
        if answer.error_code:
            kind = NoFrameError if answer.error_code == StartTracking.Response.NO_FRAME else GraphError
            raise kind(code, f"tracker/start: {answer.error_msg}")

    def restart_watch(self) -> None:
        """Counts silence from now on."""
        with self.changed:
            self.stages = {name: Stage(stage.stamp) for name, stage in self.stages.items()}

    def has_acted(self, since: int) -> bool:
        """Whether the arm has applied a command that derives from a frame exposed at or after `since` [ns]."""
        with self.changed:
            return self.stages[StageTiming.ARM].stamp >= since

    def silent_stage(self, limit: float) -> str | None:
        """The stage at fault when no command from a new frame was applied for `limit` seconds; None while all goes on.

        It is the stage furthest behind the one before it. In lockstep all wait for it, also the camera; else a camera
        that is silent itself is at fault, for a frame that was lost on the way counts as nothing beside that.
        """
        with self.changed:
            now, camera = time.monotonic(), self.stages[StageTiming.CAMERA]
            if now - self.stages[StageTiming.ARM].when < limit:
                return None
            if not self.lockstep and now - camera.when > limit / 2:
                return StageTiming.CAMERA
            pairs = zip(STAGES[:-1], STAGES[1:], strict=True)
            behind = {after: self.stages[before].stamp - self.stages[after].stamp for before, after in pairs}
            stage = max(behind, key=lambda name: behind[name])
            return stage if behind[stage] > 0 else StageTiming.CAMERA

    def _call(self, client: Client, request: Any, code: int, timeout: float) -> Any:
        answer = self._answer(client, request, code, timeout)
        if answer.error_code:
            raise GraphError(code, f"{client.srv_name}: {answer.error_msg}")
        return answer

    @staticmethod
    def _answer(client: Client, request: Any, code: int, timeout: float) -> Any:
        try:
            return call(client, request, timeout)
        except KeypointError as error:
            raise GraphError(code, str(error)) from error

    def _on_arm(self, message: ArmState) -> None:
        with self.changed:
            self.arm, self.arm_when = message, time.monotonic()
            self.changed.notify_all()

    def _on_task(self, message: TaskStatus) -> None:
        with self.changed:
            self.task = message
            self.changed.notify_all()

    def _on_keypoints(self, message: Keypoints) -> None:
        with self.changed:
            self.visible, self.total = (
                sum(status == Keypoints.VISIBLE for status in message.status),
                len(message.status),
            )

    def _on_action(self, message: JointTrajectory) -> None:
        with self.changed:
            self.acted_on = max(self.acted_on, from_stamp(message.header.stamp))
            self.changed.notify_all()

    def _on_timing(self, message: StageTiming) -> None:
        if message.stage in self.stages:
            with self.changed:
                self.stages[message.stage] = Stage(from_stamp(message.header.stamp))

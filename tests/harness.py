"""The simulated graph as processes, and a node that listens to it; for tests across packages."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import rclpy
from keypoint_interfaces.action import RunTrial
from keypoint_interfaces.msg import ArmState, Keypoints, StageTiming, TaskStatus, TrialState
from keypoint_interfaces.srv import Engage, Locate, ResetWorld, StartTracking
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from keypoint_bringup.graph import NodeSpec, SystemOptions, sim_graph
from keypoint_bringup.system import System, unused_domain_id
from keypoint_ros.qos import LATCHED, SUBSCRIBE_STREAM_LOSSLESS
from keypoint_ros.services import ServiceCallError, call

TOPICS = {
    "arm/state": ArmState,
    "joint_states": JointState,
    "perception/keypoints": Keypoints,
    "policy/action": JointTrajectory,
    "timing": StageTiming,
    "trial/state": TrialState,
    "task/status": TaskStatus,
}
SERVICES = {
    "arm/engage": Engage,
    "arm/stop": Trigger,
    "arm/release": Trigger,
    "arm/home": Trigger,
    "correspondence/locate": Locate,
    "policy/reset": Trigger,
    "sim/reset": ResetWorld,
    "tracker/start": StartTracking,
    "tracker/reset": Trigger,
}
LATCHED_TOPICS = ("trial/state", "task/status")
_EVERY_ONE = ("perception/keypoints", "policy/action", "task/status")  # of these a busy listener loses none
_DEPTH = 1000


def _deep(qos: QoSProfile) -> QoSProfile:
    """The same quality of service with a deep queue."""
    return QoSProfile(history=qos.history, depth=_DEPTH, reliability=qos.reliability, durability=qos.durability)


def with_parameters(specs: Iterable[NodeSpec], changes: dict[str, dict[str, Any]]) -> list[NodeSpec]:
    """The same nodes with some parameters changed: node -> parameter -> value."""
    return [replace(spec, parameters={**spec.parameters, **changes.get(spec.name, {})}) for spec in specs]


class Graph:
    """A running system and what it said; a context manager.

    Args:
        specs: its nodes.
        folder: for logs.
    """

    def __init__(self, specs: list[NodeSpec], folder: Path) -> None:
        self._names = {spec.name for spec in specs}
        self._domain = unused_domain_id()
        self.system = System(specs, folder, domain_id=self._domain)
        self.heard: dict[str, list[tuple[float, Any]]] = {name: [] for name in TOPICS}
        self._changed = threading.Condition()

    def __enter__(self) -> Graph:
        self._before = os.environ.get("ROS_DOMAIN_ID")
        os.environ["ROS_DOMAIN_ID"] = str(self._domain)
        self.system.start()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=self._domain)
        self.node = rclpy.create_node("listener", context=self._context)
        for name, kind in TOPICS.items():
            qos = LATCHED if name in LATCHED_TOPICS else SUBSCRIBE_STREAM_LOSSLESS
            qos = _deep(qos) if name in _EVERY_ONE else qos
            self.node.create_subscription(kind, name, self._listener(name), qos)
        wanted = {name: kind for name, kind in SERVICES.items() if name.split("/")[0] in self._names}
        self.clients = {name: self.node.create_client(kind, name) for name, kind in wanted.items()}
        self.trials = ActionClient(self.node, RunTrial, "run_trial")
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rclpy.shutdown(context=self._context)
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        self.clients.clear()
        gc.collect()  # a participant that is left talks to all that come after it
        self.system.stop()
        if self._before is None:
            del os.environ["ROS_DOMAIN_ID"]
        else:
            os.environ["ROS_DOMAIN_ID"] = self._before

    def until(self, ready: Callable[[], Any], timeout: float, what: str) -> Any:
        """Waits until `ready` gives something true, and returns it; looks often, and leaves time to listen."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (result := ready()):
                if time.monotonic() > deadline:
                    trial = self.last("trial/state")
                    said = trial.message if trial else "nothing"
                    raise AssertionError(f"{what} did not happen in {timeout:g} s; trial: '{said}'; {self._states()}")
                self._changed.wait(0.02)
        return result

    def until_ready(self, timeout: float = 60.0) -> None:
        """Waits for all services, and for the arm's first state."""
        services = list(self.clients.values())
        self.until(lambda: all(client.service_is_ready() for client in services), timeout, "all services")
        if "trial" in self._names:
            self.until(self.trials.server_is_ready, timeout, "the trial server")
        self.until(lambda: self.heard["arm/state"], timeout, "the arm's state")

    def last(self, topic: str) -> Any:
        """The newest message of a topic; None before the first."""
        messages = self.heard[topic]
        return messages[-1][1] if messages else None

    def call(self, service: str, request: Any = None, timeout: float = 10.0) -> Any:
        """Calls a service."""
        return call(self.clients[service], request or Trigger.Request(), timeout)

    def call_until_answered(self, service: str, timeout: float = 60.0) -> None:
        """Calls a Trigger service again and again: DDS takes a while to forget a killed server."""

        def answered() -> bool:
            try:
                return bool(self.call(service, timeout=1.0).success)
            except ServiceCallError:
                return False

        deadline = time.monotonic() + timeout
        while not answered():
            assert time.monotonic() < deadline, f"{service} did not answer within {timeout:g} s"

    def send_trial(self, seed: int, condition: str = "rp", **goal: Any) -> Any:
        """Starts a trial and returns its handle."""
        future = self.trials.send_goal_async(
            RunTrial.Goal(trial=f"seed-{seed}", seed=seed, condition=condition, **goal)
        )
        handle = self.until(lambda: future.done() and future.result(), 10.0, "acceptance of the trial")
        assert handle.accepted
        return handle

    def result(self, handle: Any, timeout: float = 120.0) -> RunTrial.Result:
        """Waits for a trial's result."""
        future = handle.get_result_async()
        return self.until(lambda: future.done() and future.result(), timeout, "the trial's result").result

    def until_phase(self, phase: int, timeout: float = 60.0) -> None:
        """Waits for a phase of the trial."""
        self.until(lambda: (s := self.last("trial/state")) and s.phase == phase, timeout, f"phase {phase}")

    def until_moving(self, timeout: float = 60.0) -> None:
        """Waits until the arm moves under a command that derives from a frame."""

        self.until(self._moving, timeout, "motion under the policy")

    def moving_trial(self, seed: int) -> Any:
        """Starts a trial and returns its handle once the arm moves."""
        handle = self.send_trial(seed)
        ended = handle.get_result_async()
        self.until(lambda: self._moving() or ended.done(), 60.0, "motion or the end of the trial")
        assert not ended.done(), f"the trial ended before the arm moved: {self.last('trial/state').message}"
        return handle

    def clear(self) -> None:
        """Forgets what was heard."""
        with self._changed:
            for messages in self.heard.values():
                messages.clear()

    def _moving(self) -> bool:
        state = self.last("arm/state")
        moves = any(abs(v) > 0.05 for v in state.applied_velocity)
        return bool(moves and state.mode == ArmState.MODE_FOLLOW and state.observation.sec)

    def _listener(self, name: str) -> Callable[[Any], None]:
        def listen(message: Any) -> None:
            with self._changed:
                self.heard[name].append((time.monotonic(), message))

        return listen

    def _spin(self) -> None:
        while self._context.ok():
            try:
                self._executor.spin_once(timeout_sec=0.05)
            except rclpy.executors.ExternalShutdownException:
                return

    def _states(self) -> dict[str, str]:
        return {name: process.state for name, process in self.system.processes().items()}


def make_graph(folder: Path, mode: str, changes: dict[str, dict[str, Any]] | None = None, **options: Any) -> Graph:
    """The simulated graph with parameters changed: node -> parameter -> value."""
    return Graph(with_parameters(sim_graph(SystemOptions(mode=mode, **options)), changes or {}), folder)

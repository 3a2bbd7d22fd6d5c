"""A client of the graph that runs trials and waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import rclpy
from keypoint_interfaces.action import RunTrial
from keypoint_interfaces.srv import Engage, Locate, ResetWorld, StartTracking
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future
from std_srvs.srv import Trigger

from keypoint_core.errors import KeypointError
from keypoint_trials.bag import is_finished
from keypoint_trials.records import OUTCOMES, TrialRecord

TRIAL_TIMEOUT = 180.0  # for a whole trial [s]
SERVICES = {
    "arm/engage": Engage,
    "correspondence/locate": Locate,
    "policy/reset": Trigger,
    "sim/reset": ResetWorld,
    "tracker/start": StartTracking,
}


class TrialClient:
    """Joins the graph in a context of its own; a context manager, to be used from one thread."""

    def __enter__(self) -> TrialClient:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("trial_client", context=self._context)
        self._trials = ActionClient(self._node, RunTrial, "run_trial")
        self._services = [self._node.create_client(kind, name) for name, kind in SERVICES.items()]
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self._trials.destroy()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait_until_ready(self, timeout: float, check: Callable[[], None]) -> None:
        """Waits until all services of the graph are there, calling `check` meanwhile.

        Raises:
            KeypointError: naming those that are missing after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            missing = [client.srv_name for client in self._services if not client.service_is_ready()]
            if not self._trials.server_is_ready():
                missing.append("run_trial")
            if not missing:
                return
            if time.monotonic() > deadline:
                raise KeypointError(f"the graph is not up after {timeout:g} s; missing: {', '.join(missing)}")
            check()
            self._executor.spin_once(timeout_sec=0.1)

    def run(self, trial: str, seed: int, condition: str, mode: str, folder: Path) -> TrialRecord:
        """Runs one trial to its end; the record's folder is the one that the recorder uses."""
        goal = RunTrial.Goal(trial=trial, seed=seed, condition=condition)
        handle = self._wait(self._trials.send_goal_async(goal), 10.0, "the trial node did not answer")
        if not handle.accepted:
            raise KeypointError("the trial node refused the trial; is it active?")
        result = self._wait(handle.get_result_async(), TRIAL_TIMEOUT, f"trial '{trial}' did not end").result
        return TrialRecord(
            trial=trial,
            outcome=OUTCOMES[result.outcome],
            folder=folder / trial,
            pose=tuple(result.pose),
            error=result.error_msg,
            elapsed=result.elapsed,
            visible=result.keypoints_visible,
            total=result.keypoints_total,
            mode=mode,
            condition=condition,
            seed=seed,
        )

    def wait_until_recorded(self, bag: Path, timeout: float = 10.0) -> None:
        """Waits until the recorder has finished a bag."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not is_finished(bag):
            self._executor.spin_once(timeout_sec=0.1)

    def _wait(self, future: Future, timeout: float, message: str) -> object:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        deadline = time.monotonic() + timeout
        while not done.is_set():
            if time.monotonic() > deadline:
                raise KeypointError(f"{message} within {timeout:g} s")
            self._executor.spin_once(timeout_sec=0.1)
        return future.result()

"""Runs trials: home, reset, locate, track, act, judge, hold. The action server `run_trial`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from keypoint_interfaces.action import RunTrial
from keypoint_interfaces.msg import TrialState
from keypoint_interfaces.srv import Judge
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.task import Future

from keypoint_core.parameters import parameter
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.qos import LATCHED
from keypoint_trials.trial import Trial, TrialRequest, TrialSettings
from keypoint_trials.trial_graph import TrialGraph


@dataclass(frozen=True)
class TrialParameters:
    """Parameters of the trial node."""

    judge: str = parameter("simulation", "who says whether the task is done", choices=("simulation", "operator"))
    time_limit: float = parameter(20.0, "for the phase ACT", unit="s", minimum=0.5, maximum=600.0)
    home_timeout: float = parameter(15.0, "for reaching home, wall clock", unit="s", minimum=1.0, maximum=120.0)
    locate_timeout: float = parameter(
        10.0, "for a frame and its keypoints, wall clock", unit="s", minimum=0.5, maximum=120.0
    )
    start_timeout: float = parameter(
        10.0,
        "for the other nodes to be found and the first command to come, wall clock",
        unit="s",
        minimum=0.2,
        maximum=60.0,
    )
    silence_timeout: float = parameter(
        2.0,
        "no command derived from a new frame for this long ends the trial, wall clock",
        unit="s",
        minimum=0.2,
        maximum=60.0,
    )
    rest_timeout: float = parameter(
        2.0, "for coming to rest before a stop is latched, wall clock", unit="s", minimum=0.2, maximum=30.0
    )
    judge_timeout: float = parameter(
        120.0, "for the operator's verdict, wall clock", unit="s", minimum=1.0, maximum=3600.0
    )


class TrialNode(KeypointNode):
    """Action run_trial, topic trial/state, service ~/judge."""

    Parameters = TrialParameters
    coroutines = True

    def __init__(self) -> None:
        super().__init__("trial")
        self._lock = threading.Lock()
        self._trial: Trial | None = None
        self._graph = TrialGraph(self, self.lockstep)
        self._states = self.create_publisher(TrialState, "trial/state", LATCHED)
        self.create_service(Judge, "~/judge", self._judge)
        self._server = ActionServer(
            self, RunTrial, "run_trial", self._execute, goal_callback=self._goal, cancel_callback=self._cancel
        )
        self.create_timer(0.5, self._publish_state)
        self._state = TrialState()
        self._publish_state()

    def deactivate(self) -> None:
        """Cancels what runs."""
        with self._lock:
            if self._trial is not None:
                self._trial.cancel()

    def _goal(self, request: RunTrial.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if self.active else GoalResponse.REJECT

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        with self._lock:
            if self._trial is not None and self._trial.goal_id == bytes(handle.goal_id.uuid):
                self._trial.cancel()
        return CancelResponse.ACCEPT

    def _judge(self, request: Judge.Request, response: Judge.Response) -> Judge.Response:
        with self._lock:
            if self._trial is None or not self._trial.judge(request.success, request.reason):
                response.error_code, response.error_msg = Judge.Response.NO_TRIAL, "no trial waits for a verdict"
        return response

    async def _execute(self, handle: ServerGoalHandle) -> RunTrial.Result:
        """Runs the trial in a thread of its own, while the executor goes on serving."""
        with self._lock:
            if self._trial is not None:
                handle.abort()
                message = f"trial '{self._trial.request.name}' is running"
                return RunTrial.Result(
                    outcome=RunTrial.Result.ERROR, error_code=RunTrial.Result.BUSY, error_msg=message
                )
            goal = handle.request
            name = goal.trial or time.strftime("trial-%Y%m%d-%H%M%S")
            request = TrialRequest(name, goal.seed, goal.condition, goal.time_limit or self.parameters.time_limit)
            self._trial = Trial(self._graph, request, self._settings(), self._show, bytes(handle.goal_id.uuid))
        done = Future(executor=self.executor)
        threading.Thread(target=self._work, args=(self._trial, handle, done), name="trial", daemon=True).start()
        return await done

    def _settings(self) -> TrialSettings:
        p = self.parameters
        return TrialSettings(
            p.judge == "operator",
            p.home_timeout,
            p.locate_timeout,
            p.start_timeout,
            p.silence_timeout,
            p.rest_timeout,
            p.judge_timeout,
        )

    def _work(self, trial: Trial, handle: ServerGoalHandle, done: Future) -> None:
        result = trial.run(lambda feedback: handle.publish_feedback(feedback))
        with self._lock:
            self._trial = None
        finish = {RunTrial.Result.CANCELED: handle.canceled, RunTrial.Result.SUCCESS: handle.succeed}
        if result.outcome == RunTrial.Result.CANCELED and not handle.is_cancel_requested:
            handle.abort()  # the node was deactivated, nobody asked to cancel
        else:
            finish.get(result.outcome, handle.abort)()
        self._show(TrialState(trial=trial.request.name, message=_words(result)))
        done.set_result(result)

    def _show(self, state: TrialState) -> None:
        state.header.stamp = self.get_clock().now().to_msg()
        self._state = state
        self._publish_state()

    def _publish_state(self) -> None:
        self._states.publish(self._state)


def _words(result: RunTrial.Result) -> str:
    names = {0: "success", 1: "failure", 2: "stopped", 3: "canceled", 4: "error"}
    return f"{names[result.outcome]}: {result.error_msg}" if result.error_msg else names[result.outcome]


def main() -> None:
    """Runs the node."""
    run(TrialNode)

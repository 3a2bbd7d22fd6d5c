"""One trial, as a sequence of phases in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from keypoint_interfaces.action import RunTrial
from keypoint_interfaces.msg import ArmState, Keypoints, StageTiming, TaskStatus, TrialState

from keypoint_core.errors import KeypointError
from keypoint_ros.conversions import from_stamp
from keypoint_trials.trial_graph import GraphError, NoFrameError, TrialGraph

Result = RunTrial.Result
_TELL_PERIOD = 0.1  # between two states of the same phase [s]
COMMANDER = "policy"
_CULPRITS = {
    StageTiming.CAMERA: (Result.CAMERA, "no frames come"),
    StageTiming.TRACKER: (Result.TRACK, "the tracker fell silent"),
    StageTiming.POLICY: (Result.POLICY, "the policy fell silent"),
    StageTiming.ARM: (Result.ARM, "the arm applies no command"),
}


@dataclass(frozen=True)
class TrialRequest:
    """What is to be run.

    Attributes:
        name: of the trial, and of its bag.
        seed: of the simulated scene; -1: the scene is left as it is.
        condition: of the simulated scene.
        time_limit: for the phase ACT [s].
    """

    name: str
    seed: int
    condition: str
    time_limit: float


@dataclass(frozen=True)
class TrialSettings:
    """Who judges, and how long things may take [s], by the wall clock."""

    operator_judges: bool
    home_timeout: float
    locate_timeout: float
    start_timeout: float
    silence_timeout: float
    rest_timeout: float
    judge_timeout: float


class _EndedError(KeypointError):
    """The trial is over, with this outcome."""

    def __init__(self, outcome: int, message: str = "") -> None:
        super().__init__(message)
        self.outcome = outcome


class Trial:
    """Runs once.

    Args:
        graph: the nodes.
        request: what to run.
        settings: limits.
        show: called with every new TrialState.
        goal_id: of the action's goal.
    """

    def __init__(
        self,
        graph: TrialGraph,
        request: TrialRequest,
        settings: TrialSettings,
        show: Callable[[TrialState], None],
        goal_id: bytes = b"",
    ) -> None:
        self.request, self.goal_id = request, goal_id
        self._graph, self._settings, self._show = graph, settings, show
        self._canceled = threading.Event()
        self._verdict: tuple[bool, str] | None = None
        self._phase = TrialState.PHASE_IDLE
        self._acting_since: int | None = None
        self._acted = 0.0
        self._told = 0.0  # by the steady clock [s]
        self._result = RunTrial.Result()

    def cancel(self) -> None:
        """Ends the trial as canceled; the arm is at rest when `run` returns."""
        self._canceled.set()
        with self._graph.changed:
            self._graph.changed.notify_all()

    def judge(self, success: bool, reason: str) -> bool:
        """A person's verdict; False when none is wanted now."""
        if not self._settings.operator_judges or self._phase not in (TrialState.PHASE_ACT, TrialState.PHASE_JUDGE):
            return False
        with self._graph.changed:
            self._verdict = (success, reason)
            self._graph.changed.notify_all()
        return True

    def run(self, feedback: Callable[[RunTrial.Feedback], None]) -> RunTrial.Result:
        """Runs all phases and returns the result; the arm holds (or is stopped) when it does."""
        self._feedback = feedback
        try:
            self._prepare()
            self._act()
        except _EndedError as end:
            self._result.outcome, self._result.error_msg = end.outcome, str(end)
        except GraphError as error:
            self._result.outcome, self._result.error_code = Result.ERROR, error.code
            self._result.error_msg = str(error)
        self._result.elapsed = self._acted
        self._result.keypoints_visible, self._result.keypoints_total = self._graph.visible, self._graph.total
        self._hold()
        return self._result

    def _prepare(self) -> None:
        self._enter(TrialState.PHASE_HOME)
        self._go_home()
        self._enter(TrialState.PHASE_RESET)
        since = self._graph.now()
        if self.request.seed >= 0:
            answer = self._graph.reset_world(self.request.seed, self.request.condition, Result.RESET)
            self._result.pose, since = answer.pose, from_stamp(answer.stamp)
        self._since = since
        self._check()

    def _go_home(self) -> None:
        now = self._graph.now()  # older states tell of stops that were released since
        self._wait(lambda: self._arm_since(now), 5.0, Result.ARM, "the arm publishes no state; is its node running?")
        self._check()
        if self._at_home():
            return
        self._graph.trigger("arm/home", Result.HOME, self._settings.start_timeout)
        # States from before the call are still on their way, so first see it move.
        self._wait(lambda: self._mode() == ArmState.MODE_HOME, 5.0, Result.HOME, "the arm did not start to move home")
        self._wait(self._at_home, self._settings.home_timeout, Result.HOME, "the arm did not reach home in time")

    def _arm_since(self, stamp: int) -> bool:
        return self._graph.arm is not None and from_stamp(self._graph.arm.header.stamp) > stamp

    def _at_home(self) -> bool:
        self._check()
        return self._graph.arm is not None and self._graph.arm.at_home and self._mode() == ArmState.MODE_HOLD

    def _mode(self) -> int | None:
        return self._graph.arm.mode if self._graph.arm else None

    def _start_tracking(self) -> int:
        """Locates and starts to track, on a later frame when the tracker had not got the first one.

        Returns:
            Exposure of the frame that tracking began with [ns].
        """
        deadline = time.monotonic() + self._settings.locate_timeout
        since = self._since
        while True:
            self._enter(TrialState.PHASE_LOCATE)
            keypoints = self._graph.locate(since, Result.LOCATE, self._settings.locate_timeout)
            self._result.keypoints_located = sum(status == Keypoints.VISIBLE for status in keypoints.status)
            self._check()
            self._enter(TrialState.PHASE_TRACK)
            self._graph.trigger("policy/reset", Result.POLICY, self._settings.start_timeout)
            try:
                self._graph.start_tracking(keypoints, Result.TRACK)
            except NoFrameError:
                if time.monotonic() > deadline:
                    raise
                if not self._graph.lockstep:  # there the same frame comes again
                    since = from_stamp(keypoints.header.stamp) + 1
            else:
                return from_stamp(keypoints.header.stamp)

    def _act(self) -> None:
        begin, settings = self._start_tracking(), self._settings
        lost = "the policy made no command from the first frame; did tracker and policy find each other?"
        self._wait(lambda: self._graph.acted_on >= begin, settings.start_timeout, Result.POLICY, lost)
        self._graph.restart_watch()
        # Last, because in lockstep it starts the world: what missed the first frame would never get it.
        self._graph.engage(COMMANDER, Result.ARM, self._settings.start_timeout)
        self._acting_since = self._graph.now()
        self._enter(TrialState.PHASE_ACT)
        while True:
            with self._graph.changed:
                self._graph.changed.wait(0.1)
            self._acted = (self._graph.now() - self._acting_since) / 1e9
            self._check()
            self._check_judge()
            self._check_stages()
            if time.monotonic() - self._told > _TELL_PERIOD:
                self._tell()

    def _check(self) -> None:
        """Raises when the trial was canceled or the arm stopped."""
        if self._canceled.is_set():
            raise _EndedError(Result.CANCELED, "canceled")
        arm = self._graph.arm
        if arm is not None and arm.mode == ArmState.MODE_STOPPED:
            raise _EndedError(Result.STOPPED, f"the arm is stopped: {arm.message}; arm/release ends it")

    def _check_judge(self) -> None:
        """Raises when the task is done, failed, or out of time."""
        if self._settings.operator_judges:
            if self._verdict is not None or self._acted > self.request.time_limit:
                self._judged_by_operator()
            return
        task = self._graph.task
        if task is not None and from_stamp(task.header.stamp) >= self._since and task.outcome != TaskStatus.RUNNING:
            self._acted = task.elapsed
            self._enter(TrialState.PHASE_JUDGE)
            success = task.outcome == TaskStatus.SUCCESS
            raise _EndedError(Result.SUCCESS if success else Result.FAILURE, task.reason)
        if self._acted > self.request.time_limit:
            raise _EndedError(Result.FAILURE, f"time limit of {self.request.time_limit:g} s")

    def _judged_by_operator(self) -> None:
        self._graph.engage("", Result.ARM)
        self._enter(TrialState.PHASE_JUDGE)
        limit = self._settings.judge_timeout
        self._wait(lambda: self._verdict is not None, limit, Result.OK, "the operator gave no verdict")
        success, reason = self._verdict or (False, "")
        raise _EndedError(Result.SUCCESS if success else Result.FAILURE, reason)

    def _check_stages(self) -> None:
        # Right after the start nodes may not have found each other yet; the arm holds meanwhile.
        begun = self._graph.has_acted(self._since)
        limit = self._settings.silence_timeout if begun else self._settings.start_timeout
        stage = self._graph.silent_stage(limit)
        if stage is not None:
            code, words = _CULPRITS[stage]
            said = f" ({self._graph.arm.message})" if self._graph.arm and self._graph.arm.message else ""
            raise GraphError(code, f"no new frame led to a command for {limit:g} s: {words}{said}")

    def _hold(self) -> None:
        """Brings the arm to rest; latches a stop when it does not come to rest in time."""
        self._enter(TrialState.PHASE_HOLD)
        try:
            self._graph.engage("", Result.ARM)
            self._graph.trigger("tracker/reset", Result.TRACK)
        except GraphError as error:
            self._complain(error)
        try:
            self._wait(self._at_rest, self._settings.rest_timeout, Result.NOT_AT_REST, "the arm did not come to rest")
        except GraphError as error:
            self._complain(error)
            self._stop()

    def _stop(self) -> None:
        try:
            self._graph.trigger("arm/stop", Result.ARM)
        except GraphError as error:
            self._complain(error)

    def _complain(self, error: GraphError) -> None:
        """What goes wrong at the end is added to the result and never hides what went wrong before."""
        self._result.error_code = self._result.error_code or error.code
        self._result.error_msg = "; ".join(filter(None, [self._result.error_msg, str(error)]))

    def _at_rest(self) -> bool:
        arm = self._graph.arm
        if arm is None or time.monotonic() - self._graph.arm_when > 0.5 or arm.mode == ArmState.MODE_FOLLOW:
            return False
        return not any(arm.applied_velocity) and all(abs(v) < 0.05 for v in arm.velocity)

    def _wait(self, ready: Callable[[], bool], timeout: float, code: int, message: str) -> None:
        deadline = time.monotonic() + timeout
        with self._graph.changed:
            while not ready():
                if time.monotonic() > deadline:
                    raise GraphError(code, message)
                self._graph.changed.wait(0.05)

    def _enter(self, phase: int) -> None:
        self._phase = phase
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        graph = self._graph
        state = TrialState(trial=self.request.name, phase=self._phase, elapsed=self._acted)
        state.keypoints_visible, state.keypoints_total = graph.visible, graph.total
        self._show(state)
        self._feedback(RunTrial.Feedback(phase=self._phase, elapsed=self._acted, keypoints_visible=graph.visible))

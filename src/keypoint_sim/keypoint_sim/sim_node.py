"""The simulation plays camera and robot underneath the same graph that runs on the real ones.

Topics out: camera/* (and camera/pose, as calibrated), sim/feedback, task/status, timing, /clock (lockstep). In: sim/command. Service: ~/reset.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from keypoint_interfaces.msg import SimCommand, SimFeedback, StageTiming
from keypoint_interfaces.msg import TaskStatus as TaskStatusMsg
from keypoint_interfaces.srv import ResetWorld
from rosgraph_msgs.msg import Clock

from keypoint_core.errors import KeypointError
from keypoint_core.types import ArmCommand, ArmMode, Frame
from keypoint_ros.camera import CameraPublisher
from keypoint_ros.conversions import from_stamp, to_header, to_pose, to_stamp
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.qos import LATCHED, SUBSCRIBE_STREAM_LOSSLESS
from keypoint_ros.timing import TimingPublisher
from keypoint_ros.worker import LatestWorker
from keypoint_sim.camera import Snapshot
from keypoint_sim.disturbances import parse_condition
from keypoint_sim.exposures import DelayLine
from keypoint_sim.lockstep import Lockstep, Phase
from keypoint_sim.parameters import SimParameters
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World

_RESEND = 0.02  # a tick that waits for its command is sent again after this long, wall clock [s]
_RESEND_FRAME = 0.5  # and its frame, which a node that joined late has missed, after this long, wall clock [s]
_EPOCH_GAP = 1_000_000_000  # simulated time between two scenes [ns]
_LATE = 0.1  # real time: a loop that is later than this skips the time instead of catching up [s]
_NEAR_HOME = 0.1  # a scene is put up only with every joint this near home [rad]


@dataclass(frozen=True)
class _Exposure:
    snapshot: Snapshot
    stamp: int
    wall: int


@dataclass(frozen=True)
class _Picture:
    frame: Frame
    wall: int
    compute: float


class SimNode(KeypointNode):
    """Runs the world in a thread of its own: in lockstep with the arm's commands, or in real time."""

    Parameters = SimParameters

    def __init__(self) -> None:
        super().__init__("sim")
        self.lockstep = self.parameters.mode == "lockstep"
        self._world: World | None = None
        self._changed = threading.Condition()
        self._command: SimCommand | None = None
        self._command_when = 0.0
        self._rule = Lockstep(self.parameters.latency)
        self._late: DelayLine[_Picture] = DelayLine(0 if self.lockstep else self.parameters.latency)
        self._epoch, self._tick = _EPOCH_GAP, 0
        self._stepping = False
        self._told = Outcome.RUNNING
        self._answered: tuple[Time, ResetWorld.Response] | None = None  # the last request's stamp, and its answer
        self._feedback = self.create_publisher(SimFeedback, "sim/feedback", SUBSCRIBE_STREAM_LOSSLESS)
        self._status = self.create_publisher(TaskStatusMsg, "task/status", LATCHED)
        self._clock_publisher = self.create_publisher(Clock, "/clock", 1)
        self._camera = CameraPublisher(self)
        self._calibration = self.create_publisher(PoseStamped, "camera/pose", LATCHED)
        self._timing = TimingPublisher(self, StageTiming.CAMERA)
        self.create_subscription(SimCommand, "sim/command", self._on_command, SUBSCRIBE_STREAM_LOSSLESS)
        self.create_service(ResetWorld, "~/reset", self._reset)

    def configure(self) -> None:
        """Builds the world and takes a first picture, so that a missing OpenGL library is found here."""
        p = self.parameters
        parse_condition(p.condition)
        self._world = World(p.task, p.robot, p.timing, p.camera, p)
        self._info = self._world.reset(p.seed, p.condition)
        self._world.capture()

    def activate(self) -> None:
        """Starts the clock."""
        self._tell_calibration()
        self._stepping = True
        self._render_worker = LatestWorker(
            "render", self._render, self.failed, lambda: self.diagnostics.count("frames dropped")
        )
        loop = self._run_lockstep if self.lockstep else self._run_real_time
        self._thread = threading.Thread(target=loop, name="physics", daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stops the clock."""
        if not self._stepping:
            return
        self._stepping = False
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=2.0)
        self._render_worker.close()

    def cleanup(self) -> None:
        """Frees the renderer."""
        if self._world is not None:
            self._world.close()

    def _on_command(self, message: SimCommand) -> None:
        with self._changed:
            self._command, self._command_when = message, time.monotonic()
            self._changed.notify_all()

    def _reset(self, request: ResetWorld.Request, response: ResetWorld.Response) -> ResetWorld.Response:
        world = self._world
        if not self._stepping or world is None:
            response.error_code, response.error_msg = ResetWorld.Response.BAD_REQUEST, "the sim node is not active"
            return response
        with self._changed:
            if from_stamp(request.stamp) and self._answered is not None and self._answered[0] == request.stamp:
                return self._answered[1]  # asked again because the answer took long
            off = np.abs(world.state().position - world.arm.home).max()
            if off > _NEAR_HOME:
                response.error_code = ResetWorld.Response.BAD_REQUEST
                response.error_msg = (
                    f"the arm must be home (within {_NEAR_HOME} rad) when a scene is put up, it is {off:.2f} rad off"
                )
                return response
            try:
                self._put_up(request.seed, request.condition or self.parameters.condition)
            except KeypointError as error:
                response.error_code, response.error_msg = ResetWorld.Response.BAD_REQUEST, str(error)
                return response
            response.pose, response.stamp = list(self._info.pose), to_stamp(self._stamp())
            self._answered = request.stamp, response
        return response

    def _put_up(self, seed: int, condition: str) -> None:
        """Time goes on over scenes: the new one starts a little after the old one."""
        epoch = self._epoch + self._world.stamp + _EPOCH_GAP
        self._info = self._world.reset(seed, condition)
        self._epoch, self._tick, self._command = epoch, self._tick + 1, None
        self._rule.reset()
        self._told = Outcome.RUNNING
        self._tell_calibration()
        self._changed.notify_all()

    def _tell_calibration(self) -> None:
        """Where the camera was found to stand before the trial, by whoever calibrates it."""
        if self.parameters.publish_camera:
            base = f"{self._world.robot.name}_base"
            self._calibration.publish(to_pose(self._world.calibration(), self._stamp(), base))

    @property
    def _frame_due(self) -> bool:
        return self.parameters.publish_camera and self._world.frame_due

    def _stamp(self) -> int:
        """Of the present tick [ns]: simulated in lockstep, else of the system clock."""
        return self._epoch + self._world.stamp if self.lockstep else time.time_ns()

    # Lockstep ---------------------------------------------------------------------------------------------------------

    def _run_lockstep(self) -> None:
        handled, frame, sent = -1, None, 0.0
        while self._stepping:
            with self._changed:
                tick, stamp = self._tick, self._stamp()
                exposure = self._begin_tick(stamp) if tick != handled else None
                feedback = self._make_feedback(stamp, self._rule.awaits)
            if exposure is not None:
                frame, sent = self._render(exposure), time.monotonic()
            elif frame is not None and tick == handled and time.monotonic() - sent > _RESEND_FRAME:
                self._camera.publish(frame)
                sent = time.monotonic()
            handled = tick
            self._feedback.publish(feedback)
            self._tell(stamp)
            with self._changed:
                self._await_command(tick)

    def _begin_tick(self, stamp: int) -> _Exposure | None:
        self._clock_publisher.publish(Clock(clock=to_stamp(stamp)))
        if not self._frame_due or self._rule.phase == Phase.OVER:
            return None
        self._rule.exposed(stamp)
        return _Exposure(self._world.snapshot(), stamp, time.time_ns())

    def _await_command(self, tick: int) -> None:
        """Steps once when a command for this tick lets time go on; gives up after a while, so that it is sent again."""
        deadline = time.monotonic() + _RESEND
        while self._stepping and tick == self._tick:
            command = self._command
            if command is not None and command.tick == tick:
                observation = from_stamp(command.observation)
                self._command = None
                if self._rule.may_advance(command.mode, observation):
                    self._pace(command.mode)
                    if tick == self._tick:  # no new scene was put up meanwhile
                        self._step(command)
                    return
            if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                return

    def _pace(self, mode: int) -> None:
        """An idle world runs no faster than the real one."""
        if self._rule.phase == Phase.FREE and mode in (ArmMode.HOLD, ArmMode.STOPPED):
            self._changed.wait(self._world.timing.control_period * 1e-9)

    # Real time --------------------------------------------------------------------------------------------------------

    def _run_real_time(self) -> None:
        period = self._world.timing.control_period * 1e-9
        due = time.monotonic()
        while self._stepping:
            with self._changed:
                stamp = self._stamp()
                if self._frame_due:
                    self._render_worker.submit(_Exposure(self._world.snapshot(), stamp, stamp))
                feedback = self._make_feedback(stamp, 0)
            self._feedback.publish(feedback)
            self._tell(stamp)
            due = self._sleep_until(due + period)
            with self._changed:
                fresh = time.monotonic() - self._command_when <= self.parameters.command_lifetime
                self._step(self._command, still=not fresh)

    def _sleep_until(self, due: float) -> float:
        late = time.monotonic() - due
        if late > _LATE:
            self.diagnostics.count("ticks late", int(late * 100))
            return time.monotonic()
        if late < 0:
            time.sleep(-late)
        return due

    # Both -------------------------------------------------------------------------------------------------------------

    def _step(self, command: SimCommand | None, still: bool = False) -> None:
        self._tick += 1
        if command is None:
            state = self._world.state()
            applied = ArmCommand(self._world.arm.home, np.zeros_like(state.position), float("nan"))
        else:
            velocity = np.zeros(len(command.position)) if still else np.array(command.velocity)
            applied = ArmCommand(np.array(command.position), velocity, command.gripper)
        self._world.step(applied)
        self._rule.ticked(self._world.status().outcome != Outcome.RUNNING)

    def _make_feedback(self, stamp: int, awaits: int) -> SimFeedback:
        state = self._world.state()
        message = SimFeedback(header=to_header(stamp, f"{self._world.robot.name}_base"), tick=self._tick)
        message.position, message.velocity = state.position.tolist(), state.velocity.tolist()
        message.effort, message.gripper = state.effort.tolist(), float(state.gripper)
        message.awaits = to_stamp(awaits)
        return message

    def _render(self, exposure: _Exposure) -> Frame:
        began = time.perf_counter()
        frame = replace(self._world.capture(exposure.snapshot), stamp=exposure.stamp)
        arrived = self._late.put(_Picture(frame, exposure.wall, time.perf_counter() - began))
        if arrived is not None:
            self._camera.publish(arrived.frame)
            self._timing.publish(arrived.frame.stamp, arrived.wall, arrived.compute)
        self.diagnostics.tick("frames")
        return frame

    def _tell(self, stamp: int) -> None:
        """Publishes the verdict with every frame, and at once when it changes."""
        status = self._world.status()
        if not self._world.frame_due and status.outcome == self._told:
            return
        self._told = status.outcome
        message = TaskStatusMsg(header=to_header(stamp), seed=self._info.seed, outcome=int(status.outcome))
        message.reason, message.elapsed = status.reason, float(status.elapsed)
        self._status.publish(message)


def main() -> None:
    """Runs the node."""
    run(SimNode)

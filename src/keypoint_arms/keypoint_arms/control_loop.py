"""The loop that serves every arm: read -> gate -> write, paced by the robot's own feedback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from keypoint_core.arms.controller import ArmController, Tick
from keypoint_core.arms.limits import Reason
from keypoint_core.errors import ArmError
from keypoint_core.protocols import Arm
from keypoint_core.types import ActionChunk, ArmMode, RobotState


@dataclass(frozen=True)
class ReceivedChunk:
    """An action chunk, who sent it, and when it came in: by the system clock and by the steady clock [ns]."""

    chunk: ActionChunk
    commander: str
    received: int
    received_steady: int


@dataclass(frozen=True)
class Turn:
    """What happened in one turn of the loop.

    Attributes:
        state: the feedback.
        tick: the controller's answer.
        compute: time from feedback to written command, without waiting [s].
        written: when the command was written, by the system clock [ns].
    """

    state: RobotState
    tick: Tick
    compute: float
    written: int


class ControlLoop:
    """Runs a driver and the controller in a thread of its own.

    Ages are measured on the steady clock: the exposure of a chunk is carried over from the system clock once, when the
    chunk comes in, so that a clock that jumps later cannot make an old command fresh. In lockstep the simulated stamps
    are the clock, and the loop waits for the chunk that the simulation awaits.

    Args:
        driver: of the arm, connected.
        controller: state machine and gate.
        on_state: called with every feedback, before the command is made.
        on_turn: called after every command.
        on_fault: called with the reason and a message when feedback ceases or the driver fails.
        lockstep: simulated time.
        lockstep_timeout: how long to wait for an awaited chunk [s], wall clock.
    """

    def __init__(
        self,
        driver: Arm,
        controller: ArmController,
        on_state: Callable[[RobotState], None],
        on_turn: Callable[[Turn], None],
        on_fault: Callable[[Reason, str], None],
        lockstep: bool = False,
        lockstep_timeout: float = 5.0,
    ) -> None:
        self._driver, self._controller = driver, controller
        self._on_state, self._on_turn, self._on_fault = on_state, on_turn, on_fault
        self._lockstep, self._lockstep_timeout = lockstep, lockstep_timeout
        self._changed = threading.Condition()
        self._chunks: list[ReceivedChunk] = []
        self._now = self._taken = 0
        self._running = True
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def submit(self, chunk: ReceivedChunk) -> None:
        """Hands over a chunk; it takes effect at the next tick (lockstep: at the tick that awaits it)."""
        with self._changed:
            self._chunks.append(chunk)
            del self._chunks[:-30]
            self._changed.notify_all()

    def engage(self, commander: str) -> bool:
        """See `ArmController.engage`."""
        with self._changed:
            if not self._lockstep:  # there it is the exposure that tells which chunk is meant, whenever it came
                self._chunks.clear()
            self._changed.notify_all()
            self._taken = 0
            return self._controller.engage(commander, self._now if self._lockstep else time.monotonic_ns())

    def command(self, action: Callable[[ArmController], object]) -> object:
        """Calls the controller between two ticks, at once."""
        with self._changed:
            result = action(self._controller)
            self._changed.notify_all()
            return result

    def stop(self, reason: Reason = Reason.STOP_REQUESTED) -> None:
        """Latches a stop in the controller and in the driver."""
        self.command(lambda controller: controller.stop(reason))
        self._driver.stop()

    def close(self) -> None:
        """Stops the arm, disconnects, and ends the thread."""
        self._running = False
        with self._changed:
            self._changed.notify_all()
        self._driver.stop()
        self._driver.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while self._running:
            try:
                state = self._driver.read()
            except ArmError as error:
                self._fault(Reason.FEEDBACK_LOST, str(error))
                continue
            try:
                self._turn(state)
            except ArmError as error:
                self._fault(Reason.DRIVER_FAULT, str(error))
            except Exception as error:  # whatever it is: nobody would command the arm any more
                self._fault(Reason.DRIVER_FAULT, f"the control loop ended: {type(error).__name__}: {error}")
                self._driver.stop()
                raise

    def _fault(self, reason: Reason, message: str) -> None:
        if self._running:
            self.command(lambda controller: controller.stop(reason))
            self._on_fault(reason, message)

    def _turn(self, state: RobotState) -> None:
        self._now = state.stamp
        self._on_state(state)
        with self._changed:
            if self._lockstep:
                self._take_awaited(state.awaits)
            else:
                self._take_all()
            began = time.perf_counter()
            tick = self._controller.update(state, state.stamp if self._lockstep else time.monotonic_ns())
            self._driver.write(tick.command)
        self._on_turn(Turn(state, tick, time.perf_counter() - began, time.time_ns()))

    def _take_all(self) -> None:
        for received in self._chunks:
            exposure = received.received_steady - (received.received - received.chunk.stamp)
            self._controller.submit(received.chunk, received.commander, exposure, received.received_steady)
        self._chunks.clear()

    def _take_awaited(self, awaits: int) -> None:
        """Waits for the chunk of one exposure, while the controller follows somebody."""
        if awaits in (0, self._taken):  # a tick that is sent again awaits what was taken already
            return
        deadline = time.monotonic() + self._lockstep_timeout
        while self._running and self._controller.mode == ArmMode.FOLLOW:
            commander = self._controller.commander
            own = [received for received in self._chunks if received.commander == commander]
            due = [received for received in own if received.chunk.stamp == awaits]
            for received in [received for received in self._chunks if received.commander != commander] + due:
                self._controller.submit(received.chunk, received.commander, received.chunk.stamp, self._now)
            self._chunks = [received for received in own if received.chunk.stamp > awaits]
            if due:
                self._taken = awaits
            if due or not self._changed.wait(max(0.0, deadline - time.monotonic())):
                return

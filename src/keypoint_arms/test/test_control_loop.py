"""The control loop with a driver, feedback and clocks that the test plays: no sleeps, no robot."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from keypoint_arms import control_loop
from keypoint_arms.control_loop import ControlLoop, ReceivedChunk, Turn
from keypoint_core.arms.description import load_arm
from keypoint_core.arms.limits import Reason
from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.errors import ArmError
from keypoint_core.types import SECOND, ActionChunk, ArmCommand, ArmMode, RobotState

ARM = load_arm("hebi_chopsticks")
TICK = 10_000_000
PATIENCE = 5.0
HOUR = 3600 * SECOND


class Clocks:
    """System and steady clock, set by the test; waiting is done on the real one."""

    monotonic, perf_counter = staticmethod(time.monotonic), staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self.system, self.steady = 1_800_000_000 * SECOND, 5000 * SECOND

    def time_ns(self) -> int:
        return self.system

    def monotonic_ns(self) -> int:
        return self.steady

    def advance(self, duration: int) -> None:
        self.system += duration
        self.steady += duration


class Driver:
    """Hands out what the test feeds, and keeps what it is told."""

    def __init__(self, log: list[str]) -> None:
        self.log, self.feedback = log, queue.Queue()
        self.commands: list[ArmCommand] = []
        self.write_error: Exception | None = None
        self.stops = 0

    def connect(self) -> None:
        self.log.append("connect")

    def read(self) -> RobotState:
        state = self.feedback.get(timeout=30.0)
        self.log.append("read")
        if isinstance(state, Exception):
            raise state
        return state

    def write(self, command: ArmCommand) -> None:
        self.log.append("write")
        if self.write_error is not None:
            raise self.write_error
        self.commands.append(command)

    def stop(self) -> None:
        self.stops += 1

    def close(self) -> None:
        self.log.append("close")
        self.feedback.put(ArmError("closed"))


class Bench:
    """A running loop around the driver."""

    def __init__(self, clocks: Clocks, lockstep: bool, timeout: float) -> None:
        self.clocks, self.log = clocks, []
        self.driver = Driver(self.log)
        self.turns: queue.Queue[Turn] = queue.Queue()
        self.faults: queue.Queue[tuple[Reason, str]] = queue.Queue()
        self.controller = make_controller(ARM, ArmParameters(max_age=0.3))
        update = self.controller.update
        self.controller.update = lambda *given: (self.log.append("update"), update(*given))[1]
        self.loop = ControlLoop(
            self.driver,
            self.controller,
            lambda state: self.log.append("state"),
            self._on_turn,
            lambda reason, message: self.faults.put((reason, message)),
            lockstep,
            timeout,
        )
        self.position, self.stamp = ARM.home.copy(), SECOND

    def _on_turn(self, turn: Turn) -> None:
        self.log.append("turn")
        self.turns.put(turn)

    def feed(self, awaits: int = 0) -> None:
        zeros = np.zeros(6)
        self.driver.feedback.put(RobotState(self.stamp, self.position.copy(), zeros, zeros, -0.4, awaits))

    def turn(self, awaits: int = 0) -> Turn:
        self.feed(awaits)
        return self.next_turn()

    def next_turn(self) -> Turn:
        turn = self.turns.get(timeout=PATIENCE)
        self.position = turn.tick.command.position
        self.stamp += TICK
        self.clocks.advance(TICK)
        return turn

    def send(self, stamp: int, commander: str = "me", target: float = 0.02) -> None:
        positions = np.tile(ARM.home + target, (8, 1))
        chunk = ActionChunk(stamp, 1 / 15, positions, np.full(8, -0.4))
        self.loop.submit(ReceivedChunk(chunk, commander, self.clocks.system, self.clocks.steady))


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(control_loop, "time", clocks)
    return clocks


@pytest.fixture
def bench(clocks: Clocks) -> Iterator[Bench]:
    bench = Bench(clocks, lockstep=False, timeout=5.0)
    yield bench
    bench.loop.close()


@pytest.fixture
def lockstep(clocks: Clocks) -> Iterator[Bench]:
    bench = Bench(clocks, lockstep=True, timeout=60.0)
    yield bench
    bench.loop.close()


def test_each_turn_reads_then_updates_then_writes(bench: Bench) -> None:
    for _ in range(3):
        bench.turn()
    assert bench.log == ["read", "state", "update", "write", "turn"] * 3


def test_it_holds_until_somebody_is_engaged(bench: Bench) -> None:
    bench.send(bench.clocks.system)
    turn = bench.turn()
    assert turn.tick.mode == ArmMode.HOLD and np.array_equal(turn.tick.command.position, ARM.home)
    assert bench.loop.engage("me")
    bench.send(bench.clocks.system)
    turn = bench.turn()
    assert turn.tick.mode == ArmMode.FOLLOW and (turn.tick.command.position > ARM.home).all()
    assert turn.written == bench.clocks.system - TICK


def test_engaging_drops_what_came_before(bench: Bench) -> None:
    bench.turn()
    bench.send(bench.clocks.system)
    bench.loop.engage("me")
    assert np.array_equal(bench.turn().tick.command.position, ARM.home)


def test_lost_feedback_stops_and_stays_stopped(bench: Bench) -> None:
    bench.loop.engage("me")
    bench.turn()
    bench.driver.feedback.put(ArmError("cable out"))
    assert bench.faults.get(timeout=PATIENCE) == (Reason.FEEDBACK_LOST, "cable out")
    turn = bench.turn()
    assert turn.tick.mode == ArmMode.STOPPED and turn.tick.reasons == (Reason.FEEDBACK_LOST,)
    assert not bench.loop.engage("me")
    bench.loop.command(lambda controller: controller.release())
    assert bench.turn().tick.mode == ArmMode.HOLD


def test_a_driver_that_cannot_write_is_a_fault_and_the_loop_goes_on(bench: Bench) -> None:
    bench.driver.write_error = ArmError("motor hot")
    bench.feed()
    assert bench.faults.get(timeout=PATIENCE) == (Reason.DRIVER_FAULT, "motor hot")
    bench.driver.write_error = None
    turn = bench.turn()
    assert turn.tick.mode == ArmMode.STOPPED and turn.tick.reasons == (Reason.DRIVER_FAULT,)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_stops_the_robot_and_is_told(bench: Bench) -> None:
    bench.driver.write_error = ZeroDivisionError("bug")
    bench.feed()
    reason, message = bench.faults.get(timeout=PATIENCE)
    assert reason == Reason.DRIVER_FAULT and "ZeroDivisionError: bug" in message
    bench.loop._thread.join(PATIENCE)
    assert bench.driver.stops == 1 and bench.controller.mode == ArmMode.STOPPED


def test_the_first_feedback_must_be_a_number(bench: Bench) -> None:
    bench.position = np.full(6, np.nan)
    bench.feed()
    assert "finite" in bench.faults.get(timeout=PATIENCE)[1]
    assert bench.driver.commands == []


def test_stop_reaches_controller_and_driver(bench: Bench) -> None:
    bench.loop.engage("me")
    bench.turn()
    bench.loop.stop()
    assert bench.driver.stops == 1
    turn = bench.turn()
    assert turn.tick.mode == ArmMode.STOPPED and turn.tick.reasons == (Reason.STOP_REQUESTED,)


def test_close_stops_the_driver_and_ends_the_thread(bench: Bench) -> None:
    bench.turn()
    bench.loop.close()
    assert bench.driver.stops == 1 and "close" in bench.log
    assert not bench.loop._thread.is_alive() and bench.faults.empty()


class TestAge:
    """Ages are steady: the system clock may be set at any time, in both directions."""

    def stale_after(self, bench: Bench) -> int:
        """Steady time from the exposure to the first tick that is stale [ns]."""
        exposure = bench.clocks.steady
        while Reason.STALE not in bench.turn().tick.reasons:
            assert bench.clocks.steady - exposure < SECOND
        return bench.clocks.steady - TICK - exposure

    @pytest.mark.parametrize("jump", [0, HOUR, -HOUR])
    def test_a_jump_after_a_chunk_came_changes_nothing(self, bench: Bench, jump: int) -> None:
        bench.loop.engage("me")
        bench.send(bench.clocks.system)
        bench.turn()
        bench.clocks.steady -= TICK  # the exposure was a tick ago
        bench.clocks.system += jump
        assert 290_000_000 <= self.stale_after(bench) <= 310_000_000

    @pytest.mark.parametrize("jump", [HOUR, -HOUR])
    def test_a_chunk_from_before_a_jump_is_stale_and_the_next_one_counts(self, bench: Bench, jump: int) -> None:
        bench.loop.engage("me")
        exposure = bench.clocks.system
        bench.clocks.advance(50_000_000)
        bench.clocks.system += jump
        bench.send(exposure)
        assert bench.turn().tick.reasons == (Reason.STALE,)
        bench.send(bench.clocks.system - 20_000_000)
        turn = bench.turn()
        assert Reason.STALE not in turn.tick.reasons and (turn.tick.command.position > ARM.home).all()

    def test_the_age_counts_from_the_exposure_not_from_the_arrival(self, bench: Bench) -> None:
        bench.loop.engage("me")
        bench.send(bench.clocks.system - 250_000_000)
        ages = 250_000_000 + self.stale_after(bench)
        assert 300_000_000 < ages <= 320_000_000


class TestLockstep:
    def following(self, bench: Bench) -> Bench:
        bench.turn()
        assert bench.loop.engage("me")
        return bench

    def test_exactly_the_awaited_chunk_is_taken(self, lockstep: Bench) -> None:
        bench = self.following(lockstep)
        now = bench.stamp
        bench.send(now - 2 * TICK, target=-0.01)  # older than awaited: dropped
        bench.send(now + 5, target=-0.01)  # newer: kept for its own tick
        bench.feed(awaits=now)
        bench.send(now, target=0.01)
        first = bench.next_turn()
        assert first.tick.command.observation == now and (first.tick.command.position > ARM.home).all()
        assert bench.turn().tick.command.observation == now, "nothing new is taken where nothing is awaited"
        assert bench.turn(awaits=now + 5).tick.command.observation == now + 5

    def test_it_waits_for_the_chunk(self, lockstep: Bench) -> None:
        bench = self.following(lockstep)
        bench.feed(awaits=bench.stamp)
        with pytest.raises(queue.Empty):
            bench.turns.get(timeout=0.1)
        bench.send(bench.stamp)
        assert bench.next_turn().tick.new_observation

    def test_the_same_stamp_from_somebody_else_does_not_end_the_wait(self, lockstep: Bench) -> None:
        bench = self.following(lockstep)
        bench.feed(awaits=bench.stamp)
        bench.send(bench.stamp, commander="other", target=-0.01)
        with pytest.raises(queue.Empty):
            bench.turns.get(timeout=0.1)
        bench.send(bench.stamp, target=0.01)
        turn = bench.next_turn()
        assert turn.tick.command.observation and (turn.tick.command.position > ARM.home).all()

    def test_nobody_is_waited_for_while_nobody_is_followed(self, lockstep: Bench) -> None:
        lockstep.turn()
        assert lockstep.turn(awaits=lockstep.stamp).tick.mode == ArmMode.HOLD

    @pytest.mark.parametrize("how", ["stop", "disengage"])
    def test_stop_ends_the_wait_at_once(self, lockstep: Bench, how: str) -> None:
        bench = self.following(lockstep)
        bench.feed(awaits=bench.stamp)
        while bench.log[-1] != "state":
            threading.Event().wait(0.001)
        if how == "stop":
            bench.loop.stop()
        else:
            bench.loop.command(lambda controller: controller.disengage())
        mode = bench.next_turn().tick.mode
        assert mode == (ArmMode.STOPPED if how == "stop" else ArmMode.HOLD)

    def test_close_ends_the_wait(self, lockstep: Bench) -> None:
        bench = self.following(lockstep)
        bench.feed(awaits=bench.stamp)
        bench.loop.close()
        assert not bench.loop._thread.is_alive()

    def test_a_chunk_that_never_comes_is_given_up(self, clocks: Clocks) -> None:
        bench = self.following(Bench(clocks, lockstep=True, timeout=0.05))
        turn = bench.turn(awaits=bench.stamp)
        assert turn.tick.mode == ArmMode.FOLLOW and turn.tick.command.observation == 0
        bench.loop.close()

    def test_simulated_stamps_are_the_clock(self, lockstep: Bench) -> None:
        bench = self.following(lockstep)
        exposure = bench.stamp
        bench.send(exposure)
        bench.turn(awaits=exposure)
        bench.clocks.advance(HOUR)
        assert Reason.STALE not in bench.turn().tick.reasons
        bench.stamp = exposure + 301_000_000
        assert Reason.STALE in bench.turn().tick.reasons

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypoint_core.errors import InputError
from keypoint_core.states import StateHistory
from keypoint_core.types import SECOND, RobotState

BEGIN = 1_800_000_000 * SECOND  # a system clock's stamp, too large for a float's nanoseconds


def state(stamp: int, value: float = 0.0) -> RobotState:
    return RobotState(stamp, np.full(6, value), np.full(6, -value), np.full(6, np.nan), value)


def test_the_measured_state_comes_back_where_stamps_agree() -> None:
    history, measured = StateHistory(), state(BEGIN + 5, 3.0)
    history.add(state(BEGIN, 1.0))
    history.add(measured)
    assert history.at(BEGIN + 5) is measured


@given(share=st.integers(1, 9_999_999))
def test_between_two_states_it_is_linear(share: int) -> None:
    history = StateHistory()
    history.add(state(BEGIN, 1.0))
    history.add(state(BEGIN + 10_000_000, 2.0))
    found = history.at(BEGIN + share)
    np.testing.assert_allclose(found.position, 1 + share / 1e7, rtol=1e-12)
    np.testing.assert_allclose(found.velocity, -1 - share / 1e7, rtol=1e-12)
    assert found.gripper == pytest.approx(1 + share / 1e7) and found.stamp == BEGIN + share
    assert np.isnan(found.effort).all()


@pytest.mark.parametrize("stamp", [BEGIN - 1, BEGIN + 11])
def test_outside_the_history_is_refused_with_the_span(stamp: int) -> None:
    history = StateHistory()
    history.add(state(BEGIN))
    history.add(state(BEGIN + 10))
    with pytest.raises(InputError, match=f"no robot state at {stamp} ns; known: {BEGIN} .. {BEGIN + 10}"):
        history.at(stamp)


def test_an_empty_history_knows_nothing() -> None:
    assert not StateHistory().reaches(0)
    with pytest.raises(InputError, match="none"):
        StateHistory().at(5)


def test_reaching_is_about_the_newest() -> None:
    history = StateHistory()
    history.add(state(BEGIN))
    assert history.reaches(BEGIN) and history.reaches(BEGIN - 5) and not history.reaches(BEGIN + 1)


def test_late_and_repeated_states_are_ignored() -> None:
    history = StateHistory()
    for stamp, value in ((10, 1.0), (10, 9.0), (5, 9.0), (20, 2.0)):
        history.add(state(BEGIN + stamp, value))
    assert history.at(BEGIN + 10).gripper == 1.0
    assert history.at(BEGIN + 15).gripper == pytest.approx(1.5)


def test_a_clock_that_was_set_back_starts_anew() -> None:
    history = StateHistory()
    history.add(state(BEGIN))
    history.add(state(BEGIN - 2 * SECOND, 7.0))
    assert history.at(BEGIN - 2 * SECOND).gripper == 7.0
    assert not history.reaches(BEGIN)


def test_memory_is_bounded() -> None:
    history = StateHistory(length=3)
    for stamp in range(1, 10):
        history.add(state(stamp))
    with pytest.raises(InputError, match=r"7 \.\. 9"):
        history.at(6)


def test_one_thread_may_add_while_another_one_asks() -> None:
    history, newest, ended = StateHistory(length=50), [0], threading.Event()
    history.add(state(BEGIN))

    def feed() -> None:
        while not ended.is_set():
            history.add(state(BEGIN + newest[0] + 1, newest[0] + 1.0))
            newest[0] += 1

    def ask() -> bool:
        stamp = newest[0]
        try:
            return history.at(BEGIN + stamp).gripper == stamp
        except InputError:  # it left the history meanwhile
            return True

    patience = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=feed)
    thread.start()
    try:
        assert all(ask() for _ in range(5000))
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(patience)

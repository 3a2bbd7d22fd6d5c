import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypoint_core.errors import InputError
from keypoint_core.types import ArmCommand
from keypoint_sim.exposures import DelayLine
from keypoint_sim.settings import Timing
from keypoint_sim.world import World

RATES = st.sampled_from([5, 15, 30, 60])
TICKS = 400


def due(timing: Timing, seed: int, ticks: int = TICKS) -> list[int]:
    return [tick for tick in range(ticks) if timing.frame_due(tick, seed)]


def longest_jitter(rate: int) -> float:
    return 1 / rate - 0.01


@given(rate=RATES, seed=st.integers(0, 2**31))
def test_without_jitter_frames_fall_on_the_first_tick_at_or_after_their_time(rate: int, seed: int) -> None:
    expected = [-(-frame * 100 // rate) for frame in range(TICKS * rate // 100)]
    assert due(Timing(camera_rate=rate), seed)[: len(expected)] == expected


@given(rate=RATES, part=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_jitter_delays_every_frame_by_no_more_than_it_says_and_loses_none(rate: int, part: float, seed: int) -> None:
    jitter = part * longest_jitter(rate)
    ticks = due(Timing(camera_rate=rate, frame_jitter=jitter), seed)
    assert ticks[0] == 0
    assert len(ticks) >= TICKS * rate // 100 - 1
    for frame, tick in enumerate(ticks):
        assert -1e-9 <= tick * 0.01 - frame / rate < jitter + 0.01 + 1e-9


@given(rate=RATES, part=st.floats(0, 1), drop=st.floats(0, 0.9), seed=st.integers(0, 2**31))
def test_lost_frames_leave_the_others_where_they_were(rate: int, part: float, drop: float, seed: int) -> None:
    jitter = part * longest_jitter(rate)
    whole = due(Timing(camera_rate=rate, frame_jitter=jitter), seed)
    some = due(Timing(camera_rate=rate, frame_jitter=jitter, frame_drop=drop), seed)
    assert some[0] == 0 and set(some) <= set(whole)


def test_as_many_frames_are_lost_as_asked_for() -> None:
    timing = Timing(frame_drop=0.2)
    assert len(due(timing, 3, 40_000)) / 6000 == pytest.approx(0.8, abs=0.02)


def test_jitter_fills_its_range_and_differs_between_seeds() -> None:
    timing = Timing(camera_rate=5, frame_jitter=0.1)
    delays = [tick * 0.01 - frame * 0.2 for frame, tick in enumerate(due(timing, 1, 4000))]
    assert min(delays[1:]) < 0.012 and max(delays) > 0.095
    assert due(timing, 1) != due(timing, 2) and due(timing, 1) == due(timing, 1)


def test_the_world_keeps_the_schedule_of_its_seed() -> None:
    timing = Timing(frame_jitter=0.03, frame_drop=0.3)
    world = World(timing=timing)
    world.reset(7)
    said = []
    for _ in range(100):
        said.append(world.frame_due)
        world.step(ArmCommand(world.arm.home, np.zeros(6)))
    assert said == [timing.frame_due(tick, 7) for tick in range(100)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame_jitter": -0.01}, "frame_jitter must be within 0..0.0567 s"),
        ({"frame_jitter": 0.06}, "frame_jitter must be within 0..0.0567 s"),
        ({"frame_jitter": float("nan")}, "frame_jitter"),
        ({"frame_drop": 1.0}, "frame_drop must be"),
        ({"frame_drop": -0.1}, "frame_drop must be"),
    ],
)
def test_impossible_timing_is_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Timing(**changes)


def test_a_camera_may_be_as_fast_as_the_control_loop_but_not_late_then() -> None:
    assert due(Timing(camera_rate=100), 0, 20) == list(range(20))
    with pytest.raises(InputError):
        Timing(camera_rate=100, frame_jitter=1e-3)


@given(frames=st.integers(0, 6), count=st.integers(0, 20))
def test_a_delay_line_keeps_the_order_and_the_delay(frames: int, count: int) -> None:
    line = DelayLine[int](frames)
    out = [line.put(item) for item in range(count)]
    assert out == [None] * min(frames, count) + list(range(count - frames))

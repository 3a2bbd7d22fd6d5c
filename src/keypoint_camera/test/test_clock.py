"""Stamps from the device's clock, with arrivals that nobody can trust."""

import numpy as np

from keypoint_camera.clock import ExposureClock, system_minus_monotonic
from keypoint_core.types import SECOND

MS = 1_000_000
PERIOD = SECOND // 15
EPOCH = 1_800_000_000 * SECOND
BOOT = 123 * SECOND  # host's monotonic clock when the device's clock was at 0


def stamps(clock, count, drift=0.0, delay=lambda i: 0, first=0):
    """Errors [ns] of the stamps of `count` frames whose shortest transfer is 20 ms."""
    errors = []
    for i in range(first, first + count):
        exposure = i * PERIOD  # on the host's clock, since BOOT
        device = round(exposure * (1 + drift))
        arrival = BOOT + exposure + 20 * MS + delay(i)
        errors.append(clock.stamp(device, arrival) - (EPOCH + BOOT + exposure))
    return np.array(errors)


def test_late_arrivals_do_not_move_the_stamps():
    rng = np.random.default_rng(3)
    late = rng.exponential(30 * MS, 900).astype(np.int64)  # a loaded host
    late[0] = 0
    errors = stamps(ExposureClock(system=lambda: EPOCH), 900, delay=lambda i: int(late[i]))
    assert (errors >= 20 * MS).all(), "the shortest transfer cannot be seen from the host"
    assert errors.max() - 20 * MS < 3 * MS


def test_the_shortest_transfer_is_taken_off_by_the_correction():
    errors = stamps(ExposureClock(correction=-0.02, system=lambda: EPOCH), 50)
    assert (errors == 0).all()


def test_drift_between_the_clocks_stays_small():
    for drift in (5e-5, -5e-5):
        errors = stamps(ExposureClock(-0.02, system=lambda: EPOCH), 15 * 600, drift)
        assert np.abs(errors).max() <= 1.1 * MS


def test_stamps_grow():
    rng = np.random.default_rng(4)
    clock = ExposureClock(system=lambda: EPOCH)
    values = [clock.stamp(i * PERIOD, BOOT + i * PERIOD + int(rng.exponential(10 * MS))) for i in range(400)]
    assert (np.diff(values[10:]) > 0).all()


def test_a_device_clock_that_starts_anew_starts_a_new_fit():
    clock = ExposureClock(-0.02, system=lambda: EPOCH)
    stamps(clock, 100)
    restarted = BOOT + 100 * PERIOD
    stamp = clock.stamp(0, restarted + 20 * MS)
    assert stamp == EPOCH + restarted


def test_a_step_of_the_system_clock_moves_the_stamps_by_that_step():
    now = [EPOCH]
    clock = ExposureClock(system=lambda: now[0])
    before = clock.stamp(0, BOOT)
    now[0] += 3 * SECOND
    assert clock.stamp(PERIOD, BOOT + PERIOD) - before == PERIOD + 3 * SECOND


def test_the_difference_of_the_real_clocks_is_steady():
    readings = [system_minus_monotonic() for _ in range(20)]
    assert max(readings) - min(readings) < 5 * MS

"""System time of an exposure from the camera's own clock.

A camera says by its own clock when it exposed; the host knows when the image arrived. Arrival is late by transfer and
by whatever kept the host busy, never early. So the smallest difference between arrival and device time within the last
seconds is the offset of the clocks, plus the shortest transfer, however loaded the host is in between. The window
forgets, since the clocks drift apart (20 s at 50 ppm: 1 ms). The shortest transfer cannot be seen from the host; it is
measured once (a light that the host switches) and given as a negative `correction`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from keypoint_core.types import SECOND

WINDOW = 20 * SECOND


def system_minus_monotonic() -> int:
    """The system clock minus the monotonic one [ns], from the tightest of some readings."""
    readings = []
    for _ in range(3):
        before, system, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after - before, system - (before + after) // 2))
    return min(readings)[1]


class ExposureClock:
    """Turns device times into system times.

    The fit runs on the monotonic clock, so that a step of the system clock moves the stamps by that step and no more.
    When the device's clock starts anew, so does the fit.

    Args:
        correction: added to every stamp [s].
        system: the system clock minus the monotonic one [ns].
    """

    def __init__(self, correction: float = 0.0, system: Callable[[], int] = system_minus_monotonic) -> None:
        self._correction = round(correction * SECOND)
        self._system = system
        self._samples: deque[tuple[int, int]] = deque()  # arrival, arrival minus device time
        self._last = -1

    def stamp(self, device: int, arrival: int) -> int:
        """System time of an exposure [ns].

        Args:
            device: exposure by the device's clock [ns].
            arrival: when the image had arrived, by the monotonic clock [ns].
        """
        if device <= self._last:
            self._samples.clear()
        self._last = device
        self._samples.append((arrival, arrival - device))
        while arrival - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        offset = min(difference for _, difference in self._samples)
        return device + offset + self._system() + self._correction

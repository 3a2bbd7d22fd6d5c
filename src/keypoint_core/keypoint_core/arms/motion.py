"""Where the arm should be at one instant: along an action chunk, or on the way home."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keypoint_core.arms.gate import Setpoint
from keypoint_core.types import SECOND, ActionChunk, Float64


class ChunkFollower:
    """Plays action chunks by time, joining each to what was applied when it came.

    Targets whose time has passed when the chunk arrives are skipped, so latency costs no time shift.

    Args:
        chunk: to be played.
        commander: who sent it.
        exposure: of its frame, on the gate's clock [ns].
        joined: when the chunk took effect, on the gate's clock [ns].
        position: [D] applied at that moment [rad].
        gripper: applied at that moment.
    """

    def __init__(
        self, chunk: ActionChunk, commander: str, exposure: int, joined: int, position: Float64, gripper: float
    ) -> None:
        self._chunk = chunk
        self._commander = commander
        self._exposure = exposure
        ends = round(chunk.dt * SECOND) * np.arange(1, len(chunk.positions) + 1)
        ahead = ends > joined - exposure
        self._times = np.concatenate([[joined - exposure], ends[ahead]])  # [ns] since the exposure
        self._positions = np.vstack([position, chunk.positions[ahead]])
        self._grippers = np.concatenate([[gripper], chunk.gripper[ahead]])

    def setpoint(self, now: int) -> Setpoint:
        """The target at `now` on the gate's clock [ns]; after the last target, that one at rest."""
        since = now - self._exposure
        i = int(np.searchsorted(self._times, since, side="right")) - 1
        if i >= len(self._times) - 1:
            position, velocity = self._positions[-1], np.zeros_like(self._positions[-1])
        else:
            span = (self._times[i + 1] - self._times[i]) / SECOND
            velocity = (self._positions[i + 1] - self._positions[i]) / span
            position = self._positions[i] + velocity * ((since - self._times[i]) / SECOND)
        gripper = float(self._grippers[min(i + 1, len(self._grippers) - 1)])
        return Setpoint(position, velocity, gripper, self._commander, self._exposure, self._chunk.stamp)


@dataclass(frozen=True)
class HomeMotion:
    """A minimum-jerk straight line in joint space (Flash and Hogan, 1985).

    Attributes:
        start, end: [D] postures [rad].
        began: on the gate's clock [ns].
        duration: [s].
        gripper: to end at.
    """

    start: Float64
    end: Float64
    began: int
    duration: float
    gripper: float

    @classmethod
    def plan(
        cls, start: Float64, end: Float64, began: int, velocity: Float64, acceleration: Float64, gripper: float
    ) -> HomeMotion:
        """The quickest such line within velocity [D] [rad/s] and acceleration [D] [rad/s^2]."""
        distance = np.abs(end - start)
        by_velocity = 1.875 * distance / velocity  # peak rate of the profile is 15/8 of its mean
        by_acceleration = np.sqrt(5.7736 * distance / acceleration)  # peak acceleration is 10/sqrt(3) d/T^2
        return cls(start, end, began, max(float(np.max(by_velocity)), float(np.max(by_acceleration)), 0.1), gripper)

    @property
    def end_time(self) -> int:
        """When it is over, on the gate's clock [ns]."""
        return self.began + round(self.duration * SECOND)

    def setpoint(self, when: int, commander: str, exposure: int) -> Setpoint:
        """The target at `when`; derived from nothing older than `exposure`, both on the gate's clock [ns]."""
        s = min(max((when - self.began) / SECOND / self.duration, 0.0), 1.0)
        way = s**3 * (10 - 15 * s + 6 * s * s)
        rate = 30 * s * s * (1 - s) ** 2 / self.duration
        line = self.end - self.start
        return Setpoint(self.start + way * line, rate * line, self.gripper, commander, exposure)

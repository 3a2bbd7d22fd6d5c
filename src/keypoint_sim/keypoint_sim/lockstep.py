"""When simulated time may go on, in lockstep with the graph. Plain logic, without ROS.

After a reset the world stands still at its first frame until the arm follows somebody. From then on it passes a camera
frame only when the command derived from that frame (or from the one k frames before, for an imposed latency) is in.
It stands still again once the outcome is known, and runs freely as soon as the arm follows nobody.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from keypoint_core.types import SECOND, ArmMode

NEVER = (2**31 - 1) * SECOND  # an exposure that no command will derive from: the arm waits until it lets go [ns]


class Phase(Enum):
    """Where the episode stands."""

    FREE = "free"  # any command will do
    READY = "ready"  # put up, waits for the arm to follow
    RUNNING = "running"  # the arm follows
    OVER = "over"  # the outcome is known, waits for the arm to let go


class Lockstep:
    """Decides tick by tick.

    Args:
        latency: imposed latency in camera frames.
    """

    def __init__(self, latency: int = 0) -> None:
        self.phase = Phase.FREE
        self._latency = latency
        self._frames: deque[int] = deque(maxlen=latency + 1)
        self._awaits = 0

    @property
    def awaits(self) -> int:
        """Exposure that the command for this tick must derive from [ns]; 0: none; NEVER: none that follows will do."""
        if self.phase == Phase.OVER:
            return NEVER
        return self._awaits if self.phase in (Phase.READY, Phase.RUNNING) else 0

    def reset(self) -> None:
        """The scene was put up anew."""
        self.phase, self._awaits = Phase.READY, 0
        self._frames.clear()

    def exposed(self, stamp: int) -> None:
        """A frame was exposed on this tick, at `stamp` [ns]."""
        self._frames.append(stamp)
        self._awaits = self._frames[0] if len(self._frames) > self._latency else 0

    def ticked(self, over: bool) -> None:
        """Time went on by one tick; `over`: the outcome is known."""
        self._awaits = 0
        if over and self.phase == Phase.RUNNING:
            self.phase = Phase.OVER

    def may_advance(self, mode: int, observation: int) -> bool:
        """Whether the command, from an arm in this mode and derived from this exposure [ns], lets time go on."""
        if self.phase == Phase.FREE:
            return True
        follows = mode == ArmMode.FOLLOW
        if not follows and (self.phase != Phase.READY or mode == ArmMode.HOME):
            self.phase = Phase.FREE
            return True
        if not follows or self.phase == Phase.OVER or observation != self._awaits and self._awaits:
            return False
        self.phase = Phase.RUNNING
        return True

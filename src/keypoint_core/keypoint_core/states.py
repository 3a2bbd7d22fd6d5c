"""The robot's recent states, and its state at the exposure of a frame."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from dataclasses import replace

from keypoint_core.errors import InputError
from keypoint_core.types import RobotState


class StateHistory:
    """A bounded history of robot states in order of time. One thread may add while another one asks.

    Args:
        length: states kept.
    """

    def __init__(self, length: int = 400) -> None:
        self._states: deque[RobotState] = deque(maxlen=length)
        self._lock = threading.Lock()

    def add(self, state: RobotState) -> None:
        """Takes in the newest state; one that is not newer is ignored, one from before the last second starts anew."""
        with self._lock:
            if self._states and state.stamp < self._states[-1].stamp - 1_000_000_000:
                self._states.clear()
            if not self._states or state.stamp > self._states[-1].stamp:
                self._states.append(state)

    def reaches(self, stamp: int) -> bool:
        """Whether the state at this stamp [ns] is known."""
        with self._lock:
            return bool(self._states) and self._states[-1].stamp >= stamp

    def at(self, stamp: int) -> RobotState:
        """The state at this stamp [ns], linear between its neighbours; exactly the measured one where stamps agree.

        Raises:
            InputError: the stamp lies outside the history.
        """
        with self._lock:
            states = list(self._states)
        stamps = [state.stamp for state in states]
        i = bisect_left(stamps, stamp)
        if i == len(stamps) or (i == 0 and stamps[0] != stamp):
            span = f"{stamps[0]} .. {stamps[-1]}" if stamps else "none"
            raise InputError(f"no robot state at {stamp} ns; known: {span}")
        after = states[i]
        if after.stamp == stamp:
            return after
        before = states[i - 1]
        share = (stamp - before.stamp) / (after.stamp - before.stamp)
        return replace(
            before,
            stamp=stamp,
            position=before.position + share * (after.position - before.position),
            velocity=before.velocity + share * (after.velocity - before.velocity),
            effort=before.effort + share * (after.effort - before.effort),
            gripper=before.gripper + share * (after.gripper - before.gripper),
        )

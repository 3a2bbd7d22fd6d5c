"""What an action means: how the arm's joint targets move until the next exposure."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from keypoint_core.arms.description import ArmDescription
from keypoint_core.errors import InputError
from keypoint_core.types import ActionChunk, Float64

AHEAD = 3  # camera frames that a target keeps moving on; the next action replaces it long before


class JointAction:
    """Changes of the joint targets, and where the gripper goes; all within -1..1.

    The first D numbers are shares of the joints' velocity limits: each target leaves the last command at that rate. The
    last one is the gripper's goal: -1 closed (it squeezes whatever is between the fingers), 1 open.

    Args:
        arm: with a gripper, as every simulated robot has one.
        frame: between two exposures [s].
    """

    def __init__(self, arm: ArmDescription, frame: float) -> None:
        self._arm, self._frame = arm, frame
        self._closed, self._open = arm.gripper.closed, arm.gripper.open
        self.space = spaces.Box(-1.0, 1.0, (len(arm.joints) + 1,), np.float32)

    def chunk(self, action: NDArray[np.float32], stamp: int, last: Float64) -> ActionChunk:
        """The targets that an action asks for.

        Args:
            action: [D + 1]; what lies beyond -1..1 counts as the bound.
            stamp: of the exposure that it answers [ns].
            last: [D] joint positions that were commanded last [rad].

        Raises:
            InputError: wrong shape, or not finite.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != self.space.shape or not np.isfinite(action).all():
            raise InputError(f"an action is {self.space.shape[0]} finite numbers within -1..1, got {action}")
        action = np.clip(action, -1.0, 1.0)
        way = action[:-1] * self._arm.velocity * self._frame
        rows = last + way * np.arange(1, AHEAD + 1)[:, None]
        goal = self._closed + (action[-1] + 1) / 2 * (self._open - self._closed)
        return ActionChunk(stamp, self._frame, np.clip(rows, self._arm.lower, self._arm.upper), np.full(AHEAD, goal))

    def toward(self, chunk: ActionChunk, last: Float64) -> NDArray[np.float32]:
        """The action [D + 1] that comes nearest to the first target of a chunk, one frame ahead."""
        share = (chunk.positions[0] - last) / (self._arm.velocity * self._frame)
        grip = (chunk.gripper[0] - self._closed) / (self._open - self._closed) * 2 - 1
        return np.clip(np.append(share, grip), -1.0, 1.0).astype(np.float32)

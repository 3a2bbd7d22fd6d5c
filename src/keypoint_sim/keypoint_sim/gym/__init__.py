"""Gymnasium environments over the simulated tasks, for training.

    import gymnasium
    import keypoint_sim.gym

    env = gymnasium.make("keypoint/ClockButton-v0", condition="light", observation="keypoints")

Without the import, `gymnasium.make("keypoint_sim.gym:keypoint/ClockButton-v0")` does the same. Every task of
`keypoint_sim.tasks` has an environment; see `KeypointEnv` for what they take.
"""

from __future__ import annotations

import gymnasium

from keypoint_sim.tasks import TASKS

NAMESPACE, VERSION = "keypoint", 0


def environment_id(task: str) -> str:
    """The environment's id of a task: "clock_button" -> "keypoint/ClockButton-v0"."""
    words = "".join(word.capitalize() for word in task.split("_"))
    return f"{NAMESPACE}/{words}-v{VERSION}"


def register_tasks() -> None:
    """Registers an environment for each known task that has none yet; imports none of them."""
    for task in TASKS:
        if environment_id(task) not in gymnasium.registry:
            gymnasium.register(
                environment_id(task), entry_point="keypoint_sim.gym.env:KeypointEnv", kwargs={"task": task}
            )


register_tasks()

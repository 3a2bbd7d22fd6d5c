"""Tasks by name; adding one is adding a file and a line here."""

from keypoint_core.registry import Registry

TASKS = Registry("task", {"clock_button": "keypoint_sim.tasks.clock_button:ClockButton"})

"""The arm node and its drivers, found by name."""

from keypoint_core.registry import Registry

ARMS = Registry(
    "arm driver",
    {
        "simulated": "keypoint_arms.simulated:SimulatedArm",
        "hebi": "keypoint_arms.hebi:HebiArm",
    },
)

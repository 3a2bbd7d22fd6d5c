"""Tells tests that need the machine for themselves from those that may run beside others; see tools/test.sh."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# What starts nodes or holds a deadline: another test on the next core would make it late.
ALONE = (
    "src/keypoint_arms",
    "src/keypoint_bringup",
    "src/keypoint_camera",
    "src/keypoint_perception",
    "src/keypoint_ros",
    "src/keypoint_trials/test/test_recorder_node.py",
    "tests",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests below ALONE."""
    for item in items:
        if any(item.path.is_relative_to(ROOT / path) for path in ALONE):
            item.add_marker("alone")

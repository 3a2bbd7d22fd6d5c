"""Shares the fixture `ros` of keypoint_ros: a context of its own for every test."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_SHARED = Path(__file__).parents[2] / "keypoint_ros" / "test" / "conftest.py"
_spec = importlib.util.spec_from_file_location("keypoint_ros_fixtures", _SHARED)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

ros = _module.ros

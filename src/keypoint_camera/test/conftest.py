import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for mkv.py

_SHARED = Path(__file__).parents[2] / "keypoint_ros" / "test" / "conftest.py"
_spec = importlib.util.spec_from_file_location("keypoint_ros_fixtures", _SHARED)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

ros = _module.ros  # a context of its own for every test

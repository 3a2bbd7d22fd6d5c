"""What must import without ROS does, and heavy packages wait until they are asked for."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2]
NODES = {"sim_node"}  # the only module of keypoint_sim that speaks ROS
ROS = (
    "rclpy",
    "rcl_interfaces",
    "sensor_msgs",
    "std_msgs",
    "builtin_interfaces",
    "keypoint_interfaces",
    "keypoint_ros",
)


def modules(package: str) -> list[str]:
    root = SOURCES / package
    names = [path.relative_to(root).with_suffix("") for path in sorted((root / package).rglob("*.py"))]
    return [".".join(name.parts).removesuffix(".__init__") for name in names if name.stem not in NODES]


def imported(names: list[str]) -> set[str]:
    """Top-level packages in sys.modules of a fresh interpreter after these imports."""
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["keypoint_core", "keypoint_sim", "keypoint_training"])
def test_no_ros_is_imported(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    names = modules(package)
    assert len(names) > 10
    assert imported(names).isdisjoint(ROS)


@pytest.mark.parametrize("package", ["keypoint_core", "keypoint_sim", "keypoint_training"])
def test_no_source_imports_ros(package: str) -> None:
    """Not even inside a function."""
    for path in (SOURCES / package / package).rglob("*.py"):
        if path.stem in NODES:
            continue
        words = [line.split()[1].partition(".")[0] for line in path.read_text().splitlines() if is_import(line)]
        assert set(words).isdisjoint(ROS), path


def is_import(line: str) -> bool:
    return line.strip().startswith(("import ", "from "))


def test_types_protocols_and_arms_are_light() -> None:
    names = ["types", "protocols", "registry", "errors", "states", "parameters", "runs", "pipeline", "arms.controller"]
    found = imported([f"keypoint_core.{name}" for name in names])
    assert found.isdisjoint({"torch", "cv2", "scipy", "mujoco", "safetensors"})


def test_checkpoints_and_registries_do_not_import_back_ends() -> None:
    names = ["checkpoint", "policies", "tracking", "correspondence"]
    assert imported([f"keypoint_core.{name}" for name in names]).isdisjoint({"torch", "safetensors", "mujoco"})

"""Robots by name or from a file; what is wrong with a file is said."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from keypoint_core.arms.description import known_robots, load_arm
from keypoint_core.errors import InputError, UnknownNameError


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a changed copy of the robot's file."""
    original = yaml.safe_load((resources.files("keypoint_core.robots") / "hebi_chopsticks.yaml").read_text())

    def write(change: Callable[[dict[str, Any]], object] = lambda data: None) -> Path:
        change(original)
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(original))
        return path

    return write


def test_the_shipped_robot() -> None:
    arm = load_arm("hebi_chopsticks")
    assert len(arm.joints) == 6 and arm.joint_names[0] == "J1_base"
    assert arm.gripper is not None and arm.gripper.range == (-0.646, -0.175)
    assert (arm.lower < arm.home).all() and (arm.home < arm.upper).all()
    assert (arm.velocity > 0).all() and (arm.acceleration > 0).all()
    for joint in arm.joints:
        assert np.linalg.norm(joint.axis) == pytest.approx(1.0)
        np.testing.assert_allclose(joint.origin[:3, :3] @ joint.origin[:3, :3].T, np.eye(3), atol=1e-12)


def test_a_short_name() -> None:
    assert load_arm("hebi").name == load_arm("hebi_chopsticks").name == "hebi_chopsticks"


def test_an_unknown_robot_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown robot 'ur5'.*hebi_chopsticks"):
        load_arm("ur5")
    assert "hebi_chopsticks" in known_robots()


def test_a_file_of_the_same_form(write: Callable[..., Path]) -> None:
    arm, shipped = load_arm(write()), load_arm("hebi_chopsticks")
    assert arm.joint_names == shipped.joint_names
    np.testing.assert_array_equal(arm.home, shipped.home)


def test_an_arm_without_a_gripper(write: Callable[..., Path]) -> None:
    arm = load_arm(write(lambda data: (data.pop("gripper"), data.pop("gripper_home"))))
    assert arm.gripper is None and np.isnan(arm.gripper_home)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.pop("home"), "home"),
        (lambda data: data.update(home=[0.0] * 5), "6 positions, got 5"),
        (lambda data: data["joints"][2].pop("velocity"), "velocity"),
        (lambda data: data["joints"][2].update(lower="low"), "low"),
        (lambda data: data["joints"][0].update(quat=[1, 0, 0]), "mine.yaml"),
        (lambda data: data["gripper"].update(colour="red"), "colour"),
    ],
)
def test_a_malformed_file_is_refused(write: Callable[..., Path], change: Callable[..., object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_arm(write(change))


@pytest.mark.parametrize("text", ["", "[1, 2", "just words", "joints: 5"])
def test_a_file_that_is_no_robot_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="broken.yaml"):
        load_arm(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.yaml"):
        load_arm(tmp_path / "none.yaml")

"""Ground truth is for training and judging: nothing that acts can get hold of it."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from keypoint_core.types import Frame, Intrinsics, Keypoints, Observation, RobotState
from keypoint_sim.gym.observations import OBSERVERS
from keypoint_sim.world import World

SOURCES = Path(__file__).parents[2]
# What runs on a robot: it may know neither the simulation nor what is built on it.
DEPLOYED = (
    "keypoint_core",
    "keypoint_ros",
    "keypoint_camera",
    "keypoint_perception",
    "keypoint_policy",
    "keypoint_arms",
)
PRIVILEGED = ("keypoint_sim", "keypoint_training")
# Who puts up scenes and hears verdicts is the trial, which does not act.
VERDICTS = {"TaskStatus", "ResetWorld"}
# What the simulated sensors put into the graph. A new field or topic must be argued for here.
# camera_pose and camera/pose: where the camera stood before the trial, with the error of a calibration, as any laboratory
# measures it. What happens to the camera later is only known from pictures.
SEEN = {
    Frame: {"stamp", "color", "depth", "intrinsics", "frame_id"},
    Intrinsics: {"width", "height", "fx", "fy", "cx", "cy", "distortion"},
    RobotState: {"stamp", "position", "velocity", "effort", "gripper", "awaits"},
    Keypoints: {"stamp", "ids", "pixels", "confidence", "status", "points", "camera_pose"},
    Observation: {"keypoints", "state", "frame"},  # the frame as the camera gave it, see above
}
MESSAGES = {
    "SimFeedback": {"header", "tick", "position", "velocity", "effort", "gripper", "awaits"},
    "StageTiming": {"header", "stage", "received", "finished", "compute"},
    "TaskStatus": {"header", "seed", "outcome", "reason", "elapsed"},
}
TOPICS = {"sim/feedback", "task/status", "/clock", "camera/pose"}


def sources(package: str) -> list[Path]:
    found = sorted((SOURCES / package / package).rglob("*.py"))
    assert found, f"{package} has no sources"
    return found


def names(tree: ast.AST) -> Iterator[str]:
    """Modules and names that a source imports, and its strings, which registries import by."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield node.value


def is_privileged(name: str) -> bool:
    return name.split(":")[0].split(".")[0] in PRIVILEGED


@pytest.mark.parametrize("package", DEPLOYED)
def test_what_acts_imports_nothing_of_the_simulation(package: str) -> None:
    for path in sources(package):
        found = [name for name in names(ast.parse(path.read_text())) if is_privileged(name)]
        assert not found, f"{path} uses {found}"


@pytest.mark.parametrize("package", DEPLOYED)
def test_what_acts_listens_to_no_verdict(package: str) -> None:
    for path in sources(package):
        found = {*VERDICTS, "task/status"} & set(names(ast.parse(path.read_text())))
        assert not found, f"{path} uses {found}"


def test_the_walk_finds_imports_of_every_kind() -> None:
    """The tests above would pass for ever if it did not."""
    script = "def f():\n  import keypoint_sim.world as w\n  from keypoint_sim import truth\n  g('keypoint_sim.a:B')\n"
    found = {name for name in names(ast.parse(script)) if is_privileged(name)}
    assert found == {"keypoint_sim.world", "keypoint_sim", "keypoint_sim.a:B"}
    trials = {name for path in sources("keypoint_trials") for name in names(ast.parse(path.read_text()))}
    assert any(map(is_privileged, trials)) and trials >= VERDICTS


@pytest.mark.parametrize("kind", SEEN, ids=lambda kind: kind.__name__)
def test_what_deployment_is_given_has_no_room_for_ground_truth(kind: type) -> None:
    assert {field.name for field in fields(kind)} == SEEN[kind]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_of_the_simulation_carry_no_ground_truth(message: str) -> None:
    text = (SOURCES / "keypoint_interfaces" / "msg" / f"{message}.msg").read_text()
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    assert {words[1] for words in lines if len(words) == 2 and "=" not in words[1]} == MESSAGES[message]


def test_the_simulation_publishes_nothing_else() -> None:
    tree = ast.parse((SOURCES / "keypoint_sim" / "keypoint_sim" / "sim_node.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    topics = [call.args[1] for call in calls if call.func.attr == "create_publisher"]
    assert {topic.value for topic in topics if isinstance(topic, ast.Constant)} == TOPICS
    assert len(topics) == len(TOPICS)  # none with a name that only turns up at run time


def test_frames_and_states_hold_their_fields_and_nothing_else(world: World) -> None:
    for thing in (world.capture(), world.state()):
        assert set(vars(thing)) == SEEN[type(thing)]
        assert all(isinstance(value, (int, float, str, np.ndarray, Intrinsics)) for value in vars(thing).values())


def test_a_picture_depends_on_nothing_but_what_is_in_view(world: World) -> None:
    """Neither the verdict nor the task's memory of the trial can be read off a frame."""
    before = world.capture()
    world.task.pressed = True
    world.data.qvel[:], world.data.qacc[:] = 0.3, 1.0
    after = world.capture()
    np.testing.assert_array_equal(before.color, after.color)
    np.testing.assert_array_equal(before.depth, after.depth)


def test_an_environment_says_which_observations_are_privileged() -> None:
    assert {name for name, observer in OBSERVERS.items() if not observer.privileged} == {"rgbd"}

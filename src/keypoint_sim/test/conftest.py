import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from keypoint_core.types import ArmCommand, Float64
from keypoint_sim.tasks.base import TaskStatus
from keypoint_sim.world import World


@pytest.fixture(scope="session")
def shared_world() -> Iterator[World]:
    """One world for all tests that reset it first; building and the OpenGL context are paid once."""
    world = World()
    yield world
    world.close()


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.reset(0)
    return shared_world


@pytest.fixture
def rest() -> Callable[..., TaskStatus]:
    """Lets time pass with the arm where it is asked to be; home and shut, if nothing is asked."""

    def rest(world: World, seconds: float, joints: Float64 | None = None, opening: float | None = None) -> TaskStatus:
        joints = world.arm.home if joints is None else joints
        gripper = world.arm.gripper_home if opening is None else world.robot.gripper().position(opening)
        for _ in range(round(seconds / (world.timing.control_period * 1e-9))):
            world.step(ArmCommand(joints, np.zeros(len(joints)), gripper))
        return world.status()

    return rest


@pytest.fixture
def run_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """main() of a module in this process, with its runs in tmp_path."""

    def run(module: ModuleType, *arguments: str) -> int:
        monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path))
        monkeypatch.setattr(sys, "argv", [module.__name__, "--processes", "1", "--task", "clock_button", *arguments])
        return module.main()

    return run


@pytest.fixture
def check_refused(
    run_command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., None]:
    """Checks that a command says what is wrong with its arguments and ends before it leaves anything."""

    def check(module: ModuleType, arguments: tuple[str, ...], message: str) -> None:
        assert run_command(module, *arguments) == 2
        assert message in capsys.readouterr().out and not list(tmp_path.iterdir())

    return check


@pytest.fixture(
    params=[
        (("--robot", "r2d2"), "unknown robot 'r2d2'; known: franka, hebi_chopsticks"),
        (("--task", "chess"), "unknown task 'chess'; known: "),
        (("--condition", "fog"), "unknown condition 'fog'; known: "),
    ],
    ids=["robot", "task", "condition"],
)
def unknown_name(request: pytest.FixtureRequest) -> tuple[tuple[str, ...], str]:
    """Arguments that every command about trials refuses, with the message."""
    return request.param

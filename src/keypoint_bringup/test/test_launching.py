"""`ros2 launch` and `up` start the same graph. Where launch is not installed, a small stand-in takes its place."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from keypoint_bringup.graph import SystemOptions, build_graph, parse_options
from keypoint_bringup.settings import graph_environment, share_folder

FILES = Path(__file__).parents[3] / "launch"


class StandInArgument:
    def __init__(self, name, default_value, description):
        self.name, self.default_value, self.description = name, default_value, description

    def execute(self, context):
        context.launch_configurations.setdefault(self.name, self.default_value)


class StandInFunction:
    def __init__(self, function):
        self.execute = function


def stand_in_modules():
    """What launching.py uses of launch, with the same meaning."""

    def configuration(name):
        return SimpleNamespace(perform=lambda context: context.launch_configurations[name])

    contents = {
        "launch": {
            "LaunchContext": lambda: SimpleNamespace(launch_configurations={}),
            "LaunchDescription": lambda entities: SimpleNamespace(entities=entities),
        },
        "launch.actions": {
            "DeclareLaunchArgument": StandInArgument,
            "OpaqueFunction": StandInFunction,
            "SetEnvironmentVariable": lambda name, value: SimpleNamespace(name=name, value=value),
        },
        "launch.substitutions": {"LaunchConfiguration": configuration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": SimpleNamespace},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        yield name, module


@pytest.fixture
def launching(monkeypatch: pytest.MonkeyPatch):
    """keypoint_bringup.launching, on the real launch where there is one, noting the nodes it makes."""
    # launch_ros, because the repository's own folder "launch" would be found as a package.
    if importlib.util.find_spec("launch_ros") is None:
        for name, module in stand_in_modules():
            monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "keypoint_bringup.launching", raising=False)
    module = importlib.import_module("keypoint_bringup.launching")
    monkeypatch.setattr(module, "Node", SimpleNamespace)
    yield module
    sys.modules.pop("keypoint_bringup.launching", None)


def run_launch_file(name: str, given: dict[str, str]):
    """Executes a launch file's actions as the launch service does; returns those of its OpaqueFunction."""
    import launch

    location = importlib.util.spec_from_file_location(f"{name}_launch", FILES / f"{name}.launch.py")
    assert location is not None
    assert location.loader is not None
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    context = launch.LaunchContext()
    context.launch_configurations.update(given)
    *arguments, start = module.generate_launch_description().entities
    assert [argument.name for argument in arguments] == [option.name for option in fields(SystemOptions)]
    for argument in arguments:
        argument.execute(context)
    return start.execute(context)


@pytest.mark.parametrize("graph", ["sim_robot", "real_robot"])
@pytest.mark.parametrize("given", [{}, {"mode": "real_time", "condition": "light", "record": "bag", "rviz": "true"}])
def test_launch_starts_the_nodes_of_the_graph(launching, graph: str, given: dict[str, str]):
    nodes = [
        action
        for action in run_launch_file(graph, given)
        if isinstance(action, SimpleNamespace) and "package" in vars(action)
    ]
    specs = build_graph(graph, parse_options(given))
    assert len(nodes) == len(specs)
    for node, spec in zip(nodes, specs, strict=True):
        assert (node.package, node.executable, node.name, node.namespace) == (
            spec.package,
            spec.executable,
            spec.name,
            spec.namespace,
        )
        assert node.parameters == ([spec.parameters] if spec.parameters else [])
        assert tuple(node.remappings) == spec.remappings
        assert tuple(node.arguments) == spec.arguments


def test_launch_sets_the_environment_that_up_sets(launching, monkeypatch: pytest.MonkeyPatch):
    made = {}
    monkeypatch.setattr(launching, "SetEnvironmentVariable", lambda name, value: made.update({name: value}))
    run_launch_file("sim_robot", {})
    assert made == graph_environment(os.environ)


def test_launch_files_are_installed():
    installed = {path.name for path in (share_folder() / "launch").iterdir()}
    assert installed >= {path.name for path in FILES.glob("*.launch.py")}

"""Every parameter of config belongs to a node and lies in its range."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any

import pytest

from keypoint_arms import ARMS
from keypoint_bringup.graph import GRAPHS, NodeSpec, SystemOptions
from keypoint_bringup.settings import config_folder
from keypoint_camera import CAMERAS
from keypoint_core.parameters import check_parameters

EVERY_NODE = {"autostart": bool, "use_sim_time": bool}
CONFIG = config_folder()


def systems():
    """Every combination of graph, robot, camera and task of config."""
    kinds = ("robot", "camera", "task")
    names = {kind: [path.stem for path in sorted((CONFIG / f"{kind}s").glob("*.yaml"))] for kind in kinds}
    for graph in GRAPHS:
        for robot in names["robot"]:
            for camera in names["camera"]:
                for task in names["task"]:
                    yield graph, SystemOptions(robot=robot, camera=camera, task=task, record="bag")


def parameter_classes(spec: NodeSpec) -> list[type]:
    """The dataclasses of a node: its own and, for the arm, its driver's."""
    module = importlib.import_module(f"{spec.package}.{spec.executable}")
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    classes = [value.Parameters for value in own if hasattr(value, "Parameters")]
    if spec.name == "arm" and spec.parameters["driver"] in ARMS:
        classes.append(ARMS.load(spec.parameters["driver"]).Parameters)
    if spec.name == "camera":
        classes.append(CAMERAS.load(spec.parameters["backend"]).Parameters)
    return classes


def check_values(cls: type, values: dict[str, Any]) -> set[str]:
    """Builds the dataclass from its share of the values; returns the names it took."""
    own = {item.name: item.default for item in fields(cls)}
    taken = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in own}
    for name, value in taken.items():
        assert type(value) is type(own[name]), f"{name} must be {type(own[name]).__name__}, got {value!r}"
    check_parameters(cls(**taken))
    return set(taken)


@pytest.mark.parametrize(
    ("graph", "options"), systems(), ids=lambda value: value if isinstance(value, str) else value.task
)
def test_every_parameter_belongs_to_its_node(graph: str, options: SystemOptions):
    for spec in GRAPHS[graph](options):
        values = dict(spec.parameters)
        for name, kind in EVERY_NODE.items():
            assert isinstance(values.pop(name), kind)
        known = set().union(*(check_values(cls, values) for cls in parameter_classes(spec)))
        assert set(values) == known, f"{spec.name} does not know {set(values) - known}"

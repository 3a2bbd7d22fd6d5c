"""The nodes of a system as data. `launching` and `system` start exactly what is listed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from keypoint_bringup.parameters import Parameters, config_file, merge, read_parameters
from keypoint_bringup.settings import config_folder
from keypoint_core.errors import InputError, UnknownNameError

MODES = ("lockstep", "real_time")


@dataclass(frozen=True)
class NodeSpec:
    """One node of the graph.

    Attributes:
        package, executable: what is run.
        name, namespace: of the node.
        parameters: by name.
        remappings: pairs (from, to).
        arguments: given to the executable before the ROS arguments.
    """

    package: str
    executable: str
    name: str
    namespace: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()


def _option(description: str, default: Any) -> Any:
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True)
class SystemOptions:
    """What a person chooses about a system; these are the launch arguments of both graphs."""

    robot: str = _option("file of config/robots", "hebi_chopsticks")
    camera: str = _option("file of config/cameras", "azure_kinect")
    task: str = _option("file of config/tasks", "clock_button")
    condition: str = _option("disturbances of the simulation: rp, rb or light", "rp")
    mode: str = _option("time of the simulation: lockstep or real_time", "lockstep")
    checkpoint: str = _option("below KEYPOINT_MODELS_DIR, or a folder; empty for the task's own", "")
    params_file: str = _option("ROS parameter file that wins over those of config", "")
    record: str = _option("folder to record a bag into; empty for no recording", "")
    rviz: bool = _option("start RViz as well", False)
    use_sim_time: str = _option("true, false, or auto: true in lockstep, whose clock is /clock", "auto")
    autostart: bool = _option("lifecycle nodes configure and activate themselves", True)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UnknownNameError("mode", self.mode, list(MODES))


def parse_options(texts: Mapping[str, str]) -> SystemOptions:
    """Options from `name:=value` texts.

    Raises:
        UnknownNameError: no such option; the message lists the known ones.
        InputError: a switch is neither true nor false.
    """
    known = {option.name: option.default for option in fields(SystemOptions)}
    for name in texts:
        if name not in known:
            raise UnknownNameError("argument", name, list(known))
    values = {name: _switch(name, text) if isinstance(known[name], bool) else text for name, text in texts.items()}
    return SystemOptions(**values)


def sim_graph(options: SystemOptions) -> list[NodeSpec]:
    """The simulation plays camera and robot; everything behind it is what runs on the real robot."""
    nodes = [NodeSpec("keypoint_sim", "sim_node", "sim"), *_common_nodes(options)]
    given: dict[str, Parameters] = {
        "sim": {name: getattr(options, name) for name in ("robot", "task", "condition", "mode")},
        "arm": {"driver": "simulated"},
        "trial": {"judge": "simulation"},
    }
    return _with_parameters(nodes, options, ["sim"], given, lockstep=options.mode == "lockstep")


def real_graph(options: SystemOptions) -> list[NodeSpec]:
    """Camera and robot are real."""
    nodes = [NodeSpec("keypoint_camera", "camera_node", "camera"), *_common_nodes(options)]
    given: dict[str, Parameters] = {"trial": {"judge": "operator"}}
    return _with_parameters(nodes, options, [], given, lockstep=False)


GRAPHS: dict[str, Callable[[SystemOptions], list[NodeSpec]]] = {"sim_robot": sim_graph, "real_robot": real_graph}


def build_graph(name: str, options: SystemOptions) -> list[NodeSpec]:
    """The graph of that name.

    Raises:
        UnknownNameError: no such graph, robot, camera or task; the message lists the known ones.
    """
    if name not in GRAPHS:
        raise UnknownNameError("graph", name, list(GRAPHS))
    return GRAPHS[name](options)


def _common_nodes(options: SystemOptions) -> list[NodeSpec]:
    nodes = [
        NodeSpec("keypoint_perception", "correspondence_node", "correspondence"),
        NodeSpec("keypoint_perception", "tracker_node", "tracker"),
        NodeSpec("keypoint_perception", "overlay_node", "overlay"),
        NodeSpec("keypoint_policy", "policy_node", "policy"),
        NodeSpec("keypoint_arms", "arm_node", "arm"),
        NodeSpec("keypoint_trials", "trial_node", "trial"),
    ]
    if options.record:
        nodes.append(NodeSpec("keypoint_trials", "recorder_node", "recorder"))
    if options.rviz:
        view = str(config_folder() / "rviz" / "keypoint.rviz")
        nodes.append(NodeSpec("rviz2", "rviz2", "rviz", arguments=("-d", view)))
    return nodes


def _with_parameters(
    nodes: list[NodeSpec], options: SystemOptions, files: list[str], given: dict[str, Parameters], lockstep: bool
) -> list[NodeSpec]:
    """Adds the parameters: of config, then those that the options stand for, then those of params_file."""
    folder = config_folder()
    paths = [folder / f"{name}.yaml" for name in files]
    paths += [config_file(folder, kind, getattr(options, kind)) for kind in ("robot", "camera", "task")]
    layers = [read_parameters(path) for path in paths]
    layers += [_from_options(options, nodes, lockstep), given]
    if options.params_file:
        layers.append(read_parameters(Path(options.params_file)))
    return [replace(node, parameters=merge(layers, node.name)) for node in nodes]


def _from_options(options: SystemOptions, nodes: list[NodeSpec], lockstep: bool) -> dict[str, Parameters]:
    sim_time = lockstep if options.use_sim_time == "auto" else _switch("use_sim_time", options.use_sim_time)
    # The simulation is where the clock comes from, so it does not wait for one.
    layer: dict[str, Parameters] = {node.name: {"use_sim_time": sim_time and node.name != "sim"} for node in nodes}
    layer["**"] = {"autostart": options.autostart}
    if options.checkpoint:
        for name in ("correspondence", "policy"):
            layer[name]["checkpoint"] = options.checkpoint
    if options.record:
        layer["recorder"]["folder"] = options.record
    return layer


def _switch(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InputError(f"{name} must be true or false, got '{text}'")
    return text.lower() == "true"

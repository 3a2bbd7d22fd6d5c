"""The nodes of a system as data. `launching` and `system` start exactly what is listed here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from keypoint_arms import ARMS
from keypoint_bringup.parameters import Parameters, config_file, merge, read_parameters
from keypoint_bringup.settings import config_folder, graph_environment
from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.checkpoint import checkpoint_of_robot, require_trained
from keypoint_core.errors import InputError, UnknownNameError

MODES = ("lockstep", "real_time")
SIM_OPTIONS = ("robot", "task", "condition", "mode", "textures_dir", "objects_dir")  # that the sim node is given


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

    robot: str = _option("file of config/robots; hebi is short for hebi_chopsticks", DEFAULT_ROBOT)
    camera: str = _option("file of config/cameras", "azure_kinect")
    task: str = _option("file of config/tasks", "clock_button")
    condition: str = _option("disturbances of the simulation: rp, rb, ro, light, or names joined by +", "rp")
    textures_dir: str = _option("simulation: folder of pictures for table and wall; empty for none", "")
    objects_dir: str = _option("simulation: folder of OBJ, STL or MJCF files for distractors; empty for none", "")
    mode: str = _option("time of the simulation: lockstep or real_time", "lockstep")
    checkpoint: str = _option("below KEYPOINT_MODELS_DIR, or a folder; empty for that of task and robot", "")
    params_file: str = _option("ROS parameter file that wins over those of config", "")
    record: str = _option("folder to record a bag into; empty for no recording", "")
    rviz: bool = _option("start RViz as well", False)
    use_sim_time: str = _option("true, false, or auto: true in lockstep, whose clock is /clock", "auto")
    autostart: bool = _option("lifecycle nodes configure and activate themselves", True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "robot", robot_name(self.robot))
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
        "sim": {name: getattr(options, name) for name in SIM_OPTIONS},
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
    """The graph of that name, ready to be started.

    Raises:
        UnknownNameError: no such graph, robot, camera or task; the message lists the known ones.
        InputError: the real robot has no driver.
        CheckpointError: nobody has trained the task for the robot; the message holds the command that does.
    """
    if name not in GRAPHS:
        raise UnknownNameError("graph", name, list(GRAPHS))
    nodes = GRAPHS[name](options)
    _require_parts(nodes, options)
    return nodes


def _require_parts(nodes: list[NodeSpec], options: SystemOptions) -> None:
    """What only a node would notice, told before anything starts."""
    parameters = {node.name: node.parameters for node in nodes}
    driver, checkpoint = parameters["arm"]["driver"], parameters["policy"].get("checkpoint")
    if driver not in ARMS:
        raise InputError(
            f"there is no driver '{driver}' for the real robot '{options.robot}'; known: {', '.join(ARMS)}; "
            "simulated, it runs with sim_robot"
        )
    if checkpoint == _task_layer(options).get("policy", {}).get("checkpoint", ""):
        models = Path(graph_environment(os.environ)["KEYPOINT_MODELS_DIR"])
        require_trained(checkpoint, options.task, options.robot, models)


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
    paths += [config_file(folder, kind, getattr(options, kind)) for kind in ("robot", "camera")]
    layers = [read_parameters(path) for path in paths]
    layers += [_task_layer(options), _from_options(options, nodes, lockstep), given]
    if options.params_file:
        layers.append(read_parameters(Path(options.params_file)))
    return [replace(node, parameters=merge(layers, node.name)) for node in nodes]


def _task_layer(options: SystemOptions) -> dict[str, Parameters]:
    """The task's parameters; the checkpoints that they name become those for the robot."""
    layer = read_parameters(config_file(config_folder(), "task", options.task))
    for block in layer.values():
        if "checkpoint" in block:
            block["checkpoint"] = checkpoint_of_robot(block["checkpoint"], options.robot)
    return layer


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

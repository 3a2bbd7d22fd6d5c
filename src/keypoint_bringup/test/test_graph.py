from pathlib import Path

import pytest
import yaml

from keypoint_bringup.graph import GRAPHS, SystemOptions, build_graph, parse_options, real_graph, sim_graph
from keypoint_bringup.parameters import read_parameters
from keypoint_bringup.settings import config_folder
from keypoint_core.errors import InputError, UnknownNameError


def by_name(graph):
    return {spec.name: spec for spec in graph}


def test_the_simulation_plays_the_camera_and_the_rest_is_the_same():
    sim, real = by_name(sim_graph(SystemOptions())), by_name(real_graph(SystemOptions()))
    assert set(sim) ^ set(real) == {"sim", "camera"}
    assert {name: (sim[name].package, sim[name].executable) for name in set(sim) & set(real)} == {
        "correspondence": ("keypoint_perception", "correspondence_node"),
        "tracker": ("keypoint_perception", "tracker_node"),
        "overlay": ("keypoint_perception", "overlay_node"),
        "policy": ("keypoint_policy", "policy_node"),
        "arm": ("keypoint_arms", "arm_node"),
        "trial": ("keypoint_trials", "trial_node"),
    }


def test_options_reach_the_nodes():
    nodes = by_name(sim_graph(SystemOptions(mode="real_time", condition="light", checkpoint="a/b", record="bag")))
    assert nodes["sim"].parameters["mode"] == "real_time"
    assert nodes["sim"].parameters["condition"] == "light"
    assert nodes["arm"].parameters["driver"] == "simulated"
    assert nodes["policy"].parameters["checkpoint"] == nodes["correspondence"].parameters["checkpoint"] == "a/b"
    assert nodes["recorder"].parameters["folder"] == "bag"


def test_the_task_names_its_checkpoint():
    assert by_name(sim_graph(SystemOptions()))["policy"].parameters["checkpoint"] == "clock_button/dagger"


@pytest.mark.parametrize(
    ("given", "lockstep", "real_time", "real"),
    [("auto", True, False, False), ("true", True, True, True), ("false", False, False, False)],
)
def test_simulated_time_for_all_but_its_source(given, lockstep, real_time, real):
    for mode, expected in (("lockstep", lockstep), ("real_time", real_time)):
        nodes = by_name(sim_graph(SystemOptions(mode=mode, use_sim_time=given)))
        assert nodes.pop("sim").parameters["use_sim_time"] is False
        assert {node.parameters["use_sim_time"] for node in nodes.values()} == {expected}
    assert {node.parameters["use_sim_time"] for node in real_graph(SystemOptions(use_sim_time=given))} == {real}


def test_params_file_wins(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    content = {"/**": {"ros__parameters": {"autostart": False}}, "policy": {"ros__parameters": {"checkpoint": "mine"}}}
    file.write_text(yaml.safe_dump(content))
    nodes = by_name(sim_graph(SystemOptions(params_file=str(file), checkpoint="other")))
    assert nodes["policy"].parameters["checkpoint"] == "mine"
    assert not any(node.parameters["autostart"] for node in nodes.values())


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"robot": "x"}, "hebi_chopsticks"),
        ({"camera": "x"}, "azure_kinect"),
        ({"task": "x"}, "clock_button"),
        ({"mode": "x"}, "lockstep, real_time"),
        ({"speed": "x"}, "autostart, camera, checkpoint"),
    ],
)
def test_unknown_names_list_the_known(options, known):
    with pytest.raises(UnknownNameError, match=known):
        build_graph("sim_robot", parse_options(options))


def test_unknown_graph_lists_the_known():
    with pytest.raises(UnknownNameError, match="real_robot, sim_robot"):
        build_graph("robot", SystemOptions())


def test_a_switch_is_true_or_false():
    assert parse_options({"rviz": "True"}).rviz is True
    with pytest.raises(InputError, match="rviz must be true or false, got 'yes'"):
        parse_options({"rviz": "yes"})


@pytest.mark.parametrize("content", ["policy: {checkpoint: a}", "- a", "policy:", "a: b: c"])
def test_a_parameter_file_of_another_form_is_refused(tmp_path: Path, content: str):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match="mine.yaml"):
        read_parameters(file)


@pytest.mark.parametrize("file", sorted(config_folder().rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_is_for_nodes_that_exist(file: Path):
    options = SystemOptions(record="bag")
    known = {spec.name for build in GRAPHS.values() for spec in build(options)} | {"**"}
    assert set(read_parameters(file)) <= known

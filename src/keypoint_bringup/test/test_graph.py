from pathlib import Path

import pytest
import yaml

from keypoint_bringup.graph import GRAPHS, SystemOptions, build_graph, parse_options, real_graph, sim_graph
from keypoint_bringup.parameters import read_parameters
from keypoint_bringup.settings import config_folder
from keypoint_core.errors import CheckpointError, InputError, UnknownNameError


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
    assert by_name(sim_graph(SystemOptions()))["policy"].parameters["checkpoint"] == "clock_button/atk"


def test_another_robot_has_its_own_checkpoint():
    nodes = by_name(sim_graph(SystemOptions(robot="franka")))
    assert nodes["sim"].parameters["robot"] == nodes["arm"].parameters["robot"] == "franka"
    for name in ("correspondence", "policy"):
        assert nodes[name].parameters["checkpoint"] == "clock_button/atk_franka"
    assert nodes["policy"].parameters["gripper"] == "fr3_finger_joint1"
    given = by_name(sim_graph(SystemOptions(robot="franka", checkpoint="a/b")))
    assert given["policy"].parameters["checkpoint"] == "a/b"


def test_a_short_name_is_the_same_robot():
    assert sim_graph(SystemOptions(robot="hebi")) == sim_graph(SystemOptions(robot="hebi_chopsticks"))


def test_a_robot_that_nobody_trained_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEYPOINT_MODELS_DIR", str(tmp_path))
    with pytest.raises(CheckpointError, match="make train TASK=clock_button ROBOT=franka"):
        build_graph("sim_robot", SystemOptions(robot="franka"))
    assert build_graph("sim_robot", SystemOptions(robot="franka", checkpoint="mine"))


def test_a_real_robot_without_a_driver_is_refused():
    with pytest.raises(InputError, match="no driver 'franka' for the real robot 'franka'; known: hebi, simulated"):
        build_graph("real_robot", SystemOptions(robot="franka"))


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

"""The workspace itself: system packages, requirements, packages, what is installed, what imports ROS."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from keypoint_bringup.graph import SystemOptions, sim_graph
from keypoint_bringup.supervisor_config import find_executable

REPOSITORY = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in REPOSITORY.glob("src/*/package.xml"))
BASICS = ("sh", "dirname", "uname", "grep", "ls", "cat", "env", "echo")  # what the check itself runs


@pytest.fixture
def check(tmp_path: Path):
    """Runs tools/check_system.sh on a made-up machine: the commands given, and nothing else on PATH."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in BASICS:
        (commands / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} on this machine"))

    def run(scripts: dict[str, str], **settings: str) -> subprocess.CompletedProcess[str]:
        for name, script in scripts.items():
            (commands / name).write_text(f"#!{commands}/sh\n{script}\n")
            (commands / name).chmod(0o755)
        return subprocess.run(
            [commands / "sh", REPOSITORY / "tools/check_system.sh", settings.pop("PYTHON", sys.executable)],
            env={"PATH": str(commands), "CALLS": str(tmp_path / "calls"), **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


TOOLS = {name: "" for name in ("cmake", "g++", "make", "git")} | {"ldconfig": "echo libOSMesa.so.8"}
USER, ROOT = {"id": "echo 1000"}, {"id": "echo 0"}
NOT_ROOT = {**USER, "sudo": "exit 1", "apt-get": "echo must not run; exit 9"}
APT = 'echo "$@" >> "$CALLS"'


def test_nothing_is_said_when_nothing_is_missing(check):
    result = check({**TOOLS, **NOT_ROOT})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_without_rights_the_exact_command_is_printed(check):
    result = check({"git": "", "make": "", "ldconfig": TOOLS["ldconfig"], **NOT_ROOT})
    assert result.returncode == 1
    command = "sudo apt-get update && sudo apt-get install -y --no-install-recommends cmake g++"
    assert f"    {command}\n" in result.stderr


def test_no_install_is_respected_by_root(check, tmp_path: Path):
    result = check({**TOOLS, **ROOT, "apt-get": APT, "cmake": ""}, NO_INSTALL="1", MUJOCO_GL="osmesa")
    assert result.returncode == 0
    (tmp_path / "bin/cmake").unlink()
    result = check({"apt-get": APT}, NO_INSTALL="1")
    assert result.returncode == 1
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("who", [ROOT, {**USER, "sudo": '[ "$1" = -n ] && exit 0; "$@"'}], ids=["root", "sudo"])
def test_with_rights_they_are_installed(check, tmp_path: Path, who: dict[str, str]):
    tools = {name: script for name, script in TOOLS.items() if name != "cmake"}
    result = check({**tools, **who, "apt-get": APT})
    assert result.returncode == 0
    assert (tmp_path / "calls").read_text() == "install -y --no-install-recommends cmake\n"


def test_absent_package_lists_are_fetched(check, tmp_path: Path):
    apt = f'{APT}; case "$1" in install) [ "$(grep -c . "$CALLS")" -gt 1 ] ;; esac'
    tools = {name: script for name, script in TOOLS.items() if name != "g++"}
    result = check({**tools, **ROOT, "apt-get": apt})
    assert result.returncode == 0
    install = "install -y --no-install-recommends g++"
    assert (tmp_path / "calls").read_text().splitlines() == [install, "-qq update", install]


def test_another_python_is_refused_with_the_way_out(check):
    result = check({**TOOLS, **NOT_ROOT, "old": "echo 3.9"}, PYTHON="old")
    assert result.returncode == 1
    assert "Python 3.10 to 3.13 is needed, old is 3.9; choose one with: make setup PYTHON=" in result.stderr


@pytest.mark.parametrize("file", sorted(REPOSITORY.glob("requirements*.txt")), ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_a_reason(file: Path):
    for line in file.read_text().splitlines():
        requirement, _, reason = line.partition("#")
        if requirement.strip():
            assert "==" in requirement, line
            assert reason.strip(), line


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_packages_are_standard(folder: Path):
    package = ElementTree.parse(folder / "package.xml").getroot()
    assert package.get("format") == "3"
    assert package.findtext("name") == folder.name
    assert package.findtext("license") == "Apache-2.0"
    kind = package.findtext("export/build_type")
    assert kind in ("ament_python", "ament_cmake")
    if kind == "ament_python":
        assert (folder / "resource" / folder.name).is_file()
    else:
        assert "wheel" not in (folder / "CMakeLists.txt").read_text().lower()


def test_every_node_of_the_simulation_is_installed():
    for spec in sim_graph(SystemOptions(record="bag")):
        assert os.access(find_executable(spec), os.X_OK), spec


def test_the_ros_free_part_imports_no_ros():
    script = """
import importlib, pkgutil, sys
for name in ("keypoint_core", "keypoint_sim", "keypoint_training"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith(("_node", ".__main__")):
            importlib.import_module(module.name)
found = [name for name in sys.modules if name.split(".")[0] in ("rclpy", "keypoint_ros", "keypoint_interfaces")]
assert not found, found
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_readmes_way_to_start_a_graph_is_on_the_path():
    result = subprocess.run(
        [REPOSITORY / "tools/run", "up", "sim_robot", "task:=juggle"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2 and "unknown task 'juggle'; known: clock_button" in result.stderr


def test_every_simulated_task_has_its_configuration():
    from keypoint_sim.tasks import TASKS

    assert {path.stem for path in REPOSITORY.glob("config/tasks/*.yaml")} == set(TASKS)


def test_what_can_be_trained_can_be_compared():
    from keypoint_training.atk.baselines import METHODS as BASELINES
    from keypoint_trials.methods import METHODS

    assert {"atk", *BASELINES} <= {method.checkpoint for method in METHODS}


def test_what_starts_nodes_or_holds_a_deadline_runs_alone():
    """Beside another test it would be late; see tools/test.sh."""
    alone = [REPOSITORY / path for path in runpy.run_path(str(REPOSITORY / "conftest.py"))["ALONE"]]
    assert all(path.exists() for path in alone)
    shared = [
        path
        for path in sorted(REPOSITORY.glob("src/*/test/*.py"))
        if not any(path.is_relative_to(part) for part in alone)
    ]
    ros = re.compile(r"^\s*(import|from) (rclpy|keypoint_ros|keypoint_bringup)\b", re.MULTILINE)
    clock = re.compile(r"\b(thread_time|process_time|perf_counter|monotonic)\(\)")
    sources = {path: path.read_text() for path in shared}
    assert [path for path, source in sources.items() if ros.search(source)] == []
    unmarked = [path for path, source in sources.items() if clock.search(source) and "mark.alone" not in source]
    assert unmarked == []

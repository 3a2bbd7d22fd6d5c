import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from keypoint_bringup.graph import NodeSpec
from keypoint_bringup.system import System, unused_domain_id
from keypoint_core.errors import InputError, KeypointError, MissingDependencyError, UnknownNameError

WAIT = 10  # [s]


def wait_for_end(pid: int) -> None:
    """Fails when the process still runs after WAIT; one that is gone already has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(WAIT)


def wait_for_text(path: Path, text: str) -> None:
    """`tail -f` until the text shows."""
    command = ["timeout", str(WAIT), "grep", "-q", "-m1", text, "/dev/stdin"]
    with subprocess.Popen(
        ["tail", "-F", "-n", "+1", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as tail:
        found = subprocess.run(command, stdin=tail.stdout, check=False).returncode == 0
        tail.kill()
    assert found, f"'{text}' did not show in {path}"


def test_nodes_run_until_stopped(sleeper, tmp_path: Path):
    with System([sleeper("one"), sleeper("two")], folder=tmp_path / "logs") as system:
        processes = system.processes()
        assert {process.name: process.state for process in processes.values()} == {"one": "RUNNING", "two": "RUNNING"}
        assert all(psutil.pid_exists(process.pid) for process in processes.values())
        for name in processes:
            wait_for_text(system.log(name), "arguments")
    for name, process in processes.items():
        wait_for_end(process.pid)
        assert (tmp_path / "logs" / f"{name}.log").read_text().endswith("interrupted\n")


def test_the_command_line_holds_name_namespace_remaps_and_parameters(sleeper, tmp_path: Path):
    spec = sleeper("one", namespace="left", parameters={"text": "100 % ; sure"}, remappings=(("a", "b"),))
    with System([spec], folder=tmp_path / "my logs; 100 %") as system:
        wait_for_text(system.log("one"), "arguments")
        arguments = system.log("one").read_text()
        file = system.folder / "one.yaml"
    assert f"--ros-args -r __node:=one -r __ns:=left -r a:=b --params-file {file}" in arguments
    assert "100 % ; sure" in file.read_text()


def test_only_this_user_can_control_the_processes(sleeper):
    with System([sleeper("one")]) as system:
        socket = Path(system.folder, "control.sock")
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        daemon = psutil.Process(system.processes()["one"].pid).parent()
        assert daemon is not None
        assert daemon.net_connections("inet") == []


def test_a_killed_node_stays_dead_and_can_be_started_again(sleeper):
    with System([sleeper("one"), sleeper("two")]) as system:
        before = system.processes()
        system.kill("one", signal.SIGKILL)
        wait_for_end(before["one"].pid)
        after = system.processes()
        assert not after["one"].running
        assert after["one"].state == "EXITED"
        assert after["two"] == before["two"]
        with pytest.raises(KeypointError, match="node 'one' does not run: EXITED"):
            system.kill("one")
        system.log("one").write_text("")
        system.restart("one")
        wait_for_text(system.log("one"), "arguments")
        assert system.processes()["one"].pid not in (0, before["one"].pid)


def test_a_node_that_ignores_sigint_is_killed(sleeper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("keypoint_bringup.supervisor_config.STOP_TIMEOUT", 1)
    with System([sleeper("stubborn")]) as system:
        pid = system.processes()["stubborn"].pid
        wait_for_text(system.log("stubborn"), "arguments")
    assert not psutil.pid_exists(pid)


def test_a_starter_killed_hard_leaves_no_nodes(sleeper):
    script = """
import signal
from keypoint_bringup.graph import NodeSpec
from keypoint_bringup.system import System
with System([NodeSpec("waiting", "sleeper", "one")]) as system:
    print(system.processes()["one"].pid, flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    wait_for_end(pid)


def test_systems_get_their_own_domain(sleeper):
    domain = unused_domain_id()
    assert 1 <= domain <= 100
    with System([sleeper("one")], domain_id=domain) as system:
        wait_for_text(system.log("one"), "arguments")  # before, it may not have become the node's program yet
        environment = psutil.Process(system.processes()["one"].pid).environ()
    assert environment["ROS_DOMAIN_ID"] == str(domain)
    assert Path(environment["FASTDDS_DEFAULT_PROFILES_FILE"]).name == "local.xml"


def test_what_is_not_built_is_named_before_anything_starts(sleeper):
    for spec, fix in ((NodeSpec("nowhere", "x", "b"), "make setup"), (NodeSpec("waiting", "x", "b"), "make build")):
        children = psutil.Process(os.getpid()).children()
        with pytest.raises(MissingDependencyError, match=f"'b'.*{fix}"):
            System([sleeper("a"), spec]).start()
        assert psutil.Process(os.getpid()).children() == children


def test_unknown_and_repeated_names(sleeper):
    with pytest.raises(InputError, match="got twice: one"):
        System([sleeper("one"), sleeper("one")])
    with System([sleeper("one")]) as system, pytest.raises(UnknownNameError, match="known: one"):
        system.kill("two")

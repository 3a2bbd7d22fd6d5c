import signal
import subprocess
import sys

import pytest

from keypoint_bringup.up import main

# Runs `up` on a graph of small scripts.
SCRIPT = """
import sys
from keypoint_bringup import up
from keypoint_bringup.graph import NodeSpec
names = sys.argv[1].split(",")
up.build_graph = lambda name, options: [NodeSpec("waiting", "sleeper", name) for name in names]
raise SystemExit(up.main(["sim_robot", "mode:=real_time"]))
"""


def start(names: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, names], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_everything(sleeper, number):
    with start("one,two") as up:
        assert up.stdout is not None
        seen = [up.stdout.readline() for _ in range(3)]
        assert seen[0].startswith("[up] sim_robot: one, two; logs in ")
        assert {line.split()[0] for line in seen[1:]} == {"[one]", "[two]"}
        up.send_signal(number)
        rest = up.communicate(timeout=15)[0].splitlines()
    assert rest[0] == "[up] stopping"
    assert sorted(rest[1:]) == ["[one] interrupted", "[two] interrupted"]
    assert up.returncode == 0


def test_a_failed_node_is_told_and_counts(sleeper):
    with start("failing") as up:
        output = up.communicate(timeout=15)[0]
    assert "[up] failing ended with status 3 (EXITED)" in output
    assert up.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["robot"], "unknown graph 'robot'; known: real_robot, sim_robot"),
        (["sim_robot", "task:=juggle"], "unknown task 'juggle'; known: clock_button"),
        (["sim_robot", "task=juggle"], "settings are given as name:=value, got 'task=juggle'"),
    ],
)
def test_mistakes_are_explained(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err

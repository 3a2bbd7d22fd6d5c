"""The base of all nodes: errors end in words and an exit code, and signals end it in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from keypoint_core.errors import InputError
from keypoint_core.parameters import parameter
from keypoint_ros.node import KeypointNode

SCRIPT = """
from dataclasses import dataclass
from keypoint_core.errors import InputError
from keypoint_core.parameters import parameter
from keypoint_ros.node import KeypointNode, run

@dataclass(frozen=True)
class Parameters:
    fail: str = parameter("", "what goes wrong", choices=("", "configure", "activate", "bug"))

class Node(KeypointNode):
    Parameters = Parameters
    def __init__(self):
        super().__init__("thing")
        self._timer = self.create_timer(0.02, self._tick)
    def _say(self, what):
        print(what, flush=True)
        if self.parameters.fail == what:
            raise InputError("expected this, got that; do so")
    def _tick(self):
        if self.active:
            self._say("running")
            self._timer.cancel()
    def configure(self):
        if self.parameters.fail == "bug":
            raise ZeroDivisionError("a bug")
        self._say("configure")
    def activate(self): self._say("activate")
    def deactivate(self): self._say("deactivate")
    def cleanup(self): self._say("cleanup")

run(Node)
"""


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch):
    """Runs the script as a process of its own."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 99))
    processes = []

    def start(*arguments: str) -> subprocess.Popen:
        words = [word for argument in arguments for word in ("-p", argument)]
        command = [sys.executable, "-c", SCRIPT, "--ros-args", *words]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out.split(), err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_in_order_and_ends_well(start, number: int) -> None:
    process = start()
    assert [process.stdout.readline().strip() for _ in range(3)] == ["configure", "activate", "running"]
    process.send_signal(number)
    assert finish(process)[:2] == (0, ["deactivate", "cleanup"])


@pytest.mark.parametrize(
    ("stage", "done"),
    [
        ("configure", ["configure", "deactivate", "cleanup"]),
        ("activate", ["configure", "activate", "deactivate", "cleanup"]),
    ],
)
def test_a_failed_start_ends_with_code_1_and_says_why(start, stage: str, done: list[str]) -> None:
    code, out, err = finish(start(f"fail:={stage}"))
    assert code == 1 and out == done
    assert f"cannot {stage}: expected this, got that; do so" in err and "Traceback" not in err


def test_a_bug_while_configuring_leaves_its_traceback(start) -> None:
    code, _, err = finish(start("fail:=bug"))
    assert code == 1 and "ZeroDivisionError: a bug" in err and "Traceback" in err


def test_a_wrong_parameter_ends_with_code_1_and_is_named(start) -> None:
    code, out, err = finish(start("fail:=nonsense"))
    assert code == 1 and out == [] and "Traceback" not in err
    assert "parameter 'fail': expected one of" in err and "'nonsense'" in err


def test_without_autostart_it_waits_to_be_told(start) -> None:
    process = start("autostart:=false", "use_sim_time:=false")
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    process.terminate()
    assert finish(process)[:2] == (0, ["deactivate", "cleanup"])


@dataclass(frozen=True)
class Parameters:
    size: int = parameter(3, "how large", minimum=1, maximum=5)


class Thing(KeypointNode):
    Parameters = Parameters
    broken: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("thing")
        self.calls: list[str] = []

    def configure(self) -> None:
        self.calls.append("configure")
        if self.broken:
            raise InputError("bad file")

    def activate(self) -> None:
        self.calls.append("activate")

    def deactivate(self) -> None:
        self.calls.append("deactivate")


def test_transitions_call_the_node(ros) -> None:
    ros.start("size:=4", "use_sim_time:=true")
    node = ros.add(Thing())
    assert node.parameters.size == 4 and node.lockstep and not node.active
    assert node.start() and node.active
    node.trigger_deactivate()
    assert not node.active
    node.trigger_activate()
    assert node.active and node.calls == ["configure", "activate", "deactivate", "activate"]
    node.close()
    assert not node.active


def test_a_failed_transition_can_be_tried_again(ros, monkeypatch: pytest.MonkeyPatch) -> None:
    ros.start()
    monkeypatch.setattr(Thing, "broken", True)
    node = ros.add(Thing())
    assert not node.start() and not node.active
    monkeypatch.setattr(Thing, "broken", False)
    assert node.start() and node.active


def test_diagnostics_tell_state_counters_and_rates(ros) -> None:
    ros.start()
    node, listener, heard = ros.add(Thing()), ros.node("listener"), []
    listener.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    ros.spin_until(lambda: node.diagnostics._publisher.get_subscription_count())
    node.start()
    node.diagnostics.count("frames dropped", 2)
    node.diagnostics.tick("frames")
    node.diagnostics._publish()
    node.report("lost the camera")
    node.diagnostics._publish()
    ros.spin_until(lambda: len(heard) >= 2)
    first, second = (message.status[0] for message in heard[:2])
    assert (first.level, first.name, first.message) == (DiagnosticStatus.OK, "thing", "running")
    values = {item.key: item.value for item in first.values}
    assert values["frames dropped"] == "2" and "frames [1/s]" in values
    assert second.level == DiagnosticStatus.ERROR and second.message == "lost the camera"

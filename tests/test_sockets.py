"""By default nothing of the graph can be reached from outside this machine: the sockets that real nodes open."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from keypoint_bringup.graph import SystemOptions, sim_graph
from keypoint_bringup.system import System, unused_domain_id

REPOSITORY = Path(__file__).parents[1]
NODES = 12  # more than the graph has

# A node that publishes and subscribes as the graph's do, and tells when it has met all the others.
NODE = """
import sys, time, rclpy
from std_msgs.msg import String
index, count = map(int, sys.argv[1:])
rclpy.init()
node = rclpy.create_node(f"node_{index}")
publisher = node.create_publisher(String, "topic", 1)
node.create_subscription(String, "topic", lambda message: None, 1)
node.create_timer(1.0, lambda: None)
deadline = time.monotonic() + 30
while publisher.get_subscription_count() < count and time.monotonic() < deadline:
    rclpy.spin_once(node, timeout_sec=0.05)
print(publisher.get_subscription_count(), flush=True)
sys.stdin.readline()
"""


@contextmanager
def running_nodes(count: int, env: dict[str, str]) -> Iterator[list[tuple[psutil.Process, int]]]:
    """`count` node processes and how many nodes each has met, itself included."""
    env = env | {"ROS_DOMAIN_ID": str(unused_domain_id())}
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", NODE, str(index), str(count)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=env,
                    text=True,
                )
            )
            for index in range(count)
        ]
        yield [(psutil.Process(node.pid), int(node.stdout.readline())) for node in nodes]
        for node in nodes:
            node.communicate("\n", timeout=20)


def sourced_environment(**settings: str) -> dict[str, str]:
    """What `source tools/env.sh` makes of these settings and nothing else of the network."""
    names = ("FASTDDS", "FASTRTPS", "ROS_AUTOMATIC", "ROS_STATIC", "ROS_LOCALHOST", "KEYPOINT_", "RMW_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(names)} | settings
    script = f". {REPOSITORY}/tools/env.sh && env -0"
    output = subprocess.run(["bash", "-c", script], env=clean, capture_output=True, text=True, check=True).stdout
    return dict(entry.split("=", 1) for entry in output.split("\0") if entry)


def reachable_addresses(process: psutil.Process) -> set[str]:
    """Local addresses of the process's sockets at which another machine could reach it.

    0.0.0.0 and :: stand for every interface, and a multicast address receives from all of them.
    """
    addresses = {connection.laddr.ip for connection in process.net_connections("inet") if connection.laddr}
    return {address for address in addresses if not ipaddress.ip_address(address).is_loopback}


def test_by_default_nodes_meet_and_listen_on_this_machine_only():
    with running_nodes(NODES, sourced_environment()) as nodes:
        assert [met for _, met in nodes] == [NODES] * NODES
        assert all(process.net_connections("inet") for process, _ in nodes), "the sockets could not be seen"
        assert set().union(*(reachable_addresses(process) for process, _ in nodes)) == set()


@pytest.mark.parametrize("change", ["lan", "no profile"])
def test_the_look_at_the_sockets_sees_what_listens_beyond(change: str, tmp_path: Path):
    """Without the profile the test above would fail."""
    env = sourced_environment(KEYPOINT_NETWORK="lan") if change == "lan" else sourced_environment()
    if change == "no profile":
        env.pop("FASTDDS_DEFAULT_PROFILES_FILE")
        env.pop("FASTRTPS_DEFAULT_PROFILES_FILE", None)
    with running_nodes(2, env) as nodes:
        assert [met for _, met in nodes] == [2, 2]
        assert "0.0.0.0" in reachable_addresses(nodes[0][0])


def test_an_unknown_network_is_refused():
    script = f". {REPOSITORY}/tools/env.sh"
    env = os.environ | {"KEYPOINT_NETWORK": "wan"}
    result = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "KEYPOINT_NETWORK is 'wan'; known: local, lan" in result.stderr


def test_the_whole_graph_listens_on_this_machine_only(tmp_path: Path):
    graph = sim_graph(SystemOptions(record=str(tmp_path / "bag"), autostart=False))  # needs no checkpoint
    with System(
        graph, folder=tmp_path / "logs", domain_id=unused_domain_id(), environment=sourced_environment()
    ) as system:
        waiting = {spec.name for spec in graph}
        deadline = time.monotonic() + 60
        while waiting and time.monotonic() < deadline:
            for name, state in system.processes().items():
                assert state.running, system.log(name).read_text()
                process = psutil.Process(state.pid)
                assert reachable_addresses(process) == set(), name
                # Discovery and data each have a socket; before that the node is still loading.
                if len(process.net_connections("inet")) >= 2:
                    waiting.discard(name)
        assert not waiting, f"no sockets within a minute: {waiting}"

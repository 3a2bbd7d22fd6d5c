"""A graph running as processes of this machine, kept by supervisord."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from keypoint_bringup.graph import NodeSpec
from keypoint_bringup.settings import graph_environment
from keypoint_bringup.supervisor_config import GROUP, STOP_TIMEOUT, log_file, write_supervisor_config
from keypoint_core.errors import InputError, KeypointError, UnknownNameError

START_TIMEOUT = 20.0  # [s]


@dataclass(frozen=True)
class ProcessState:
    """One node's process.

    Attributes:
        name: of the node.
        pid: 0 when it does not run.
        state: supervisord's word: STARTING, RUNNING, STOPPING, STOPPED, EXITED or FATAL.
        status: its exit status; meaningful when EXITED. A signal counts as -1.
    """

    name: str
    pid: int
    state: str
    status: int

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.pid != 0


class System:
    """Starts a graph's nodes as processes and stops them; a context manager.

    Nodes are stopped by SIGINT, and killed when that does not end them. They are stopped too when the program that
    started them dies.

    Args:
        specs: the nodes.
        folder: for the nodes' logs and parameter files; a temporary one, removed at the end, when None.
        domain_id: ROS domain, so that systems running at the same time do not meet; ROS_DOMAIN_ID when None.
        environment: settings on top of this process's own.
    """

    def __init__(
        self,
        specs: Iterable[NodeSpec],
        folder: Path | None = None,
        domain_id: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.specs = list(specs)
        repeated = [name for name, count in Counter(spec.name for spec in self.specs).items() if count > 1]
        if repeated:
            raise InputError(f"node names must differ, got twice: {', '.join(repeated)}")
        own = {**os.environ, **(environment or {})}
        self._environment = own | graph_environment(own)
        if domain_id is not None:
            self._environment["ROS_DOMAIN_ID"] = str(domain_id)
        self._folder = folder
        self._runtime: Path | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> System:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def folder(self) -> Path:
        """Where the nodes' logs and parameters are; there is none before `start`."""
        if self._folder is None:
            raise KeypointError("the system has not been started")
        return self._folder

    def start(self) -> None:
        """Starts all nodes and returns when their processes exist; they may not have joined the graph yet.

        Raises:
            MissingDependencyError: a node is not installed.
            KeypointError: supervisord did not come up.
        """
        # The path of a unix socket is limited to 107 bytes, so it does not go into the folder.
        self._runtime = Path(tempfile.mkdtemp(prefix="keypoint-"))
        self._folder = self._folder or self._runtime
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            config = write_supervisor_config(self.specs, self._folder.absolute(), self._runtime, self._socket)
            command = [sys.executable, "-m", "keypoint_bringup.supervised", "-c", str(config)]
            # A session of its own: Ctrl-C reaches this program only, which then stops the nodes in order.
            self._daemon = subprocess.Popen(
                command, stdin=subprocess.PIPE, env=self._environment, start_new_session=True
            )
            self._wait_until_started()
        except BaseException:
            self.stop()
            raise

    def stop_nodes(self) -> None:
        """Stops all nodes and waits for their end; logs and states can still be looked at."""
        self._call("stopAllProcesses")

    def stop(self) -> None:
        """Stops all nodes and waits for their end; safe to call twice."""
        if self._daemon is not None:
            self._daemon.terminate()
            try:
                self._daemon.wait(STOP_TIMEOUT + 5)
            except subprocess.TimeoutExpired:
                self._kill_everything()
            if self._daemon.stdin:
                self._daemon.stdin.close()
            self._daemon = None
        if self._runtime is not None:
            shutil.rmtree(self._runtime)
            self._runtime = None

    def processes(self) -> dict[str, ProcessState]:
        """All nodes by name."""
        return {
            info["name"]: ProcessState(info["name"], info["pid"], info["statename"], info["exitstatus"])
            for info in self._call("getAllProcessInfo")
        }

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Sends a signal to one node, whose process is not started again.

        Raises:
            UnknownNameError: no such node.
            KeypointError: it does not run.
        """
        process = self._process(name)
        if not process.running:
            raise KeypointError(f"node '{name}' does not run: {process.state}")
        os.kill(process.pid, number)

    def restart(self, name: str) -> None:
        """Starts one node again, stopping it before if it runs.

        One that was killed hard may stay deaf: the others may go on writing into its shared memory of before.
        """
        if self._process(name).running:
            self._call("stopProcess", f"{GROUP}:{name}")
        self._call("startProcess", f"{GROUP}:{name}")

    def log(self, name: str) -> Path:
        """The file of what that node prints."""
        return log_file(self.folder, name)

    @property
    def _socket(self) -> Path:
        if self._runtime is None:
            raise KeypointError("the system does not run")
        return self._runtime / "control.sock"

    def _process(self, name: str) -> ProcessState:
        processes = self.processes()
        if name not in processes:
            raise UnknownNameError("node", name, list(processes))
        return processes[name]

    def _call(self, method: str, *arguments: Any) -> Any:
        with ServerProxy("http://localhost", SupervisorTransport(None, None, f"unix://{self._socket}")) as server:
            try:
                return getattr(server.supervisor, method)(*arguments)
            except Fault as fault:
                raise KeypointError(f"supervisord refused {method}{arguments}: {fault.faultString}") from fault

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._daemon and self._daemon.poll() is None:
            # Refused until supervisord has made its socket.
            with suppress(OSError, HTTPException):
                if all(map(_executes, self.processes().values())):
                    return
            time.sleep(0.02)
        raise KeypointError(f"supervisord did not start; see {self.folder}/supervisord.log")

    def _kill_everything(self) -> None:
        with suppress(OSError, HTTPException):
            for process in self.processes().values():
                if process.running:
                    os.kill(process.pid, signal.SIGKILL)
        if self._daemon:
            self._daemon.kill()
            self._daemon.wait()


def _executes(process: ProcessState) -> bool:
    """Whether the node's own program runs, or has already ended.

    Right after the fork supervisord calls it running, but it still has supervisord's signal handlers and would lose a
    signal.
    """
    if not process.running:
        return process.state != "STOPPED"
    return b"keypoint_bringup.supervised" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()


def unused_domain_id() -> int:
    """A ROS domain whose first discovery port is free on this machine, so that nobody is likely to be in it."""
    for domain in random.sample(range(1, 101), 100):  # above 101 the ports reach into the ephemeral range
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", 7400 + 250 * domain + 10))  # DDS-RTPS 2.5, 9.6.2.3
            return domain
    raise KeypointError("all 100 ROS domains of this machine are in use")


def clean_shared_memory() -> None:
    """Removes shared memory that killed nodes of any graph left behind; what a living process holds stays."""
    with suppress(FileNotFoundError):  # apt's ROS comes without the tool
        subprocess.run(["fastdds", "shm", "clean"], stdout=subprocess.DEVNULL, check=False)

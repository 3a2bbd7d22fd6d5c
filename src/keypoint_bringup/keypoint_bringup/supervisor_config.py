"""The graph as supervisord's configuration."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from keypoint_bringup.graph import NodeSpec
from keypoint_bringup.parameters import write_parameters
from keypoint_core.errors import MissingDependencyError

GROUP = "graph"  # all nodes are one group, because supervisord stops groups one after the other
STOP_TIMEOUT = 5  # [s] between SIGINT and SIGKILL

# Controlled through a socket file that only this user may open; no TCP port.
HEADER = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
nodaemon=true
silent=true
nocleanup=true
logfile={folder}/supervisord.log
pidfile={runtime}/supervisord.pid
childlogdir={folder}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}
"""

MEMBERS = """
[group:{group}]
programs={names}
"""

PROGRAM = """
[program:{name}]
command={command}
autostart=true
autorestart=false
startsecs=0
stopsignal=INT
stopwaitsecs={stop_timeout}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=0
"""


def find_executable(spec: NodeSpec) -> Path:
    """Where colcon installed the node.

    Raises:
        MissingDependencyError: the package or the executable is not installed.
    """
    try:
        path = Path(get_package_prefix(spec.package)) / "lib" / spec.package / spec.executable
    except PackageNotFoundError as error:
        raise MissingDependencyError(
            f"node '{spec.name}' needs the ROS package '{spec.package}', which is not built; run: make setup"
        ) from error
    if not path.is_file():
        raise MissingDependencyError(f"node '{spec.name}': {path} does not exist; run: make build")
    return path


def node_command(spec: NodeSpec, folder: Path) -> list[str]:
    """The node's command line; its parameters go into a file of that folder."""
    command = [str(find_executable(spec)), *spec.arguments, "--ros-args", "-r", f"__node:={spec.name}"]
    if spec.namespace:
        command += ["-r", f"__ns:={spec.namespace}"]
    for source, target in spec.remappings:
        command += ["-r", f"{source}:={target}"]
    if spec.parameters:
        path = folder / f"{spec.name}.yaml"
        write_parameters(path, spec.parameters)
        command += ["--params-file", str(path)]
    return command


def write_supervisor_config(specs: Iterable[NodeSpec], folder: Path, runtime: Path, socket: Path) -> Path:
    """Writes supervisord.conf and the nodes' parameters; returns the former's path."""
    text = HEADER.format(folder=_escape(folder), runtime=_escape(runtime), socket=_escape(socket))
    specs = list(specs)
    text += MEMBERS.format(group=GROUP, names=",".join(spec.name for spec in specs)) if specs else ""
    for spec in specs:
        command = _escape(shlex.join(node_command(spec, folder)))
        log = _escape(_escape(log_file(folder, spec.name)))  # expanded twice
        text += PROGRAM.format(name=spec.name, command=command, log=log, stop_timeout=STOP_TIMEOUT)
    path = runtime / "supervisord.conf"
    path.write_text(text)
    return path


def log_file(folder: Path, name: str) -> Path:
    """What the node of that name prints."""
    return folder / f"{name}.log"


def _escape(value: object) -> str:
    # supervisord expands %(name)s and takes " ;" for the start of a comment.
    return str(value).replace("%", "%%").replace(" ;", " \\;")

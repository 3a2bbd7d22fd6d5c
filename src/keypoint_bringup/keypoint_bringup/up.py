"""The graph without ros2cli: `up sim_robot mode:=lockstep task:=clock_button`, with the arguments of the launch files.

Prints what the nodes print, each line behind its node's name, until Ctrl-C or until no node runs any more.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType

from keypoint_bringup.graph import GRAPHS, SystemOptions, build_graph, parse_options
from keypoint_bringup.system import ProcessState, System, clean_shared_memory
from keypoint_core.errors import InputError, KeypointError

POLL = 0.2  # [s] between looks at the nodes' logs


class LogFollower:
    """Prints what is appended to the nodes' logs."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files
        self._offsets = dict.fromkeys(files, 0)

    def print_new(self) -> None:
        """Prints the complete lines that came since the last call."""
        for name, path in self._files.items():
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(self._offsets[name])
                lines = file.read().rpartition(b"\n")[0]
            self._offsets[name] += len(lines) + 1 if lines else 0
            for line in lines.decode(errors="replace").splitlines():
                print(f"[{name}] {line}", flush=True)


def parse(arguments: Sequence[str] | None) -> tuple[str, SystemOptions, argparse.Namespace]:
    """The graph's name, its options, and those of this program."""
    described = "\n".join(f"  {o.name}:={o.default}  {o.metadata['description']}" for o in fields(SystemOptions))
    parser = argparse.ArgumentParser(
        prog="up",
        description=__doc__,
        epilog=f"settings:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("graph", help=f"one of: {', '.join(GRAPHS)}")
    parser.add_argument("settings", nargs="*", help="name:=value")
    parser.add_argument("--logs", type=Path, default=None, help="folder to keep the nodes' logs in")
    parsed = parser.parse_args(arguments)
    pairs = {}
    for text in parsed.settings:
        name, separator, value = text.partition(":=")
        if not separator:
            raise InputError(f"settings are given as name:=value, got '{text}'")
        pairs[name] = value
    return parsed.graph, parse_options(pairs), parsed


def watch(system: System, stopped: threading.Event) -> int:
    """Prints the nodes' output until `stopped` is set or none runs; returns how many failed by themselves."""
    follower = LogFollower({spec.name: system.log(spec.name) for spec in system.specs})
    ended: dict[str, ProcessState] = {}
    while not stopped.wait(POLL) and len(ended) < len(system.specs):
        follower.print_new()
        for name, process in system.processes().items():
            if not process.running and name not in ended:
                ended[name] = process
                print(f"[up] {name} ended with status {process.status} ({process.state})", flush=True)
    failed = [process for process in ended.values() if process.status != 0 or process.state == "FATAL"]
    print("[up] stopping", flush=True)
    system.stop_nodes()
    follower.print_new()
    return len(failed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a graph; the status is 1 when a node failed, 2 when the graph could not be started."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    try:
        graph, options, parsed = parse(arguments)
        clean_shared_memory()
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        with System(build_graph(graph, options), folder=parsed.logs) as system:
            print(f"[up] {graph}: {', '.join(spec.name for spec in system.specs)}; logs in {system.folder}", flush=True)
            return int(watch(system, stopped) > 0)
    except KeypointError as error:
        print(f"[up] {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

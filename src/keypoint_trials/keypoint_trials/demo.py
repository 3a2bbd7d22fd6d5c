"""Runs trials in simulation through the real graph, and leaves what happened: `make demo`.

Ten trials in lockstep, then ten in real time, each system as separate processes over DDS. Writes into `runs/<time>-demo`
a bag per trial, `summary.json`, and per mode `summary.png` and `trials.mp4`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from keypoint_bringup.graph import MODES, SystemOptions, build_graph
from keypoint_bringup.system import System, clean_shared_memory, unused_domain_id
from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.errors import KeypointError
from keypoint_core.runs import new_run_folder
from keypoint_sim.disturbances.settings import add_folder_options
from keypoint_trials.console import make_console
from keypoint_trials.figure import Trial
from keypoint_trials.latency import merge
from keypoint_trials.records import OUTCOMES, TrialRecord, write_record
from keypoint_trials.report import console_table, load_trials, summarise, write_pictures

READY_TIMEOUT = 60.0  # [s]
SCENES = 500_000  # scenes of demonstrations begin here; evaluation and training use others


@dataclass(frozen=True)
class DemoRequest:
    """What to run; see the command line."""

    task: str
    robot: str
    condition: str
    trials: int
    seed: int
    textures_dir: str = ""
    objects_dir: str = ""


def run_mode(request: DemoRequest, mode: str, folder: Path, console: Console) -> list[TrialRecord]:
    """Starts the graph, runs the trials one after another, stops the graph."""
    from keypoint_trials.client import TrialClient  # after the domain is set: it joins the graph

    options = SystemOptions(
        robot=request.robot,
        task=request.task,
        condition=request.condition,
        mode=mode,
        record=str(folder),
        textures_dir=request.textures_dir,
        objects_dir=request.objects_dir,
    )
    domain = unused_domain_id()
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    records = []
    with System(build_graph("sim_robot", options), folder / "logs", domain_id=domain) as system:
        began = time.monotonic()
        with TrialClient() as client:
            client.wait_until_ready(READY_TIMEOUT, lambda: _require_all_running(system))
            console.print(f"graph of {len(system.specs)} processes is up after {time.monotonic() - began:.1f} s")
            for i in range(request.trials):
                record = client.run(
                    f"{mode}-{i:02d}", SCENES + request.seed * 1000 + i, request.condition, mode, folder
                )
                client.wait_until_recorded(record.folder)
                _require_all_running(system)
                write_record(record)
                records.append(record)
                console.print(f"  {record.trial}  {record.outcome:8s} {record.elapsed:5.1f} s  {record.error}")
    return records


def _require_all_running(system: System) -> None:
    """Raises KeypointError with the last words of a node that ended."""
    for name, process in system.processes().items():
        if not process.running:
            words = system.log(name).read_text(errors="replace").strip().splitlines()[-8:]
            raise KeypointError(f"the node '{name}' ended ({process.state}):\n  " + "\n  ".join(words))


def show(request: DemoRequest, mode: str, folder: Path, records: list[TrialRecord], console: Console) -> list[Trial]:
    """Prints the table and draws picture and video of one mode."""
    trials = load_trials(records)
    title = f"{request.task}   {mode.replace('_', ' ')}   {request.condition}"
    console.print(console_table(trials, title))
    for path in write_pictures(folder, title, trials):
        console.print(f"  {path}")
    return trials


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Runs trials in simulation through the real graph.")
    parser.add_argument("--task", default="clock_button")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--condition", default="light", help="rp, rb, ro, light, or names joined by +")
    parser.add_argument("--trials", type=int, default=10, help="per mode")
    parser.add_argument("--seed", type=int, default=0, help="chooses the scenes")
    parser.add_argument("--modes", default=",".join(MODES), help="comma-separated (default: %(default)s)")
    add_folder_options(parser)
    args = parser.parse_args()
    folders = args.textures_dir, args.objects_dir
    request = DemoRequest(args.task, args.robot, args.condition, args.trials, args.seed, *folders)
    console = make_console()
    modes = args.modes.split(",")
    clean_shared_memory()
    trials: list[Trial] = []
    try:
        for mode in modes:
            SystemOptions(mode=mode)  # an unknown mode is told before anything starts
        run = new_run_folder("demo")
        for mode in modes:
            console.rule(f"{args.trials} trials, {mode.replace('_', ' ')}", align="left")
            records = run_mode(request, mode, run / mode, console)
            trials += show(request, mode, run / mode, records, console)
    except KeypointError as error:
        sys.exit(f"demo: {error}")
    known = {"seed": args.seed, "task": args.task, "robot": args.robot, "condition": args.condition}
    known |= {"method": _method(request), "mode": ",".join(modes)}
    summarise(run, trials, **known, by_mode=_by_mode(trials, modes))
    console.print(f"  {run}/summary.json")


def _method(request: DemoRequest) -> str:
    """The last part of the checkpoint's name, `<task>/<method>`."""
    graph = build_graph("sim_robot", SystemOptions(robot=request.robot, task=request.task))
    policy = next(spec for spec in graph if spec.name == "policy")
    return Path(str(policy.parameters["checkpoint"])).name


def _by_mode(trials: list[Trial], modes: list[str]) -> dict[str, dict[str, Any]]:
    """Mode -> trials, outcome -> count, and what its latency was."""
    table = {}
    for mode in modes:
        own = [trial for trial in trials if trial.record.mode == mode]
        outcomes = [trial.record.outcome for trial in own]
        latencies = merge(trial.latencies for trial in own)
        table[mode] = {
            "trials": len(own),
            **{name: outcomes.count(name) for name in OUTCOMES if name in outcomes},
            "latency_ms": latencies.table(),
            "overhead_ms": latencies.overhead_ms(),
        }
    return table


if __name__ == "__main__":
    main()

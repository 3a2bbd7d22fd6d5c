"""Independent jobs on this machine's cores, or on a Ray cluster; results come in the order of the jobs."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import torch

from keypoint_core.errors import MissingDependencyError

J, R = TypeVar("J"), TypeVar("R")  # a job and its result
LOCAL = "local"


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        processes: how many; 1 without Ray runs everything in this one.
        ray: address of a Ray cluster ("auto": that of this machine; "local": one for this run alone); empty for none.
            Every machine of it needs the same checkout with its environment.
    """

    processes: int = 2
    ray: str = ""


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """--workers and --ray."""
    parser.add_argument("--workers", type=int, default=Workers.processes, help="processes")
    parser.add_argument(
        "--ray", default="", metavar="ADDRESS", help="of a Ray cluster that runs them; auto, local, or host:port"
    )


def quiet_threads() -> None:
    """One thread per process: results and times then do not depend on how many processors there are."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def in_order(work: Callable[[J], R], jobs: Iterable[J], workers: Workers) -> Iterator[R]:
    """Yields the results of all jobs, in their order.

    Args:
        work: does one job; a function of a module, as other processes call it.
        jobs: to do.
        workers: who does it.

    Raises:
        MissingDependencyError: Ray is asked for and not installed.
        ConnectionError: no Ray cluster answers at that address.
    """
    if workers.processes <= 1 and not workers.ray:
        quiet_threads()
        yield from map(work, jobs)
        return
    with _ray_pool(workers) if workers.ray else _pool(workers) as pool:
        yield from pool.imap(work, jobs)


def _pool(workers: Workers) -> Any:
    return multiprocessing.get_context("spawn").Pool(workers.processes, quiet_threads)


def _ray_pool(workers: Workers) -> Any:
    """Ray's drop-in for multiprocessing's pool; nothing is reported to Ray's makers, and no dashboard is opened."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.util.multiprocessing import Pool
    except ModuleNotFoundError as error:
        raise MissingDependencyError("--ray needs Ray (Apache-2.0): pip install -r requirements-dev.txt") from error
    if not ray.is_initialized():
        alone: dict[str, Any] = {
            "num_cpus": workers.processes,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }
        ray.init(address=workers.ray, log_to_driver=False, **(alone if workers.ray == LOCAL else {}))
    return Pool(workers.processes, quiet_threads)

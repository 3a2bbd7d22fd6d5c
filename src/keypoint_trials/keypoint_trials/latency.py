"""Latency of the graph from StageTiming messages, matched by the exposure they belong to.

Times are of the system clock of one machine, so they compare across processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from keypoint_core.statistics import percentiles_ms
from keypoint_core.types import SECOND
from keypoint_trials.reader import Timing

STAGES = ("camera", "tracker", "policy", "arm")  # the way of a frame, as StageTiming.msg names it


@dataclass(frozen=True)
class Latencies:
    """Durations [s] of every frame that was seen at both ends of them.

    Attributes:
        compute: stage -> time spent computing.
        transport: "camera to tracker", ... -> from published to received.
        capture_to_applied: from the exposure to the first command that derives from it.
    """

    compute: dict[str, list[float]] = field(default_factory=dict)
    transport: dict[str, list[float]] = field(default_factory=dict)
    capture_to_applied: list[float] = field(default_factory=list)

    def table(self) -> dict[str, dict[str, float]]:
        """p50, p95 and p99 [ms] of every stage and transport and of the whole way, as summaries state them."""
        rows = {**self.compute, **self.transport, "capture_to_applied": self.capture_to_applied}
        return {name: percentiles_ms(durations) for name, durations in rows.items() if durations}

    def overhead_ms(self) -> float | None:
        """p50 of the whole way minus the sum of the stages' compute p50 [ms]; None where a stage was not seen."""
        table = self.table()
        if any(name not in table for name in (*STAGES, "capture_to_applied")):
            return None
        return round(table["capture_to_applied"]["p50"] - sum(table[stage]["p50"] for stage in STAGES), 3)


def measure(timings: Iterable[Timing]) -> Latencies:
    """Measures one bag. Where a stage worked on a frame twice, the first time counts."""
    frames: dict[int, dict[str, Timing]] = {}
    for timing in timings:
        frames.setdefault(timing.stamp, {}).setdefault(timing.stage, timing)
    latencies = Latencies()
    for stages in frames.values():
        _add_frame(latencies, stages)
    return latencies


def merge(several: Iterable[Latencies]) -> Latencies:
    """Puts the frames of several bags together."""
    merged = Latencies()
    for latencies in several:
        for name, durations in latencies.compute.items():
            merged.compute.setdefault(name, []).extend(durations)
        for name, durations in latencies.transport.items():
            merged.transport.setdefault(name, []).extend(durations)
        merged.capture_to_applied.extend(latencies.capture_to_applied)
    return merged


def _add_frame(latencies: Latencies, stages: dict[str, Timing]) -> None:
    for name in STAGES:
        if name in stages:
            latencies.compute.setdefault(name, []).append(stages[name].compute)
    for before, after in zip(STAGES, STAGES[1:], strict=False):
        if before in stages and after in stages:
            waited = (stages[after].received - stages[before].finished) / SECOND
            latencies.transport.setdefault(f"{before} to {after}", []).append(waited)
    if STAGES[0] in stages and STAGES[-1] in stages:
        latencies.capture_to_applied.append((stages[STAGES[-1]].finished - stages[STAGES[0]].received) / SECOND)

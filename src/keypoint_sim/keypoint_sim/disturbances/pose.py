"""Poses (the paper's RP) are drawn by the task itself, for every condition; this only gives them their name."""

from __future__ import annotations

from keypoint_sim.disturbances.base import Scenario, Surroundings


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Changes nothing more."""
    return scenario

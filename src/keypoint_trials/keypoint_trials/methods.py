"""The methods that are compared: which checkpoint each deploys, and what it sees through."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import InputError
from keypoint_core.protocols import Correspondence, Tracker
from keypoint_core.tracking import TRACKERS
from keypoint_sim.world import World
from keypoint_trials.controls import ExactCorrespondence, ExactTracker, FrozenTracker, Truth

DEPLOYED, FROZEN, EXACT, PICTURE = "deployed", "frozen", "exact", "picture"


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: as commands take it.
        title: as tables show it.
        checkpoint: name below `models/<task>`.
        sight: DEPLOYED: correspondence and tracker; FROZEN: correspondence alone, once; EXACT: the simulation's truth;
            PICTURE: the picture itself, without keypoints.
    """

    name: str
    title: str
    checkpoint: str
    sight: str = DEPLOYED


METHODS = (
    Method("atk", "ATK", "atk"),
    Method("full_set", "FullSet", "full_set"),
    Method("random_select", "RandomSelect", "random_select"),
    Method("heuristic", "points spread on the object", "heuristic"),
    Method("rgb", "RGB", "rgb", PICTURE),
    Method("depth", "Depth", "depth", PICTURE),
    Method("point_cloud", "Pointcloud", "point_cloud", PICTURE),
    Method("frozen_first_frame", "ATK, located once, not tracked", "atk", FROZEN),
    Method("exact_tracks", "ATK, exact tracks (privileged)", "atk", EXACT),
)


def method_named(name: str) -> Method:
    """The method of that name; any other name is that of a checkpoint."""
    return next((method for method in METHODS if method.name == name), Method(name, name, name))


def make_perception(
    sight: str, correspondence: str, tracker: str, world: World, reference: Reference
) -> tuple[Correspondence, Tracker]:
    """What a method sees through.

    Args:
        sight: of the method, not PICTURE.
        correspondence, tracker: back ends.
        world: that is looked at; what is deployed is not told of it.
        reference: with the keypoints.
    """
    if sight == EXACT:
        truth = Truth(world, reference)
        return ExactCorrespondence(truth), ExactTracker(truth)
    locator = CORRESPONDENCES.create(correspondence, reference)
    if sight == FROZEN:
        return locator, FrozenTracker()
    if sight != DEPLOYED:
        raise InputError(f"sight is {DEPLOYED}, {FROZEN} or {EXACT}, got '{sight}'")
    return locator, TRACKERS.create(tracker)

"""Which points of a task's objects are followed: well-textured corners of its reference view, some on every part."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import InputError
from keypoint_core.types import Float32
from keypoint_sim.world import World

POINTS = 32
LEAST = 4  # fewer are no test of anything
_GROWTH = np.ones((7, 7), np.uint8)  # undoes the border that spread_corners keeps free; for parts thinner than that


def pick_points(world: World, count: int = POINTS) -> Reference:
    """The simulation's reference view with corners marked on it.

    Half of the corners are shared out evenly among the task's regions, as far as these have any, so that each part that
    moves by itself carries some; the rest spreads over all regions.

    Args:
        world: of the task; its present scene does not matter.
        count: wanted; the reference has fewer when the objects have no more corners.

    Raises:
        InputError: the objects have fewer than four corners.
    """
    frame = world.reference().frame
    masks = region_masks(world)
    taken = np.empty((0, 2), np.float32)
    for mask in masks.values():
        share = count // (2 * len(masks))
        taken = np.concatenate([taken, _corners(frame.color, _without(mask, taken), share)])
    everything = np.any(list(masks.values()), axis=0)
    taken = np.concatenate([taken, _corners(frame.color, _without(everything, taken), count - len(taken))])
    if len(taken) < LEAST:
        raise InputError(f"task '{world.task.name}' has {len(taken)} corners in its reference view, needed: {LEAST}")
    return Reference.of(frame, taken)


def region_masks(world: World) -> dict[str, NDArray[np.bool_]]:
    """Name of a region of the task's objects -> [H, W] bool, where it is seen in the reference view."""
    height, width = world.camera.intrinsics.height, world.camera.intrinsics.width
    v, u = np.mgrid[0:height, 0:width]
    bodies = np.array(world.attach(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)).bodies)
    return {name: np.isin(bodies, members).reshape(height, width) for name, members in world.task.regions.items()}


def _without(mask: NDArray[np.bool_], pixels: Float32) -> NDArray[np.bool_]:
    """The mask with holes at pixels [N, 2]; spread_corners keeps off a hole as off any other edge."""
    rest = mask.copy()
    u, v = np.round(pixels).astype(int).T
    rest[v, u] = False
    return rest


def _corners(image: NDArray[np.uint8], mask: NDArray[np.bool_], count: int) -> Float32:
    """Up to `count` corners [N, 2] of a region; a thin one may use its edges too."""
    found = _most(image, mask, count)
    if len(found) < count:
        grown = _most(image, cv2.dilate(mask.astype(np.uint8), _GROWTH).astype(bool), count)
        u, v = np.round(grown).astype(int).T
        found = max(found, grown[mask[v, u]], key=len)
    return found


def _most(image: NDArray[np.uint8], mask: NDArray[np.bool_], count: int) -> Float32:
    """As many corners [N, 2] as the region has, at most `count`."""
    for number in range(count, 0, -1):
        try:
            return spread_corners(image, mask, number)
        except InputError:
            continue
    return np.empty((0, 2), np.float32)

"""Surface points for an environment's observation, chosen on the reference view by rays, without rendering."""

from __future__ import annotations

import numpy as np

from keypoint_core.errors import InputError
from keypoint_core.types import Float64
from keypoint_sim.world import World

STRIDE = 3  # of the grid of candidates [px]


def spread_keypoints(world: World, count: int) -> Float64:
    """Pixels [count, 2] of the reference view, spread over the visible regions of the task's objects.

    Each region gets the same number, as far as it is large enough, so that a small part (a button, a knob) is not missed.

    Raises:
        InputError: the regions show fewer candidates than that.
    """
    regions = visible_regions(world)
    room = sum(len(pixels) for pixels in regions)
    if not 0 < count <= room:
        raise InputError(f"keypoints: 1..{room} fit on the reference view of '{world.task.name}', got {count}")
    chosen: list[Float64] = []
    for done, pixels in enumerate(sorted(regions, key=len)):
        missing = count - sum(map(len, chosen))
        chosen.append(_farthest_first(pixels, min(len(pixels), missing // (len(regions) - done))))
    return np.vstack(chosen)


def visible_regions(world: World) -> list[Float64]:
    """Pixels [M, 2] of a grid that show each region of the task; regions out of sight are left out."""
    k = world.camera.intrinsics
    v, u = np.mgrid[STRIDE // 2 : k.height : STRIDE, STRIDE // 2 : k.width : STRIDE]
    pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
    bodies = np.array(world.attach(pixels).bodies)
    regions, taken = [], np.zeros(len(pixels), dtype=bool)
    for names in world.task.regions.values():
        here = np.isin(bodies, names) & ~taken
        taken |= here
        regions.append(pixels[here])
    return [region for region in regions if len(region)]


def _farthest_first(pixels: Float64, count: int) -> Float64:
    """The pixel nearest to the middle, then again and again the one farthest from all chosen."""
    index = int(np.argmin(np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)))
    chosen, distance = [], np.full(len(pixels), np.inf)
    for _ in range(count):
        chosen.append(index)
        distance = np.minimum(distance, np.linalg.norm(pixels - pixels[index], axis=1))
        index = int(np.argmax(distance))
    return pixels[chosen]

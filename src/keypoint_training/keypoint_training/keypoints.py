"""Where the keypoints go: texture on the task's object, chosen on the reference view."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.types import Float32
from keypoint_sim.truth import ReferenceView
from keypoint_sim.world import World


def choose_keypoints(world: World, reference: ReferenceView, count: int) -> Float32:
    """Pixels [count, 2] on the task's largest body in the reference view.

    One body only, as the correspondence takes the keypoints for one rigid object.
    """
    return spread_corners(reference.frame.color, object_mask(world), count)


def object_mask(world: World) -> NDArray[np.bool_]:
    """[H, W] where the reference view shows the task's largest body. Privileged: asks the simulation."""
    k = world.camera.intrinsics
    v, u = np.mgrid[0 : k.height, 0 : k.width]
    pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
    bodies = np.array(world.attach(pixels).bodies).reshape(k.height, k.width)
    sizes = Counter({name: int((bodies == name).sum()) for name in world.task.bodies})
    return np.asarray(bodies == sizes.most_common(1)[0][0])

"""What the hybrid tracker remembers of its keypoints."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking.consensus import Bodies, Cloud
from keypoint_core.tracking.rigid_motion import patch_warps
from keypoint_core.tracking.surfaces import Surfaces
from keypoint_core.tracking.views import Views
from keypoint_core.types import Float32, Float64, KeypointStatus


@dataclass
class HybridTracks:
    """N tracks; the arrays are updated in place.

    Attributes:
        ids: [N] int32.
        pixels: [N, 2] float32, where they are believed to be.
        place: [N, 2] float32, where flow goes on from.
        followed: [N] bool, whether it does: also for those that look right where they should not be, which are not
            VISIBLE until others agree with them.
        status: [N] uint8, of `KeypointStatus`.
        confidence: [N] float32 in 0..1.
        seen: [N] int64, stamp of the frame they were last seen in [ns].
        own: [N] bool, keypoints; the others are companions.
        fit: [N] bool, whether the first patch can be found by itself.
        points, tangents, sure: of `Surfaces`, in the frame they were added in.
        denied: [N] int32, how many frames running depth spoke against what was seen of them.
        group, body, part: of `Cloud`.
        features: [N, D] what the redetector remembers.
        views: N of them.
    """

    ids: NDArray[np.int32]
    pixels: Float32
    place: Float32
    followed: NDArray[np.bool_]
    status: NDArray[np.uint8]
    confidence: Float32
    seen: NDArray[np.int64]
    own: NDArray[np.bool_]
    fit: NDArray[np.bool_]
    points: Float64
    tangents: Float64
    sure: NDArray[np.bool_]
    denied: NDArray[np.int32]
    group: NDArray[np.int32]
    body: NDArray[np.int32]
    part: NDArray[np.int32]
    features: Float32
    views: Views

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """[N] bool."""
        return np.equal(self.status, KeypointStatus.VISIBLE)

    def warps(self, bodies: Bodies, focal: float) -> Float64:
        """[N, 2, 2] how the surroundings are stretched in the image since they were added."""
        warps = np.empty((len(self), 2, 2))
        for body in bodies:
            on = self.body == body
            warps[on] = patch_warps(bodies.motion(body), self.points[on], self.tangents[on], focal)
        return warps

    @property
    def cloud(self) -> Cloud:
        """For the consensus, which may change the bodies."""
        return Cloud(self.points, self.group, self.body, self.part)

    @classmethod
    def begin(
        cls,
        ids: NDArray[np.int32],
        pixels: Float32,
        own: NDArray[np.bool_],
        surfaces: Surfaces,
        features: Float32,
        views: Views,
        fit: NDArray[np.bool_],
        stamp: int,
        group: int,
        body: int,
        part: NDArray[np.int32],
    ) -> HybridTracks:
        """New tracks on one body; those whose patch cannot be found by itself are unsure from the beginning."""
        n = len(ids)
        return cls(
            ids=ids,
            pixels=pixels.copy(),
            place=pixels.copy(),
            followed=fit.copy(),
            status=np.where(fit, KeypointStatus.VISIBLE, KeypointStatus.OCCLUDED).astype(np.uint8),
            confidence=np.where(fit, 1.0, 0.0).astype(np.float32),
            seen=np.full(n, stamp, dtype=np.int64),
            own=own,
            fit=fit,
            points=surfaces.points,
            tangents=surfaces.tangents,
            sure=surfaces.sure,
            denied=np.zeros(n, dtype=np.int32),
            group=np.full(n, group, dtype=np.int32),
            body=np.full(n, body, dtype=np.int32),
            part=part,
            features=features,
            views=views,
        )

    def joined(self, other: HybridTracks) -> HybridTracks:
        """These, then the others."""
        names = [field.name for field in fields(self) if field.name != "views"]
        arrays = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return HybridTracks(**arrays, views=self.views.joined(other.views))

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> HybridTracks:
        """Copies of those at an index or mask."""
        names = [field.name for field in fields(self) if field.name != "views"]
        return HybridTracks(**{name: getattr(self, name)[index] for name in names}, views=self.views.take(index))

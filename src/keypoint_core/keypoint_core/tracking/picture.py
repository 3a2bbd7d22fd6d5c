"""A frame as the hybrid tracker looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from keypoint_core.geometry import camera
from keypoint_core.geometry.lifting import depth_at
from keypoint_core.tracking.frame_check import checked_gray
from keypoint_core.tracking.parts import Parts
from keypoint_core.tracking.rigid_motion import Sightings
from keypoint_core.tracking.tracks import inside_image
from keypoint_core.types import Float32, Float64, Frame


@dataclass(frozen=True)
class Picture:
    """A frame, its gray levels and its camera.

    Attributes:
        frame: see there.
        bytes: [H, W] uint8, gray; for flow.
    """

    frame: Frame
    bytes: NDArray[np.uint8]

    @classmethod
    def of(cls, frame: Frame) -> Picture:
        """Raises TrackingError for a frame of one colour."""
        return cls(frame, checked_gray(frame))

    @cached_property
    def gray(self) -> Float32:
        """[H, W]; for templates."""
        return self.bytes.astype(np.float32)

    @cached_property
    def parts(self) -> Parts:
        """Which pixels are on one surface."""
        return Parts.of(self.frame.depth, self.bytes.shape)

    @property
    def focal(self) -> float:
        """Length [px]."""
        return (self.frame.intrinsics.fx + self.frame.intrinsics.fy) / 2

    def rays(self, pixels: Float32) -> Float64:
        """[N, 2] (x / z, y / z) that pixels [N, 2] are seen along."""
        return camera.rays(pixels, self.frame.intrinsics)[:, :2]

    def sightings(self, pixels: Float32, sure: NDArray[np.bool_]) -> Sightings:
        """Rays at pixels [N, 2], and depths for those points [N] whose first depth is sure."""
        depth = np.full(len(pixels), np.nan)
        if self.frame.depth is not None:
            depth[sure] = depth_at(self.frame.depth, pixels[sure])
        return Sightings(self.rays(pixels), depth)

    def project(self, points: Float64) -> Float32:
        """[N, 2] pixels of points [N, 3]; far outside the image for those behind the camera."""
        return np.nan_to_num(camera.project(points, self.frame.intrinsics), nan=-1e4).astype(np.float32)

    def holds(self, pixels: Float32) -> NDArray[np.bool_]:
        """[N] which pixels [N, 2] lie inside."""
        return inside_image(pixels, self.bytes.shape)

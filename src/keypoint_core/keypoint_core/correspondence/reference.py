"""The reference: one view of the task's object with the keypoints marked on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Frame, Intrinsics


@dataclass(frozen=True)
class Reference:
    """One RGB-D view with N keypoints.

    Attributes:
        color: [H, W, 3] uint8, RGB.
        depth: [H, W] float32 [m], registered to colour, NaN where invalid; None without depth.
        intrinsics: of the colour camera.
        ids: [N] int32, one per keypoint, no two alike.
        pixels: [N, 2] float32 (u, v), inside the image.
    """

    color: NDArray[np.uint8]
    depth: Float32 | None
    intrinsics: Intrinsics
    ids: NDArray[np.int32]
    pixels: Float32

    @classmethod
    def of(cls, frame: Frame, pixels: Float32) -> Reference:
        """A frame with keypoints [N, 2] on it, whose ids are 0 .. N - 1."""
        ids = np.arange(len(pixels), dtype=np.int32)
        return cls(frame.color, frame.depth, frame.intrinsics, ids, pixels)

    def __post_init__(self) -> None:
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.color.shape != (*size, 3) or self.color.dtype != np.uint8:
            raise InputError(f"reference colour must be {(*size, 3)} uint8, got {self.color.shape} {self.color.dtype}")
        if self.depth is not None and (self.depth.shape != size or self.depth.dtype != np.float32):
            raise InputError(f"reference depth must be {size} float32, got {self.depth.shape} {self.depth.dtype}")
        n = len(self.ids)
        if self.pixels.shape != (n, 2) or len(np.unique(self.ids)) != n:
            raise InputError(f"a reference needs one pixel per distinct id: {n} ids, pixels {self.pixels.shape}")
        limit = np.array([size[1] - 1, size[0] - 1])
        if not ((self.pixels >= 0) & (self.pixels <= limit)).all():  # false for NaN too
            raise InputError(f"reference keypoints must lie inside the {size[1]}x{size[0]} image")

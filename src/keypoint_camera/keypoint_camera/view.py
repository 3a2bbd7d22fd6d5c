"""The part of a camera's image that the stack sees: a region, seen through a pinhole.

Policies and keypoints assume a pinhole camera. Rectification samples the image where the ideal pinhole of the same fx,
fy, cx, cy would have looked: colour between pixels, depth at the nearest pixel, since depths of two surfaces must not
mix. Depth is z along the optical axis, so the values stay. What the lens did not see is black, its depth NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_camera.parameters import CameraParameters
from keypoint_core.geometry import camera
from keypoint_core.types import Frame, Intrinsics


@dataclass(frozen=True)
class Region:
    """A rectangle of the image: its top-left pixel and its size [px]."""

    x: int
    y: int
    width: int
    height: int


class View:
    """Cuts a region out of images and takes out the lens distortion.

    Applying a view twice is the same as once: an image that has the region's size counts as the region.

    Args:
        region: None for the whole image.
        rectify: whether to take out the distortion.
    """

    def __init__(self, region: Region | None, rectify: bool) -> None:
        self._region, self._rectify = region, rectify
        self._source: Intrinsics | None = None
        self._maps: tuple[NDArray[Any], NDArray[Any]] | None = None

    @classmethod
    def from_parameters(cls, parameters: CameraParameters) -> View:
        """The view that the parameters describe."""
        p = parameters
        region = Region(p.roi_x, p.roi_y, p.roi_width, p.roi_height) if p.roi_width else None
        return cls(region, p.rectify)

    def intrinsics(self, source: Intrinsics) -> Intrinsics:
        """Intrinsics of the view on a camera; raises InputError where the region does not lie inside the image."""
        r = self._region
        if r is not None and not self._is_region(source):
            source = camera.crop(source, r.x, r.y, r.width, r.height)
        return replace(source, distortion=()) if self._rectify else source

    def apply(self, frame: Frame) -> Frame:
        """The frame as this view shows it."""
        target = self.intrinsics(frame.intrinsics)
        if target == frame.intrinsics:
            return frame
        depth = None if frame.depth is None else self.image(frame.depth, frame.intrinsics)
        return replace(frame, color=self.image(frame.color, frame.intrinsics), depth=depth, intrinsics=target)

    def image(self, image: NDArray[Any], source: Intrinsics) -> NDArray[Any]:
        """The view on one image.

        Args:
            image: [H, W, C] uint8, or depth [H, W] float32 [m].
            source: intrinsics of the image.
        """
        if self._rectify and source.distortion:
            return self._remap(image, source)
        r = self._region
        if r is None or self._is_region(source):
            return image
        self.intrinsics(source)  # a region that juts out raises
        return np.ascontiguousarray(image[r.y : r.y + r.height, r.x : r.x + r.width])

    def _is_region(self, source: Intrinsics) -> bool:
        r = self._region
        return r is not None and (source.width, source.height) == (r.width, r.height)

    def _remap(self, image: NDArray[Any], source: Intrinsics) -> NDArray[Any]:
        if self._maps is None or source != self._source:
            self._maps, self._source = _sampling(source, self.intrinsics(source)), source
        u, v = self._maps
        if image.ndim == 2:
            return cv2.remap(image, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan"))
        return cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _sampling(source: Intrinsics, target: Intrinsics) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where each pixel of the target looks in the source: u and v [h, w] float32."""
    v, u = np.mgrid[0 : target.height, 0 : target.width]
    directions = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1), target)
    pixels = camera.project(directions, source).astype(np.float32).reshape(target.height, target.width, 2)
    return np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])

"""Turns a perfect picture into what an RGB-D camera would have given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Intrinsics
from keypoint_sim.color import ColorNoise, ColorSensor
from keypoint_sim.depth import DepthNoise, DepthSensor
from keypoint_sim.noise_bank import Moment


@dataclass(frozen=True)
class Picture:
    """What a perfect camera sees.

    Attributes:
        color: [H, W, 3] uint8, RGB.
        depth: [H, W] float32 along the optical axis [m], of what is behind all glass.
        nearest: [H, W] float32 [m], of the first surface, glass or not; the same array as `depth` without glass.
    """

    color: NDArray[np.uint8]
    depth: Float32
    nearest: Float32


@dataclass(frozen=True)
class SensorNoise:
    """Failures of the RGB-D sensor: of colour and of depth; None switches all of one off."""

    color: ColorNoise | None = field(default_factory=ColorNoise)
    depth: DepthNoise | None = field(default_factory=DepthNoise)


class RgbdSensor:
    """Adds failures that are a function of the picture and of (seed, tick) alone.

    Args:
        intrinsics: of the camera.
        noise: the failures; None for a perfect sensor, whose depth stops at glass.
    """

    def __init__(self, intrinsics: Intrinsics, noise: SensorNoise | None) -> None:
        self._size = (intrinsics.width, intrinsics.height)
        self._color = ColorSensor(intrinsics, noise.color) if noise and noise.color else None
        self._depth = DepthSensor(intrinsics, noise.depth) if noise and noise.depth else None

    def expose(self, picture: Picture, seed: int, tick: int) -> tuple[NDArray[np.uint8], Float32]:
        """Colour [H, W, 3] and depth [H, W] as measured; invalid depth is NaN."""
        moment = Moment.of(seed, tick, self._size)
        color, depth = picture.color, picture.nearest
        if self._depth:
            depth = self._depth.expose(picture.color, picture.depth, picture.nearest, moment)
        if self._color:
            color = self._color.expose(color, moment)
        return color, depth

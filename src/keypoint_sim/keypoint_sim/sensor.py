"""Turns a perfect picture into what an RGB-D sensor would have given."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32
from keypoint_sim.rng import Stream, generator
from keypoint_sim.settings import SensorNoise

Image = NDArray[np.uint8]
MARGIN = 128  # the noise bank is larger than the image by this much, so that each frame can cut out its own part


class RgbdSensor:
    """Adds noise that is a function of (seed, tick) alone.

    Normal numbers are drawn once into a bank; each frame takes them from another offset, which is a hundred times
    cheaper than drawing a million anew.
    """

    def __init__(self, width: int, height: int, noise: SensorNoise) -> None:
        rng = generator(0, Stream.NOISE_BANK)
        size = (height + MARGIN, width + MARGIN)
        self._noise = noise
        self._color = np.round(rng.standard_normal((*size, 3), dtype=np.float32) * noise.color_sigma).astype(np.int16)
        self._depth = rng.standard_normal(size, dtype=np.float32)
        self._chance = rng.random(size, dtype=np.float32)

    def expose(self, color: Image, depth: Float32, seed: int, tick: int) -> tuple[Image, Float32]:
        """Colour [H, W, 3] and depth [H, W] as measured; invalid depth becomes NaN."""
        rng = generator(seed, Stream.SENSOR, tick)
        phase = generator(seed, Stream.SENSOR).uniform(0, 2 * np.pi, 2)
        seconds = tick * 0.01
        gain = 1.0 + self._noise.exposure_drift * (
            0.7 * np.sin(2 * np.pi * 0.11 * seconds + phase[0]) + 0.3 * np.sin(2 * np.pi * 0.53 * seconds + phase[1])
        )
        rows, columns = (
            slice(start, start + n) for start, n in zip(rng.integers(0, MARGIN, 2), depth.shape, strict=True)
        )
        return self._expose_color(color, gain, self._color[rows, columns]), self._expose_depth(
            depth, self._depth[rows, columns], self._chance[rows, columns]
        )

    def _expose_color(self, color: Image, gain: float, noise: NDArray[np.int16]) -> Image:
        blurred = cv2.GaussianBlur(color, (3, 3), 0.55)  # the lens's point spread
        bright = cv2.convertScaleAbs(blurred, alpha=gain)
        return cv2.add(bright, noise, dtype=cv2.CV_8U)

    def _expose_depth(self, depth: Float32, normal: Float32, chance: Float32) -> Float32:
        """Axial noise grows with z^2 (as for structured light and time of flight alike); jumps in depth lose pixels."""
        n = self._noise
        kernel = np.ones((3, 3), np.uint8)
        jump = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > n.edge_step
        measured = depth + n.depth_sigma * normal * depth * depth
        measured = np.round(measured * 1000.0) * np.float32(0.001)
        lost = (jump & (chance < n.edge_loss)) | (depth < n.minimum_depth) | (depth > n.maximum_depth)
        measured[lost] = np.nan
        return measured.astype(np.float32)

"""What a time-of-flight camera makes of a scene: noise, holes, the shadow between its two eyes, and glass.

The failures are those reported of the Azure Kinect: noise that grows with distance, lost and mixed pixels at edges,
lost pixels on dark and grazing surfaces (Tölgyessy et al., "Evaluation of the Azure Kinect and Its Comparison to
Kinect V1 and Kinect V2", Sensors 21(2):413, 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Intrinsics
from keypoint_sim.noise_bank import Moment, normal_bank, smooth_bank, uniform_bank

Mask = NDArray[np.bool_]
_NORMAL, _CHANCE, _PATCHES, _LATER_PATCHES = 1, 2, 3, 4  # numbers of the banks; colour has 0
_KERNEL = np.ones((3, 3), np.uint8)
_GAP = 0.001  # glass and what is behind it differ by more than this [m]
_PATCH = 9.0  # size of the patches that glass falls into [px]
_RESTLESS, _FLICKER = 0.04, 0.15  # of those patches: changes per second, and noise of a frame


@dataclass(frozen=True)
class DepthNoise:
    """Failures of the depth image, which is registered to colour; 0 switches one off.

    Attributes:
        axial: standard deviation at 1 m [m]; it grows with the square of the distance.
        step: what depth is rounded to [m].
        edge_angle: a surface that is seen at a larger angle to its normal counts as an edge [rad].
        edge_loss: part of the pixels at edges that get no depth.
        edge_mixed: part of the others there that get a depth between the two surfaces (flying pixels).
        grazing_angle: from here to edge_angle surfaces lose ever more pixels [rad]; edge_angle for none before it.
        dark_level: surfaces darker than this part of the image's mean brightness begin to lose pixels.
        dark_loss: part of the pixels of a black surface that get no depth.
        baseline: the depth camera stands this far left of the colour camera [m]; what it does not see has no depth.
        minimum, maximum: working range [m]; that of the mode "NFOV unbinned".
        glass_lost, glass_through: parts of transparent surfaces that get no depth, or that of what is behind them.
    """

    axial: float = 0.0015
    step: float = 0.001
    edge_angle: float = 1.407
    edge_loss: float = 0.6
    edge_mixed: float = 0.15
    grazing_angle: float = 1.25
    dark_level: float = 0.2
    dark_loss: float = 0.4
    baseline: float = 0.032
    minimum: float = 0.5
    maximum: float = 3.86
    glass_lost: float = 0.4
    glass_through: float = 0.4

    def __post_init__(self) -> None:
        if not 0 <= self.grazing_angle <= self.edge_angle < np.pi / 2:
            raise InputError(
                f"angles must be 0 <= grazing_angle <= edge_angle < pi/2, got {self.grazing_angle}, {self.edge_angle}"
            )
        names = ("edge_loss", "edge_mixed", "dark_loss", "glass_lost", "glass_through")
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be within 0..1, got {getattr(self, name)}")
        if self.glass_lost + self.glass_through > 1:
            raise InputError(
                f"glass_lost and glass_through must be at most 1 together, got {self.glass_lost}, {self.glass_through}"
            )


class DepthSensor:
    """Adds the failures of depth; a function of the picture and the moment."""

    def __init__(self, intrinsics: Intrinsics, noise: DepthNoise) -> None:
        size = (intrinsics.width, intrinsics.height)
        self._focal, self._noise = np.float32(intrinsics.fx), noise
        self._normal = normal_bank(_NORMAL, size)
        self._chance = uniform_bank(_CHANCE, size)
        self._patches = [smooth_bank(number, size, _PATCH) for number in (_PATCHES, _LATER_PATCHES)]
        self._columns = np.arange(intrinsics.width, dtype=np.float32)

    def expose(self, color: NDArray[np.uint8], depth: Float32, nearest: Float32, moment: Moment) -> Float32:
        """Depth [H, W] as measured [m]; NaN where none was.

        Args:
            color: [H, W, 3] RGB, exact; dark surfaces are known by it.
            depth: [H, W] of what is behind all glass [m].
            nearest: [H, W] of the first surface, glass or not [m]; the same array as `depth` where there is no glass.
            moment: chooses the random numbers.
        """
        noise, chance = self._noise, self._chance[moment.frame]
        true, lost = self._through_glass(depth, nearest, moment)
        low, high = cv2.erode(true, _KERNEL), cv2.dilate(true, _KERNEL)
        tangent = (high - low) * (self._focal / 2) / true
        lost |= chance < self._at_edges(tangent) + self._on_dark(color)
        if noise.baseline:
            lost |= self._hidden(depth)
        measured = true + np.float32(noise.axial) * self._normal[moment.frame] * true * true
        if noise.edge_mixed:
            self._mix(measured, low, high, (tangent > np.tan(noise.edge_angle)) & ~lost, chance)
        if noise.step:
            measured = np.rint(measured * np.float32(1 / noise.step)) * np.float32(noise.step)
        lost |= (measured < noise.minimum) | (measured > (noise.maximum or np.inf))
        return np.where(lost, np.float32(np.nan), measured)

    def _through_glass(self, depth: Float32, nearest: Float32, moment: Moment) -> tuple[Float32, Mask]:
        """Each patch of glass lets light through, loses it, or returns it; patches stay and change slowly."""
        lost = np.zeros(depth.shape, dtype=np.bool_)
        if nearest is depth:
            return depth, lost
        glass = depth - nearest > _GAP
        now, later = (patches[moment.scene][glass] for patches in self._patches)
        angle = 2 * np.pi * _RESTLESS * moment.seconds + moment.phases[-1]
        state = now * np.cos(angle) + later * np.sin(angle) + _FLICKER * self._normal[moment.frame][glass]
        state /= np.sqrt(1 + _FLICKER**2)
        through = state < _quantile(self._noise.glass_through)
        lost[glass] = ~through & (state < _quantile(self._noise.glass_through + self._noise.glass_lost))
        true = depth.copy()
        true[glass] = np.where(through, depth[glass], nearest[glass])
        return true, lost

    def _at_edges(self, tangent: Float32) -> Float32:
        """Probability [H, W] of loss where a surface is seen at an angle of this tangent."""
        noise = self._noise
        low, high = np.tan(noise.grazing_angle), np.tan(noise.edge_angle)
        part = np.clip((tangent - low) / (high - low), 0, 1) if high > low else tangent > high
        return np.float32(noise.edge_loss) * part

    def _on_dark(self, color: NDArray[np.uint8]) -> Float32:
        """Probability [H, W] of loss on dark surfaces. Against the mean, so that the room's light does not count."""
        gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
        level = max(self._noise.dark_level * float(gray.mean()), 1e-6)
        curve = self._noise.dark_loss * np.clip(1 - np.arange(256) / level, 0, 1)
        return cv2.LUT(gray, curve.astype(np.float32))

    def _hidden(self, depth: Float32) -> Mask:
        """What colour sees and the depth camera on its left does not: right of everything that stands out.

        Seen from there, a pixel lies further right by its disparity. Along a row that only grows, until a surface
        reaches over what comes after it. Glass does not hide.
        """
        shifted = self._columns + self._focal * np.float32(self._noise.baseline) / depth
        return np.maximum.accumulate(shifted, axis=1) > shifted

    def _mix(self, measured: Float32, low: Float32, high: Float32, edge: Mask, chance: Float32) -> None:
        """Flying pixels, in place. At edges `chance` lies above edge_loss, evenly: what is left of it is used again."""
        rest = (chance[edge] - self._noise.edge_loss) / max(1 - self._noise.edge_loss, 1e-6)
        part = rest / self._noise.edge_mixed
        near, far = low[edge], high[edge]
        measured[edge] = np.where(part < 1, near + (far - near) * part, measured[edge])


def _quantile(part: float) -> float:
    """The number that this part of all standard normal numbers lies below."""
    if part <= 0:
        return -np.inf
    return NormalDist().inv_cdf(part) if part < 1 else np.inf

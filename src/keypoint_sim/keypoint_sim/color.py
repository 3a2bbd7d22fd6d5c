"""What a colour camera makes of light: blur, shading, drifting gains, noise, and the stream's compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float64, Intrinsics
from keypoint_sim.noise_bank import Moment, normal_bank

Image = NDArray[np.uint8]
_GRAIN = 0  # number of the bank
_MOST_RAISED = 2.5  # automatic exposure goes no further
_LEVELS = np.arange(256)
_FINE = 64  # noise is kept in integers, this many to a standard deviation


@dataclass(frozen=True)
class ColorNoise:
    """Failures of the colour image; 0 switches one off.

    Attributes:
        blur: standard deviation of the lens's point spread [px].
        vignetting: part of the light that is lost 45 degrees off the axis; it grows with the square of the tangent.
        darkest: mean level below which the exposure is raised, as automatic exposure does; noise grows with it.
        exposure_drift: largest slow change of the gain, as a part of 1.
        white_balance_drift: largest slow change of red and of blue against green, as a part of 1.
        read_noise: standard deviation everywhere, in levels of 0..255.
        shot_noise: standard deviation of a white pixel, in levels; it grows with the root of the light.
        jpeg_quality: 1..100 of the stream's JPEG pictures; the Azure Kinect sends such ones (MJPG).
    """

    blur: float = 0.55
    vignetting: float = 0.06
    darkest: float = 60.0
    exposure_drift: float = 0.02
    white_balance_drift: float = 0.015
    read_noise: float = 1.5
    shot_noise: float = 2.0
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        if not 0 <= self.jpeg_quality <= 100:
            raise InputError(f"jpeg_quality must be within 1..100, or 0 for none, got {self.jpeg_quality}")
        if not 0 <= self.exposure_drift + self.white_balance_drift < 1:
            raise InputError(
                f"exposure_drift and white_balance_drift must stay below 1 together, got {self.exposure_drift} "
                f"and {self.white_balance_drift}"
            )


class ColorSensor:
    """Adds the failures of colour; a function of the picture and the moment."""

    def __init__(self, intrinsics: Intrinsics, noise: ColorNoise) -> None:
        self._noise = noise
        self._shading = _shading(intrinsics, noise.vignetting)
        grain = normal_bank(_GRAIN, (intrinsics.width, intrinsics.height), channels=3)
        self._grain = np.round(grain * _FINE).astype(np.int16)

    def expose(self, color: Image, moment: Moment) -> Image:
        """Colour [H, W, 3] RGB as measured, of the exact one."""
        noise = self._noise
        if noise.blur:
            color = cv2.GaussianBlur(color, (3, 3), noise.blur)
        if noise.vignetting:
            color = cv2.multiply(color, self._shading, scale=1 / 255)
        raised = self._raised(color)
        if raised > 1 or noise.exposure_drift or noise.white_balance_drift:
            color = cv2.LUT(color, _curve(raised * self._gains(moment)))
        if noise.read_noise or noise.shot_noise:
            grain = cv2.multiply(self._grain[moment.frame], cv2.LUT(color, self._spread(raised)), scale=1 / _FINE**2)
            color = cv2.add(color, grain, dtype=cv2.CV_8U)
        return compress(color, noise.jpeg_quality) if noise.jpeg_quality else color

    def _raised(self, color: Image) -> float:
        """What automatic exposure multiplies a dark picture by."""
        return float(np.clip(self._noise.darkest / max(1.0, float(color[::8, ::8].mean())), 1.0, _MOST_RAISED))

    def _spread(self, raised: float) -> NDArray[np.int16]:
        """[1, 256, 1]: the noise's standard deviation at each level, in parts of 1 / _FINE."""
        noise = self._noise
        spread = np.sqrt((raised * noise.read_noise) ** 2 + raised * noise.shot_noise**2 * _LEVELS / 255.0)
        return np.round(spread * _FINE).astype(np.int16)[None, :, None]

    def _gains(self, moment: Moment) -> Float64:
        """[3] of red, green and blue."""
        noise, seconds, phases = self._noise, moment.seconds, moment.phases
        exposure = 1.0 + noise.exposure_drift * wander(seconds, 0.11, phases[0:2])
        red = 1.0 + noise.white_balance_drift * wander(seconds, 0.05, phases[2:4])
        blue = 1.0 + noise.white_balance_drift * wander(seconds, 0.07, phases[4:6])
        return exposure * np.array([red, 1.0, blue])


def wander(seconds: float, frequency: float, phases: Float64) -> float:
    """A slow function of time within -1..1: a wave of this frequency [1/s] and a smaller, faster one."""
    slow = np.sin(2 * np.pi * frequency * seconds + phases[0])
    fast = np.sin(2 * np.pi * 4.8 * frequency * seconds + phases[1])
    return float(0.7 * slow + 0.3 * fast)


def compress(color: Image, quality: int) -> Image:
    """An RGB image [H, W, 3] after JPEG compression."""
    flipped = cv2.cvtColor(color, cv2.COLOR_RGB2BGR)
    half = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]  # as the Kinect's
    _, stream = cv2.imencode(".jpg", flipped, [cv2.IMWRITE_JPEG_QUALITY, quality, *half])
    return cv2.cvtColor(cv2.imdecode(stream, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _curve(gains: Float64) -> Image:
    """[1, 256, 3]: each channel's level after its gain."""
    return np.clip(np.round(_LEVELS[None, :, None] * gains), 0, 255).astype(np.uint8)


def _shading(intrinsics: Intrinsics, vignetting: float) -> Image:
    """[H, W, 3]: part of the light that arrives, 255 for all of it."""
    k = intrinsics
    x, y = (np.arange(k.width) - k.cx) / k.fx, (np.arange(k.height) - k.cy) / k.fy
    part = np.clip(1.0 - vignetting * (x[None] ** 2 + y[:, None] ** 2), 0.0, 1.0)
    return np.repeat(np.round(255 * part).astype(np.uint8)[..., None], 3, axis=2)

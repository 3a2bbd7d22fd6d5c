"""Other lights (the paper's Light): direction, intensity, colour temperature and number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keypoint_sim.disturbances.base import Scenario, Surroundings
from keypoint_sim.disturbances.look import Light, Vector, scaled
from keypoint_sim.rng import Stream

SHADOWS = 1  # lights that cast shadows: the strongest; each costs as much as the rest of the picture


def sample(scenario: Scenario, around: Surroundings) -> Scenario:
    """Draws the first light and what all give together, then how many share in it."""
    rng, settings = around.rng(Stream.LIGHT), around.settings
    toward = _direction(rng, settings.light_height)
    intensity = float(rng.uniform(*settings.light_intensity))
    kelvin = float(rng.uniform(*settings.light_temperature))
    count = int(rng.integers(settings.light_count[0], settings.light_count[1] + 1))
    shares = np.array([1.0, *sorted(rng.uniform(0.25, 0.8, count - 1), reverse=True)])
    shares /= shares.sum()
    lights = [Light(toward, intensity * float(shares[0]), color_of_temperature(kelvin))]
    for i in range(1, count):
        toward = _direction(rng, settings.light_height)
        color = color_of_temperature(kelvin * float(rng.uniform(0.85, 1.18)))
        lights.append(Light(toward, intensity * float(shares[i]), color, shadow=i < SHADOWS))
    ambient = scaled(color_of_temperature(kelvin), intensity)
    return replace(scenario, look=replace(scenario.look, lights=tuple(lights), ambient=ambient))


def _direction(rng: np.random.Generator, height: tuple[float, float]) -> Vector:
    """A direction to shine in, from a height over the horizon [deg]."""
    azimuth, angle = rng.uniform(-np.pi, np.pi), rng.uniform(*np.deg2rad(height))
    # From the camera's half of the room, or the face of the object would lie in its own shadow.
    x, y = -abs(np.cos(azimuth)) * np.cos(angle), np.sin(azimuth) * np.cos(angle)
    return float(x), float(y), float(-np.sin(angle))


def color_of_temperature(kelvin: float) -> Vector:
    """RGB of a black body seen by a camera that is balanced halfway to it, largest component 1.

    The chromaticity is the cubic fit of Kim et al. to the Planckian locus (US patent 7024034, 2002), 1667-25000 K.
    """
    t = 1e3 / kelvin
    if kelvin <= 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    xyz = np.array([x / y, 1.0, (1 - x - y) / y])
    to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    rgb = np.sqrt(np.clip(to_rgb @ xyz, 0.05, None))
    red, green, blue = (rgb / rgb.max()).tolist()
    return red, green, blue

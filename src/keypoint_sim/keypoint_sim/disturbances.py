"""Disturbances: named, seeded samplers that change how a scene looks. Conditions are made of them.

A condition is a preset or several names joined by "+", in any case. Presets are cumulative, as in the paper:
rp (random poses only), rb (and textures), light (and light).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from keypoint_core.errors import UnknownNameError
from keypoint_sim.rng import Stream, generator
from keypoint_sim.textures import TEXTURES, Texture

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """The room's light.

    Attributes:
        direction: that the key light shines in, world, unit length.
        intensity: of all lights, as a part of nominal.
        color: RGB that white appears as, 1 at most.
    """

    direction: Vector = (-0.42, 0.37, -0.83)
    intensity: float = 1.0
    color: Vector = (1.0, 0.97, 0.92)


@dataclass(frozen=True)
class Look:
    """All that a picture depends on beside the state: textures and light."""

    table: Texture = Texture("wood", 3, ((0.56, 0.43, 0.30), (0.80, 0.68, 0.53)))
    wall: Texture = Texture("plain", 5, ((0.69, 0.74, 0.77), (0.78, 0.81, 0.82)))
    light: Light = Light()


NOMINAL = Look()
REFERENCE = Look(
    table=Texture("speckle", 21, ((0.38, 0.40, 0.42), (0.62, 0.63, 0.63))),
    wall=Texture("plain", 8, ((0.80, 0.77, 0.69), (0.87, 0.84, 0.77))),
    light=Light(direction=(-0.50, -0.30, -0.81), intensity=0.92, color=(1.0, 0.99, 0.97)),
)

Sampler = Callable[[Look, int], Look]


def sample_textures(look: Look, seed: int) -> Look:
    """Another texture on table and wall (the paper's RB)."""
    return replace(look, table=_texture(seed, Stream.TABLE_TEXTURE), wall=_texture(seed, Stream.WALL_TEXTURE))


def _texture(seed: int, stream: Stream) -> Texture:
    rng = generator(seed, stream)
    kinds = list(TEXTURES)
    return Texture(kinds[int(rng.integers(len(kinds)))], int(rng.integers(2**31)))


def sample_light(look: Look, seed: int) -> Look:
    """Another direction, intensity (.3-1.7 of nominal) and colour temperature (2700-7500 K)."""
    rng = generator(seed, Stream.LIGHT)
    azimuth, height = rng.uniform(-np.pi, np.pi), rng.uniform(np.deg2rad(35), np.deg2rad(80))
    # From the camera's half of the room, or the face of the object would lie in its own shadow.
    toward = np.array([-abs(np.cos(azimuth)) * np.cos(height), np.sin(azimuth) * np.cos(height), -np.sin(height)])
    intensity = float(rng.uniform(0.3, 1.7))
    color = color_of_temperature(float(rng.uniform(2700, 7500)))
    return replace(look, light=Light((float(toward[0]), float(toward[1]), float(toward[2])), intensity, color))


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


def _no_change(look: Look, seed: int) -> Look:
    return look


DISTURBANCES: dict[str, Sampler] = {"pose": _no_change, "textures": sample_textures, "lights": sample_light}
PRESETS: dict[str, tuple[str, ...]] = {
    "rp": ("pose",),
    "rb": ("pose", "textures"),
    "light": ("pose", "textures", "lights"),
}


def parse_condition(condition: str) -> tuple[str, ...]:
    """The disturbances of a condition, each once, in order.

    Raises:
        UnknownNameError: a part is neither a preset nor a disturbance; the message lists the known ones.
    """
    names: list[str] = []
    for part in condition.lower().split("+"):
        part = part.strip()
        if part not in PRESETS and part not in DISTURBANCES:
            raise UnknownNameError("condition", part, [*PRESETS, *DISTURBANCES])
        names += [name for name in PRESETS.get(part, (part,)) if name not in names]
    return tuple(names)


def sample_look(condition: str, seed: int) -> Look:
    """How the scene of a seed looks under a condition."""
    look = NOMINAL
    for name in parse_condition(condition):
        look = DISTURBANCES[name](look, seed)
    return look

"""How a scene looks at one moment: textures and light, in plain values that a renderer can take as they are."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_sim.textures import Texture

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """One key light: parallel rays, as of a window or a lamp far away.

    Attributes:
        direction: that it shines in, world, unit length.
        intensity: as a part of the nominal key light's.
        color: RGB that white appears as, 1 at most.
        shadow: whether it casts shadows.
    """

    direction: Vector = (-0.42, 0.37, -0.83)
    intensity: float = 1.0
    color: Vector = (1.0, 0.97, 0.92)
    shadow: bool = True


@dataclass(frozen=True)
class Look:
    """All that a picture depends on beside the state and the camera.

    Attributes:
        table, wall: textures.
        lights: one to three key lights, the strongest first.
        ambient: RGB of the light that comes from everywhere, colour times intensity; that of a nominal scene is the
            colour of its key light.
    """

    table: Texture = Texture("wood", 3, ((0.56, 0.43, 0.30), (0.80, 0.68, 0.53)))
    wall: Texture = Texture("plain", 5, ((0.69, 0.74, 0.77), (0.78, 0.81, 0.82)))
    lights: tuple[Light, ...] = (Light(),)
    ambient: Vector = (1.0, 0.97, 0.92)


def scaled(color: Vector, factor: float) -> Vector:
    """An RGB colour times a factor."""
    red, green, blue = color
    return red * factor, green * factor, blue * factor


NOMINAL = Look()
REFERENCE = Look(
    table=Texture("speckle", 21, ((0.38, 0.40, 0.42), (0.62, 0.63, 0.63))),
    wall=Texture("plain", 8, ((0.80, 0.77, 0.69), (0.87, 0.84, 0.77))),
    lights=(Light(direction=(-0.50, -0.30, -0.81), intensity=0.92, color=(1.0, 0.99, 0.97)),),
    ambient=scaled((1.0, 0.99, 0.97), 0.92),
)

"""A hand with its forearm, that an invisible person holds into the picture. It touches nothing.

Its frame: origin in the middle of the palm, x along the fingers, z out of the back of the hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from keypoint_sim.disturbances.additions import Addition
from keypoint_sim.disturbances.shapes import UPRIGHT_TO_X, moved, turned
from keypoint_sim.disturbances.solid import Mesh, Skin, paint_mesh, visual_xml
from keypoint_sim.textures import Texture

BODY = "occluder"
PARKED = (0.0, 0.0, -3.0)  # under the table, out of sight [m]
LENGTH = 0.62  # from the middle of the palm to the end of the sleeve [m]

# Skin of darker and lighter people, RGB.
TONES = ((0.36, 0.22, 0.15), (0.52, 0.34, 0.23), (0.70, 0.48, 0.35), (0.84, 0.62, 0.49), (0.90, 0.72, 0.61))

# Knuckle and tip (x, y, z) and radius of each finger's two halves [m].
FINGERS = (
    ((0.042, 0.032), (0.076, 0.037), (0.100, 0.038), 0.0088),
    ((0.047, 0.011), (0.086, 0.013), (0.114, 0.013), 0.0092),
    ((0.045, -0.010), (0.083, -0.012), (0.109, -0.012), 0.0090),
    ((0.038, -0.030), (0.066, -0.035), (0.086, -0.037), 0.0078),
)
THUMB = ((-0.030, 0.034), (0.006, 0.066), (0.034, 0.074), 0.0105)


@dataclass(frozen=True)
class Hand(Addition):
    """The hand as a body that is moved by hand (mocap).

    Attributes:
        tone: index into `TONES`.
        sleeve: its cloth.
    """

    tone: int
    sleeve: Texture

    def mjcf(self) -> str:
        """One mocap body."""
        red, green, blue = TONES[self.tone]
        assets, geoms = visual_xml(BODY, self._meshes())
        return f"""
        <mujoco>
          <asset>
            <material name="{BODY}_skin" rgba="{red} {green} {blue} 1" specular="0.15" shininess="0.3"/>{assets}
          </asset>
          <worldbody>
            <body name="{BODY}" mocap="true" pos="{" ".join(map(str, PARKED))}">{_palm()}{_fingers()}{geoms}</body>
          </worldbody>
        </mujoco>"""

    def paint(self, model: mujoco.MjModel) -> None:
        """Draws the sleeve's cloth."""
        for i, mesh in enumerate(self._meshes()):
            paint_mesh(model, f"{BODY}_{i}", mesh)

    def _meshes(self) -> tuple[Mesh, ...]:
        """Wrist and sleeve; both run along -x."""
        skin = Skin(color=TONES[self.tone], specular=0.15)
        wrist = turned([(0.027, -0.17), (0.025, -0.075), (0.027, -0.045), (0.020, -0.025)], skin, 16)
        cuff = [(0.0, -LENGTH), (0.055, -LENGTH), (0.048, -0.30), (0.040, -0.165), (0.042, -0.150), (0.036, -0.148)]
        return tuple(
            moved(mesh, (0.0, 0.0, 0.0), UPRIGHT_TO_X) for mesh in (wrist, turned(cuff, Skin(self.sleeve), 20))
        )


def _palm() -> str:
    """A rounded box with the balls of hand and thumb."""
    parts = (
        ('type="box" size="0.036 0.036 0.010"', "0.004 0 0"),
        ('type="ellipsoid" size="0.050 0.044 0.0155"', "0.002 0 0"),
        ('type="ellipsoid" size="0.034 0.021 0.017"', "-0.016 0.026 -0.004"),
        ('type="ellipsoid" size="0.036 0.017 0.016"', "-0.014 -0.027 -0.003"),
        ('type="ellipsoid" size="0.030 0.028 0.018"', "-0.040 0 0"),
    )
    return "".join(f'<geom class="decor" {shape} pos="{at}" material="{BODY}_skin"/>' for shape, at in parts)


def _fingers() -> str:
    """Two capsules each, a little bent toward the palm."""
    geoms = ""
    for knuckle, joint, tip, radius in (*FINGERS, THUMB):
        points = ((*knuckle, 0.001), (*joint, -0.004), (*tip, -0.014))
        for i, thick in enumerate((radius, 0.9 * radius)):
            ends = " ".join(f"{value:g}" for value in np.concatenate(points[i : i + 2]))
            geoms += f'<geom class="decor" type="capsule" size="{thick:g}" fromto="{ends}" material="{BODY}_skin"/>'
    return geoms

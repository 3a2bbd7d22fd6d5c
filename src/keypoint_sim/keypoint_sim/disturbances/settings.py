"""What can be set about disturbances from outside, without touching code."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

from keypoint_core.errors import InputError
from keypoint_core.parameters import check_parameters, parameter


@dataclass(frozen=True)
class DisturbanceSettings:
    """Folders and ranges; pairs are (least, most). Also the parameters of the sim node."""

    textures_dir: str = parameter("", "folder of PNG or JPEG pictures for table and wall; empty for procedural ones")
    photo_share: float = parameter(0.5, "part of the textures that are pictures of textures_dir", minimum=0, maximum=1)
    objects_dir: str = parameter("", "folder of OBJ, STL or MJCF files for distractors; empty for the project's own")
    file_object_share: float = parameter(0.5, "part of the distractors that are of objects_dir", minimum=0, maximum=1)
    distractor_count: tuple[int, int] = parameter((3, 6), "distractors in a scene", minimum=0, maximum=12)
    light_intensity: tuple[float, float] = parameter(
        (0.3, 1.7), "all lights together, as a part of nominal", minimum=0.05, maximum=4.0
    )
    light_temperature: tuple[float, float] = parameter(
        (2700.0, 7500.0), "colour temperature", unit="K", minimum=1700.0, maximum=25000.0
    )
    light_height: tuple[float, float] = parameter(
        (35.0, 80.0), "angle of the lights over the horizon", unit="deg", minimum=10.0, maximum=90.0
    )
    light_count: tuple[int, int] = parameter((1, 3), "key lights", minimum=1, maximum=3)
    camera_distance: float = parameter(0.03, "how far the camera may be moved", unit="m", minimum=0.0, maximum=0.2)
    camera_angle: float = parameter(3.0, "how far the camera may be turned", unit="deg", minimum=0.0, maximum=20.0)
    occluder_start: tuple[float, float] = parameter(
        (0.4, 2.0), "when the hand begins to come in", unit="s", minimum=0.0, maximum=60.0
    )
    occluder_duration: tuple[float, float] = parameter(
        (1.0, 2.0), "how long the hand is in the view", unit="s", minimum=0.2, maximum=60.0
    )
    nudge_distance: tuple[float, float] = parameter(
        (0.02, 0.05), "how far the task object is pushed", unit="m", minimum=0.0, maximum=0.2
    )
    nudge_angle: float = parameter(20.0, "how far it is turned at most", unit="deg", minimum=0.0, maximum=90.0)
    nudge_when: tuple[float, float] = parameter(
        (0.35, 0.8), "part of the tool's way to it that is left", minimum=0.05, maximum=1.0
    )
    bump_distance: tuple[float, float] = parameter(
        (0.02, 0.03), "how far the camera is knocked during the trial", unit="m", minimum=0.0, maximum=0.2
    )
    bump_angle: tuple[float, float] = parameter(
        (2.0, 3.0), "how far it is turned by that", unit="deg", minimum=0.0, maximum=20.0
    )
    bump_when: tuple[float, float] = parameter(
        (0.35, 0.8), "part of the tool's way to the object that is left then", minimum=0.05, maximum=1.0
    )

    def __post_init__(self) -> None:
        """Raises InputError that names the setting and its range."""
        for item in fields(DisturbanceSettings):
            value = getattr(self, item.name)
            if isinstance(item.default, tuple) and (len(value) != 2 or value[0] > value[1]):
                raise InputError(f"setting '{item.name}' must be two numbers (least, most), got {tuple(value)}")
        check_parameters(self)


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Adds --textures-dir and --objects-dir to a command line."""
    parser.add_argument("--textures-dir", default="", metavar="FOLDER", help="PNG or JPEG pictures for table and wall")
    parser.add_argument("--objects-dir", default="", metavar="FOLDER", help="OBJ, STL or MJCF files for distractors")

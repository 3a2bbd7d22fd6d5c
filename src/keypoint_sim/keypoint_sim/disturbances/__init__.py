"""Disturbances: named, seeded samplers that change a scene. Conditions are made of them.

A condition is a preset or several names joined by "+", in any case. Presets are cumulative, as in the paper:
rp (poses), rb (and textures), ro (and distractors), light (and lights).
"""

from __future__ import annotations

from keypoint_core.errors import UnknownNameError
from keypoint_core.registry import Registry
from keypoint_sim.disturbances.base import Sampler, Scenario, Surroundings
from keypoint_sim.disturbances.files import find_objects
from keypoint_sim.disturbances.look import NOMINAL, REFERENCE, Light, Look
from keypoint_sim.disturbances.settings import DisturbanceSettings
from keypoint_sim.textures import find_photos

__all__ = ["DISTURBANCES", "NOMINAL", "PRESETS", "REFERENCE", "DisturbanceSettings", "Light", "Look", "Scenario"]
__all__ += ["Surroundings", "find_files", "parse_condition", "sample_scenario"]

# In the order in which they are drawn, whatever the order in a condition: later ones look at what earlier ones did.
ORDER = (
    "pose",
    "textures",
    "distractors",
    "lights",
    "moving_light",
    "flashing_light",
    "camera",
    "occluder",
    "nudge",
    "bump",
)
DISTURBANCES = Registry("disturbance", {name: f"keypoint_sim.disturbances.{name}:sample" for name in ORDER})
PRESETS: dict[str, tuple[str, ...]] = {
    "rp": ("pose",),
    "rb": ("pose", "textures"),
    "ro": ("pose", "textures", "distractors"),
    "light": ("pose", "textures", "distractors", "lights"),
}


def parse_condition(condition: str) -> tuple[str, ...]:
    """The disturbances of a condition, each once, in the order in which they are drawn.

    Raises:
        UnknownNameError: a part is neither a preset nor a disturbance; the message lists the known ones.
    """
    names: set[str] = set()
    for part in condition.lower().split("+"):
        part = part.strip()
        if part not in PRESETS and part not in ORDER:
            raise UnknownNameError("condition", part, [*PRESETS, *ORDER])
        names |= set(PRESETS.get(part, (part,)))
    return tuple(name for name in ORDER if name in names)


def sample_scenario(condition: str, around: Surroundings) -> Scenario:
    """What a condition changes about the scene of a seed."""
    scenario = Scenario()
    for name in parse_condition(condition):
        sampler: Sampler = DISTURBANCES.load(name)
        scenario = sampler(scenario, around)
    return scenario


def find_files(settings: DisturbanceSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pictures of textures_dir and the objects of objects_dir; none where no folder is given.

    Raises:
        InputError: a folder or a file in it cannot be used; the message names it and the reason.
    """
    photos = find_photos(settings.textures_dir) if settings.textures_dir else ()
    objects = find_objects(settings.objects_dir) if settings.objects_dir else ()
    return photos, objects

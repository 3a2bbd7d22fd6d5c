"""The settings of a run in its folder, for taking it up again."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from keypoint_core.errors import InputError
from keypoint_core.features.descriptor_network import DescriptorSettings
from keypoint_training.descriptors.settings import Augmentation, DescriptorTraining, LossSettings

SETTINGS = "settings.json"
_PARTS = {"network": DescriptorSettings, "augmentation": Augmentation, "loss": LossSettings}
T = TypeVar("T")


def save_settings(folder: Path, settings: DescriptorTraining) -> None:
    """Writes settings.json."""
    (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=2) + "\n")


def load_settings(folder: Path) -> DescriptorTraining:
    """Reads settings.json.

    Raises:
        InputError: the folder is no training run, or was written by another version.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise InputError(f"{folder} is no training run: it has no {SETTINGS}")
    data = json.loads(path.read_text())
    for name, kind in _PARTS.items():
        data[name] = _build(kind, data.get(name, {}), path)
    return _build(DescriptorTraining, data, path)


def _build(kind: type[T], data: dict[str, Any], path: Path) -> T:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(data) != names:
        raise InputError(
            f"{path}: {kind.__name__} needs {sorted(names)}, the file has {sorted(data)}; "
            "it was written by another version, start a new run"
        )
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})

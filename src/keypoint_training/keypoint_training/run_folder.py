"""The settings of a run in its folder, for taking it up again."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from keypoint_core.errors import InputError

SETTINGS = "settings.json"
T = TypeVar("T")


def save_settings(folder: Path, settings: Any) -> None:
    """Writes settings.json from a frozen dataclass of numbers, strings, tuples and further dataclasses."""
    (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=2) + "\n")


def load_settings(folder: Path, kind: type[T]) -> T:
    """Reads settings.json as the dataclass that it was written from.

    Raises:
        InputError: the folder is no training run, or was written by another version.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise InputError(f"{folder} is no training run: it has no {SETTINGS}")
    return _build(kind, json.loads(path.read_text()), path)


def _build(kind: type[T], data: dict[str, Any], path: Path) -> T:
    kinds = get_type_hints(kind)
    if set(data) != set(kinds):
        raise InputError(
            f"{path}: {kind.__name__} needs {sorted(kinds)}, the file has {sorted(data)}; "
            "it was written by another version, start a new run"
        )
    return kind(**{name: _value(kinds[name], value, path) for name, value in data.items()})


def _value(kind: Any, value: Any, path: Path) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _build(kind, value, path)
    return tuple(value) if isinstance(value, list) else value

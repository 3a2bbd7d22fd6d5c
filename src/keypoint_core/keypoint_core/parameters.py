"""Parameters of nodes and back ends as frozen dataclasses whose fields say what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from keypoint_core.errors import InputError

T = TypeVar("T")
_KEY = "parameter"


@dataclass(frozen=True)
class ParameterInfo:
    """Description, unit and range of one parameter; read-only ones are fixed once the node is configured."""

    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The description with its unit, for people."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


def parameter(default: Any, description: str, **info: Any) -> Any:
    """A dataclass field with a `ParameterInfo`; lists are given as tuples."""
    return field(default=default, metadata={_KEY: ParameterInfo(description, **info)})


def parameter_infos(cls: type) -> dict[str, ParameterInfo]:
    """Name -> info of every field made by `parameter`."""
    return {item.name: item.metadata[_KEY] for item in fields(cls) if _KEY in item.metadata}


def check_parameters(values: Any) -> None:
    """Raises InputError naming the first value outside its range or choices.

    Args:
        values: a dataclass instance with fields made by `parameter`.
    """
    for name, info in parameter_infos(type(values)).items():
        value = getattr(values, name)
        if info.choices and value not in info.choices:
            raise InputError(f"parameter '{name}': expected one of {', '.join(info.choices)}, got '{value}'")
        for number in value if isinstance(value, tuple) else (value,):
            reached = info.minimum is None or number >= info.minimum  # NaN reaches nothing
            if not (reached and (info.maximum is None or number <= info.maximum)):
                raise InputError(
                    f"parameter '{name}' ({info.text}): expected {info.minimum} .. {info.maximum}, got {value}"
                )


def read_parameters(cls: type[T], path: Path, node: str) -> T:
    """The parameters of one node from a ROS parameter file; what the file does not name keeps its default.

    Raises:
        InputError: the file names a parameter that the node does not have, or a value outside its range.
    """
    document = yaml.safe_load(path.read_text()) or {}
    given = (document.get(node) or {}).get("ros__parameters") or {}
    unknown = sorted(set(given) - set(parameter_infos(cls)))
    if unknown:
        raise InputError(
            f"{path}: {node} has no parameter {', '.join(unknown)}; known: {', '.join(parameter_infos(cls))}"
        )
    values = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
    check_parameters(values)
    return values

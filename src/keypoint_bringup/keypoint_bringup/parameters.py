"""ROS parameter files: read, merged, written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from keypoint_core.errors import InputError, UnknownNameError

Parameters = dict[str, Any]


def config_file(folder: Path, kind: str, name: str) -> Path:
    """`<folder>/<kind>s/<name>.yaml`.

    Raises:
        UnknownNameError: there is no such file; the message lists those there are.
    """
    path = folder / f"{kind}s" / f"{name}.yaml"
    if not path.is_file():
        raise UnknownNameError(kind, name, [file.stem for file in path.parent.glob("*.yaml")])
    return path


def read_parameters(path: Path) -> dict[str, Parameters]:
    """Node name -> parameters of one file in ROS's form (`node: ros__parameters: ...`); `/**` holds for all nodes.

    Raises:
        InputError: the file is missing or has another form.
    """
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read parameters from {path}: {error}") from error
    nodes = content.items() if isinstance(content, Mapping) else [("?", None)]
    for node, block in nodes:
        if not isinstance(block, Mapping) or set(block) != {"ros__parameters"}:
            raise InputError(f"{path}: expected '{node}: ros__parameters: ...', got {block!r}")
    return {str(node).lstrip("/"): dict(block["ros__parameters"] or {}) for node, block in content.items()}


def merge(layers: Iterable[Mapping[str, Parameters]], node: str) -> Parameters:
    """Parameters of one node; later layers win, and within a layer the node's own win over those for all nodes."""
    merged: Parameters = {}
    for layer in layers:
        merged |= layer.get("**", {}) | layer.get(node, {})
    return merged


def write_parameters(path: Path, parameters: Mapping[str, Any]) -> None:
    """Writes one node's parameters as a file for `--params-file`."""
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}, sort_keys=False))

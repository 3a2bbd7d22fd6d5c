"""Weights of public models: from a folder or the Hugging Face hub's cache, verified, never unpickled."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keypoint_core.errors import CheckpointError, MissingDependencyError

_CHUNK = 1 << 20


def require(module: str, install: str, licence: str) -> Any:
    """Imports an optional package.

    Raises:
        MissingDependencyError: it is not installed; the message says how to install it and its licence.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"the Python package '{module}' ({licence}) is not installed or cannot be imported ({error}); {install}"
        ) from error


def model_folder(
    model: str, revision: str | None, files: Mapping[str, str | None], licence: str, download: bool
) -> Path:
    """The folder with a model's files.

    Args:
        model: a folder, or an id on the hub.
        revision: commit, tag or branch on the hub.
        files: those needed, relative to the folder -> SHA-256 to verify, or None.
        licence: of the weights, for the message.
        download: whether the hub may be asked for what is not on this machine.

    Raises:
        MissingDependencyError: the weights are not on this machine.
        CheckpointError: a file is missing or has another SHA-256.
    """
    folder = Path(model) if Path(model).is_dir() else _from_hub(model, revision, list(files), licence, download)
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{folder} has no {name}; only safetensors are read, weights that unpickle are not")
        found = _sha256(path) if expected else None
        if found != expected:
            raise CheckpointError(f"{path} has SHA-256 {found}, expected {expected}; take the file that was verified")
    return folder


def _from_hub(model: str, revision: str | None, files: list[str], licence: str, download: bool) -> Path:
    hub = require("huggingface_hub", "pip install -r requirements-backends.txt", "Apache-2.0")
    try:
        return Path(
            hub.snapshot_download(model, revision=revision, allow_patterns=files, local_files_only=not download)
        )
    except (OSError, ValueError) as error:
        at = f" --revision {revision}" if revision else ""
        raise MissingDependencyError(
            f"the weights of {model} ({licence}) are not on this machine ({type(error).__name__}); run "
            f"'hf download {model}{at} {' '.join(files)}' where there is internet, or give a folder that holds them"
        ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()

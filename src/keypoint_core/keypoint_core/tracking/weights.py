"""Networks of others: where their code and weights come from, and how both are loaded without running foreign code."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # the error alone: torch raises it for what is more than tensors
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from keypoint_core.errors import CheckpointError, MissingDependencyError

FOLDER = "KEYPOINT_WEIGHTS"  # environment variable: where weights lie that are not given by path
_LOG = logging.getLogger(__name__)
_WRAPPERS = ("model", "state_dict")  # what upstreams put around a state dictionary
_PREFIXES = ("tapnext.", "module.")  # what their training frameworks put before its names


@dataclass(frozen=True)
class Upstream:
    """A tracker that others wrote.

    Attributes:
        tracker: its name in the registry.
        licence: of code and weights.
        install: command that brings the code.
        weights_url: where the weights are.
    """

    tracker: str
    licence: str
    install: str
    weights_url: str

    @property
    def weights_name(self) -> str:
        """The weights' file name."""
        return self.weights_url.rpartition("/")[2]


def import_upstream(upstream: Upstream, module: str) -> Any:
    """The upstream's module.

    Raises:
        MissingDependencyError: it is not installed or does not fit; with licence and command.
    """
    try:
        with torch.random.fork_rng():  # CoTracker seeds torch's generator when it is imported
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        problem = f"needs the Python package '{error.name}', which is not installed"
    except (ImportError, RuntimeError) as error:  # a torchvision for another torch raises RuntimeError
        problem = f"cannot import '{module}' ({error}); do its packages fit this torch {torch.__version__}?"
    raise MissingDependencyError(
        f"tracker '{upstream.tracker}' {problem}; install it: {upstream.install} (licence: {upstream.licence})"
    )


def find_weights(upstream: Upstream, weights: str | Path) -> Path:
    """The file with the weights.

    Args:
        upstream: of the tracker.
        weights: path to it; empty for the folder that $KEYPOINT_WEIGHTS names, where it is called as upstream calls it,
            or <tracker>.safetensors.

    Raises:
        MissingDependencyError: there is none.
    """
    if str(weights):
        if not Path(weights).is_file():
            raise MissingDependencyError(f"tracker '{upstream.tracker}': no weights at {weights}; {_advice(upstream)}")
        return Path(weights)
    folder = os.environ.get(FOLDER, "")
    names = (f"{upstream.tracker}.safetensors", upstream.weights_name)
    for path in (Path(folder) / name for name in names) if folder else ():
        if path.is_file():
            return path
    raise MissingDependencyError(f"tracker '{upstream.tracker}' has no weights; {_advice(upstream)}")


def _advice(upstream: Upstream) -> str:
    return (
        f"download {upstream.weights_url} (licence: {upstream.licence}) and give its path as `weights`, "
        f"or put it into a folder named by ${FOLDER}"
    )


def load_state(path: Path, sha256: str = "") -> dict[str, Tensor]:
    """Tensors by name; nothing in the file can execute code.

    Args:
        path: *.safetensors, or a file of torch.save that holds tensors and plain containers only.
        sha256: what the file must hash to; empty to have the hash logged instead.

    Raises:
        CheckpointError: the hash differs, or the file holds something else.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 and digest != sha256.lower():
        raise CheckpointError(f"{path}: expected SHA-256 {sha256}, got {digest}; download it again")
    if not sha256:
        _LOG.warning("%s is not pinned; to pin it give sha256=%s", path, digest)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path}: expected tensors only, as safetensors or of torch.save; {error}") from error
    return _unwrapped(content, path)


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, got {type(content).__name__}")
    state = {str(name): value for name, value in content.items()}
    for prefix in _PREFIXES:
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def load_network(
    build: Callable[[dict[str, Tensor]], nn.Module], upstream: Upstream, weights: str | Path, sha256: str
) -> nn.Module:
    """The network that `build` makes for the weights, filled with them.

    Raises:
        MissingDependencyError: code or weights are absent.
        CheckpointError: the weights are damaged or another network's.
    """
    path = find_weights(upstream, weights)
    state = load_state(path, sha256)
    network = build(state)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} does not hold weights of tracker '{upstream.tracker}' ({upstream.weights_url}); {error}"
        ) from error
    return network

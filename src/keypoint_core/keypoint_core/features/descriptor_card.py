"""The checkpoint of a descriptor network: a card and safetensors in one folder. Nothing in it can execute code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from keypoint_core.checkpoint import CARD, models_folder, sha256
from keypoint_core.errors import CheckpointError, InputError
from keypoint_core.features.descriptor_network import DescriptorNetwork, DescriptorSettings

FORMAT = 1
WEIGHTS = "descriptors.safetensors"
FOLDER = "descriptors"


@dataclass(frozen=True)
class DescriptorCard:
    """What is known about the weights.

    Attributes:
        network: shape of the network.
        temperature: of the softmax over squared distances that it was trained by.
        training: command, seed and data that made it.
        metrics: how well it finds points again, each with command and seeds.
        licence: SPDX id of the weights.
        files: file name -> SHA-256.
    """

    network: DescriptorSettings
    temperature: float
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def save_descriptors(folder: Path, network: DescriptorNetwork, card: DescriptorCard) -> None:
    """Writes weights and card; the network must not be fused, so that training can go on from it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)
    data = asdict(card)
    data["network"] = {k: list(v) if isinstance(v, tuple) else v for k, v in data["network"].items()}
    data["files"] = {WEIGHTS: sha256(folder / WEIGHTS)}
    (folder / CARD).write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=120))


def load_descriptors(folder: Path | None = None) -> tuple[DescriptorNetwork, DescriptorCard]:
    """Network and card, verified.

    Args:
        folder: of the checkpoint; None for `descriptors` in the models folder.

    Raises:
        CheckpointError: there is none, a file was altered, or weights and card do not fit.
    """
    folder = folder or models_folder() / FOLDER
    if not (folder / CARD).is_file():
        raise CheckpointError(f"no descriptors in {folder} (no {CARD}); train them: make train-descriptors")
    card = _read(folder / CARD)
    path = folder / WEIGHTS
    if not path.is_file() or WEIGHTS not in card.files:
        raise CheckpointError(f"{folder}: expected {WEIGHTS} and its hash in {CARD}")
    if (found := sha256(path)) != card.files[WEIGHTS]:
        raise CheckpointError(f"{path}: the card says SHA-256 {card.files[WEIGHTS]}, the file has {found}")
    network = DescriptorNetwork(card.network)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: the weights do not fit the card's network {card.network}: {error}") from error
    return network, card


def _read(path: Path) -> DescriptorCard:
    try:
        data = yaml.safe_load(path.read_text())
        if data.get("format") != FORMAT:
            raise CheckpointError(f"{path}: format {data.get('format')}, this version reads {FORMAT}")
        shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.pop("network").items()}
        data["files"] = {str(name): str(digest) for name, digest in data["files"].items()}
        return DescriptorCard(network=DescriptorSettings(**shape), **data)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, InputError) as error:
        raise CheckpointError(f"{path}: malformed card: {error}") from error

"""The trained score: from what the live image shows at a place to the log odds that the keypoint is there.

A logistic model of the place's own look comes first, since other places speak against one only as far as they look right
themselves. A small network then weighs everything. Card and safetensors lie in one folder; nothing in it can execute code.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from keypoint_core.checkpoint import CARD, models_folder, sha256
from keypoint_core.errors import CheckpointError
from keypoint_core.types import Float64

FOLDER = "correspondence"
WEIGHTS = "score.safetensors"
FORMAT = 1
REACH = 4.0  # values are kept within so many deviations of the mean


@dataclass(frozen=True)
class Score:
    """Weights for L values of a look and F values of everything, by K hidden units.

    Attributes:
        look: [L] of the logistic model of the look.
        mean, deviation: [F] by which the values are normalised.
        linear: [F]; bias: [1] of the log odds.
        hidden: [F, K]; hidden_bias: [K]; out: [K] of the network beside it.
    """

    look: Float64
    mean: Float64
    deviation: Float64
    linear: Float64
    bias: Float64
    hidden: Float64
    hidden_bias: Float64
    out: Float64

    def log_odds(self, values: Float64) -> Float64:
        """[...] of values [..., F]."""
        # einsum instead of products of matrices, whose order of summation depends on the number of threads.
        scaled = np.clip((values - self.mean) / self.deviation, -REACH, REACH)
        units = np.tanh(np.einsum("...f,fk->...k", scaled, self.hidden) + self.hidden_bias)
        odds: Float64 = (
            np.einsum("...f,f->...", scaled, self.linear) + np.einsum("...k,k->...", units, self.out) + self.bias[0]
        )
        return odds


def save_score(folder: Path, score: Score, names: dict[str, list[str]], training: dict[str, Any]) -> None:
    """Writes weights and card.

    Args:
        folder: is made.
        score: to save.
        names: of the values, `look` and `features` in their order.
        training: command, seeds and data that made it, and what it showed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file({f.name: np.ascontiguousarray(getattr(score, f.name)) for f in fields(score)}, folder / WEIGHTS)
    card = {
        **names,
        "training": training,
        "licence": "Apache-2.0",
        "files": {WEIGHTS: sha256(folder / WEIGHTS)},
        "format": FORMAT,
    }
    (folder / CARD).write_text(yaml.safe_dump(card, sort_keys=False, default_flow_style=None, width=120))


def load_score(look: tuple[str, ...], features: tuple[str, ...], folder: Path | None = None) -> Score:
    """The score, verified.

    Args:
        look, features: names of the values that it will be given.
        folder: None for `correspondence` in the models folder.

    Raises:
        CheckpointError: there is none, a file was altered, or it was trained on other values.
    """
    return _load(look, features, (folder or models_folder() / FOLDER).resolve())


@cache
def _load(look: tuple[str, ...], features: tuple[str, ...], folder: Path) -> Score:
    if not (folder / CARD).is_file() or not (folder / WEIGHTS).is_file():
        raise CheckpointError(
            f"no score of the correspondence in {folder} (no {CARD} and {WEIGHTS}); train it: make train-score"
        )
    try:
        card = yaml.safe_load((folder / CARD).read_text())
        made_for, digest = (tuple(card["look"]), tuple(card["features"])), card["files"][WEIGHTS]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / CARD}: malformed card: {error}") from error
    if (found := sha256(folder / WEIGHTS)) != digest:
        raise CheckpointError(f"{folder / WEIGHTS}: the card says SHA-256 {digest}, the file has {found}")
    if made_for != (look, features):
        raise CheckpointError(
            f"{folder}: the score was trained on other values than this version computes; train it again"
        )
    try:
        return Score(**load_file(folder / WEIGHTS))
    except (TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: the weights do not fit this version: {error}") from error

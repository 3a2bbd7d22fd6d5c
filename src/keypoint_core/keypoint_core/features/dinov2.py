"""DINOv2's patch tokens as features (Oquab et al., "DINOv2", TMLR 2024), through the package transformers.

Code and weights are Apache-2.0. The weights are not part of this project: they come from a folder or the hub's cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.features.hub import model_folder, require
from keypoint_core.features.patch_grid import PatchGrid, deterministic

LICENCE = "Apache-2.0"
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the weights were trained with


@dataclass(frozen=True)
class DinoV2Settings:
    """Which weights, and how they look at an image.

    Attributes:
        model: a folder, or an id on the Hugging Face hub.
        revision: commit there.
        sha256: of model.safetensors; None leaves it to the revision, which is a hash too.
        layer: whose tokens are the features, as transformers numbers its hidden states; -1 is the last, normalised.
        cell: side of a patch of the network [px of the image]; 7 shows the network twice its size.
        download: whether missing weights may be fetched.
        device: of torch.
    """

    model: str = "facebook/dinov2-base"
    revision: str = "f9e44c814b77203eaa57a6bdbbd535f21ede1415"
    sha256: str | None = None
    layer: int = -1
    cell: float = 7.0
    download: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.cell <= 0:
            raise InputError(f"cell must be positive, got {self.cell} px")


class DinoV2:
    """`FeatureExtractor` around DINOv2.

    Args:
        settings: see there.

    Raises:
        MissingDependencyError: transformers or the weights are missing; the message says what to do.
        CheckpointError: the weights are not those expected, or not safetensors.
    """

    def __init__(self, settings: DinoV2Settings | None = None) -> None:
        self._settings = settings = settings or DinoV2Settings()
        transformers = require("transformers", "pip install -r requirements-backends.txt", LICENCE)
        files = {"config.json": None, "model.safetensors": settings.sha256}
        folder = model_folder(settings.model, settings.revision, files, LICENCE, settings.download)
        model = transformers.Dinov2Model.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        self._model = model.eval().to(settings.device)
        self._patch = int(model.config.patch_size)

    def extract(self, image: NDArray[np.uint8]) -> FeatureMap:
        """One descriptor per `cell` x `cell` pixels of an image [H, W, 3] uint8 RGB, whole or a crop.

        Raises:
            InputError: another shape or type, or smaller than 16 x 16.
        """
        grid = PatchGrid(image, self._settings.cell, self._patch)
        rows, columns = (size // self._patch for size in grid.input.shape[:2])
        with deterministic():
            mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _DEVIATION))
            pixels = ((grid.tensor() - mean) / deviation).to(self._settings.device)
            output = self._model(pixels, output_hidden_states=self._settings.layer != -1)
            last = self._settings.layer == -1
            tokens = output.last_hidden_state if last else output.hidden_states[self._settings.layer]
            values = tokens[0, 1:].float().cpu().numpy()  # the first token stands for the whole image
        return grid.feature_map(values.reshape(rows, columns, -1))

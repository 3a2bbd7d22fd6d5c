"""The optimiser's loop: one step at a time, its whole state in a file between any two."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from keypoint_core.errors import InputError
from keypoint_core.features.descriptor_network import DescriptorNetwork
from keypoint_training.descriptors.loss import descriptor_loss
from keypoint_training.descriptors.pairs import Batch, Pairs
from keypoint_training.descriptors.settings import DescriptorTraining
from keypoint_training.rng import Stream, torch_seed

STATE = "state.safetensors"


class Fitting:
    """Network, optimiser and average of the weights. Equal steps give equal bits on one machine's processor.

    Args:
        pairs: the data.
        settings: of the run.
        device: of torch.
    """

    def __init__(self, pairs: Pairs, settings: DescriptorTraining, device: str = "cpu") -> None:
        torch.set_num_threads(1)
        self.settings, self.done = settings, 0
        self._pairs, self._device = pairs, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(settings.seed, Stream.DESCRIPTORS))
            network = DescriptorNetwork(settings.network)
        self.network = network.to(device=self._device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def step(self) -> float:
        """One step of the optimiser; returns the loss before it."""
        batch = self._on_device(self._pairs.batch(self.done))
        for group in self._optimiser.param_groups:
            group["lr"] = self.settings.rate(self.done)
        self.network.train()
        features = self.network(torch.cat([batch.first, batch.second]))
        loss = descriptor_loss(*features.chunk(2), batch, self.settings.loss)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.done += 1
        self._follow()
        return float(loss.detach())

    def end_at(self, steps: int) -> None:
        """Another number of steps for the whole run; good as long as the rate of the steps done stays the same."""
        self.settings = replace(self.settings, steps=steps)

    def save(self, folder: Path) -> None:
        """Writes everything that the next step depends on."""
        partial = folder / f"{STATE}.partial"
        save_file(self._state(), partial, metadata={"step": str(self.done)})
        os.replace(partial, folder / STATE)

    def load(self, folder: Path) -> None:
        """Takes up what `save` wrote.

        Raises:
            InputError: there is nothing, or it belongs to other settings.
        """
        try:
            with safe_open(folder / STATE, framework="pt") as file:
                kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                self.done = int(file.metadata()["step"])
        except (OSError, SafetensorError) as error:
            raise InputError(f"{folder} has no training state that could be taken up: {error}") from error
        self.network.load_state_dict(_part(kept, "network."))
        self.average.load_state_dict(_part(kept, "average."))
        for i, parameter in enumerate(self.network.parameters()):
            moments = _part(kept, f"optimiser.{i}.")
            if moments:
                self._optimiser.state[parameter] = {
                    name: value if name == "step" else value.to(self._device) for name, value in moments.items()
                }

    def _state(self) -> dict[str, Tensor]:
        parts = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        parts |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for i, parameter in enumerate(self.network.parameters()):
            parts |= {f"optimiser.{i}.{k}": v for k, v in self._optimiser.state.get(parameter, {}).items()}
        return {name: value.detach().cpu().contiguous().clone() for name, value in parts.items()}

    def _follow(self) -> None:
        """Moves the average toward the weights, faster at the start."""
        keep = min(self.settings.average, self.done / (self.done + 10))
        new = self.network.state_dict()
        with torch.no_grad():
            for name, value in self.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(new[name], 1 - keep)
                else:
                    value.copy_(new[name])

    def _on_device(self, batch: Batch) -> Batch:
        if self._device.type == "cpu":
            return batch
        return Batch(*(getattr(batch, name).to(self._device) for name in batch.__dataclass_fields__))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

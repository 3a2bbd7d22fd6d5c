"""How networks are run: device, precision, threads, compilation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from keypoint_core.errors import InputError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class InferenceSettings:
    """How a network is run.

    Attributes:
        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1".
        precision: of autocast: "auto" (float32 on the CPU, half on CUDA), "float32", "bfloat16", "float16".
        compile: mode of torch.compile for the heavy parts: "" for none, "default", "reduce-overhead" (CUDA graphs),
            "max-autotune". Compiles anew for another number of keypoints.
        threads: of the CPU while the network runs; with 1 the same frames give the same bits whatever the machine's
            load and size; 0 leaves torch's own number.
        warm_up: frames run at `start` before the first that counts, where something is compiled or runs on CUDA.
    """

    device: str = "auto"
    precision: str = "auto"
    compile: str = ""
    threads: int = 1
    warm_up: int = 3


class Inference:
    """Runs networks as the settings say.

    Args:
        settings: see there.
        half: what "auto" precision means on CUDA.
    """

    def __init__(self, settings: InferenceSettings, half: str = "bfloat16") -> None:
        self.settings = settings
        self.device = _device(settings.device)
        wanted = settings.precision
        if wanted == "auto":
            wanted = _half(half) if self.device.type == "cuda" else "float32"
        if wanted not in PRECISIONS:
            raise InputError(f"precision: expected auto, {', '.join(PRECISIONS)}, got '{wanted}'")
        self.dtype = PRECISIONS[wanted]

    @property
    def warm_up(self) -> int:
        """Frames to run before the first that counts."""
        return self.settings.warm_up if self.device.type == "cuda" or self.settings.compile else 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within it networks run without gradients, in the precision and with the threads that were asked for."""
        threads = torch.get_num_threads()
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if self.dtype != torch.float32:
                stack.enter_context(torch.autocast(self.device.type, dtype=self.dtype))
            if self.settings.threads > 0:
                torch.set_num_threads(self.settings.threads)
                stack.callback(torch.set_num_threads, threads)
            yield

    def prepare(self, network: nn.Module, heavy: Sequence[nn.Module]) -> nn.Module:
        """The network on its device, ready for inference; its `heavy` parts compiled where that was asked for."""
        network.requires_grad_(False).eval().to(self.device)
        if self.settings.compile:
            for part in heavy:
                part.forward = _own_memory(torch.compile(part.forward, mode=self.settings.compile))
        return network

    def image(
        self, color: NDArray[np.uint8], size: tuple[int, int], *, corners: bool, antialias: bool = False
    ) -> Tensor:
        """[1, 3, h, w] float32 in 0..255.

        Args:
            color: [H, W, 3] uint8.
            size: (h, w) of the result.
            corners: the centres of the corner pixels stay where they are; else the corners of the image do.
            antialias: smooth before shrinking.
        """
        tensor = torch.from_numpy(np.array(color, order="C")).to(self.device).permute(2, 0, 1)[None].float()
        return F.interpolate(tensor, size=size, mode="bilinear", align_corners=corners, antialias=antialias)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device '{name}': torch {torch.__version__} sees no CUDA device here; take 'auto' or 'cpu'")
    return device


def _half(wanted: str) -> str:
    """bfloat16 only where the card has it."""
    return "float16" if wanted == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False) else wanted


def _own_memory(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its results copied: memory of a CUDA graph is overwritten by its next run."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, result)

    return wrapped

"""Own dense descriptors: the trained encoder as a feature extractor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.features.descriptor_card import load_descriptors
from keypoint_core.features.descriptor_network import MULTIPLE, OFFSET, STRIDE
from keypoint_core.features.feature_map import FeatureMap


class DenseDescriptors:
    """`FeatureExtractor` around the encoder. One thread on a processor, so that equal images give equal bits.

    Args:
        folder: checkpoint; None for `descriptors` in the models folder.
        device: of torch.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
    """

    def __init__(self, folder: str | Path | None = None, device: str = "cpu") -> None:
        network, self.card = load_descriptors(None if folder is None else Path(folder))
        self._device = torch.device(device)
        network = network.fuse().to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own gap

    def extract(self, image: NDArray[np.uint8]) -> FeatureMap:
        """One descriptor per 4 x 4 pixels of an image [H, W, 3] uint8 RGB of any size from 16 x 16, whole or a crop.

        Raises:
            InputError: another shape or type.
        """
        padded = _padded(image)
        with torch.inference_mode(), _one_thread():
            pixels = torch.from_numpy(padded).to(self._device).permute(2, 0, 1)[None].float().mul_(1 / 255)
            values = self._network(pixels.contiguous(memory_format=torch.channels_last))[0].permute(1, 2, 0)
        cells = [-(-size // STRIDE) for size in image.shape[:2]]
        kept = np.ascontiguousarray(values.cpu().numpy()[: cells[0], : cells[1]])
        return FeatureMap(kept, float(STRIDE), (OFFSET, OFFSET), self.card.temperature)


def _padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with its right and lower rim repeated up to multiples of the coarsest cell."""
    shape = getattr(image, "shape", None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < MULTIPLE or image.dtype != np.uint8:
        found = f"{shape} {getattr(image, 'dtype', type(image).__name__)}"
        raise InputError(f"an image must be [H, W, 3] uint8 RGB of at least {MULTIPLE}x{MULTIPLE} pixels, got {found}")
    missing = [-size % MULTIPLE for size in shape[:2]]
    if not any(missing):
        return np.ascontiguousarray(image)
    padded = cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
    return np.asarray(padded, dtype=np.uint8)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The order of sums, and with it the last bits, would depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

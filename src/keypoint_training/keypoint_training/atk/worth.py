"""Which of the points that a mask left open are worth keeping.

Gates that are free of penalty stay open for nothing. So each point has to be missed: a student that was fitted to all of
them, and has learnt to do with some that are never located, is asked what it loses without each. It is asked while others
are missing too: a body of which one point is kept is lost with it, and what its second one is worth shows only then.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keypoint_core.policies.keypoint_mlp import KeypointMlp
from keypoint_training.fitting import Batch, imitation_loss
from keypoint_training.tracks import MIN_LOCATED

MISSING = 0.3  # part of the points that are taken away beside those that the tracks lack
_SEED = 31_337


def worth_keeping(network: KeypointMlp, test: Batch, knee: float, worth: float, most: int) -> NDArray[np.int64]:
    """Drops the point that is missed least, over and over.

    It ends when the loss would grow by `worth` of it and no more than `most` are left.

    Args:
        network: fitted to the N points of the batch.
        test: frames that it was not fitted to.
        knee: of the loss.
        worth: growth of the loss, as a part of it, that a point has to prevent.
        most: points that stay.

    Returns:
        Indices of the points that stay, MIN_LOCATED at least, ascending.
    """
    mask = torch.ones(network.settings.keypoints)
    luck = torch.rand((len(test.pixels), len(mask)), generator=torch.Generator().manual_seed(_SEED))
    there = (luck >= MISSING).float()

    def loss(mask: Tensor) -> float:
        with torch.no_grad():
            return float(imitation_loss(network, test, knee, mask * there))

    while mask.sum() > MIN_LOCATED:
        losses = {index: loss(mask.index_fill(0, torch.tensor(index), 0.0)) for index in _kept(mask)}
        least = min(losses, key=losses.__getitem__)
        if mask.sum() <= most and losses[least] >= (1 + worth) * loss(mask):
            break
        mask[least] = 0.0
    return np.array(_kept(mask), dtype=np.int64)


def _kept(mask: Tensor) -> list[int]:
    return [int(index) for index in torch.nonzero(mask)]

"""What makes descriptors of the same point alike and all others different.

Two terms on pairs of pictures, both on distances between descriptors of length sqrt(D), divided by sqrt(D):
the pixelwise contrastive loss of Schmidt et al. (2017) with hard negatives scaled as by Florence et al. (2018), and the
cross entropy of a softmax over all cells of the other picture against a Gaussian about the truth (Florence et al.,
2019): a keypoint is found at the mode of that very softmax, so it is trained to be one, and in the right place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from keypoint_core.features.descriptor_network import OFFSET, STRIDE
from keypoint_training.descriptors.pairs import Batch
from keypoint_training.descriptors.settings import LossSettings

_FAR = 1e4  # stands for infinite distance in a masked softmax
_TINY = 1e-6


def sample(features: Tensor, pixels: Tensor) -> Tensor:
    """Descriptors [B, N, D] of length 1 at pixels [B, N, 2] (u, v), from features [B, D, h, w]."""
    size = features.new_tensor([features.shape[3], features.shape[2]])
    grid = ((pixels - OFFSET) / STRIDE + 0.5) / size * 2 - 1
    found = nn.functional.grid_sample(features, grid[:, None], padding_mode="border", align_corners=False)
    return nn.functional.normalize(found[:, :, 0].transpose(1, 2), dim=2)


def descriptor_loss(first: Tensor, second: Tensor, batch: Batch, settings: LossSettings) -> Tensor:
    """Mean over both directions of a batch's features [B, D, h, w] of the two crops."""
    alone = torch.zeros_like(batch.alone)
    forth = _one_way(first, second, batch.pixels[0], batch.pixels[1], batch.matched, batch.alone, batch.alike, settings)
    back = _one_way(second, first, batch.pixels[1], batch.pixels[0], batch.matched, alone, batch.alike, settings)
    return 0.5 * (forth + back)


def _one_way(
    source: Tensor,
    target: Tensor,
    places: Tensor,
    truth: Tensor,
    matched: Tensor,
    alone: Tensor,
    alike: Tensor,
    settings: LossSettings,
) -> Tensor:
    """Points of the source, looked for in the target and in other pairs' targets."""
    wanted = sample(source, places)
    squared = 2 - 2 * torch.einsum("bnd,bdhw->bnhw", wanted, target).flatten(2)
    offset = (_centres(target) - truth[:, :, None]).square().sum(dim=3)
    foreign = _foreign(wanted, target, alike, settings.others)
    logits = torch.cat([squared, foreign], dim=2) / -settings.temperature
    weights = torch.softmax(offset / (-2 * settings.spread**2), dim=2)
    entropy = -(weights * torch.log_softmax(logits, dim=2)[..., : squared.shape[2]]).sum(dim=2)
    match = 2 - 2 * (wanted * sample(target, truth)).sum(dim=2)
    far = torch.where(matched[..., None] & (offset < settings.near**2), _FAR, squared)
    lack = (settings.margin - torch.cat([far, foreign], dim=2).clamp_min(_TINY).sqrt()).clamp_min(0)
    mismatch = lack.square().sum(dim=2) / (lack > 0).sum(dim=2).clamp_min(1)
    both = _mean(entropy + settings.match * match, matched)
    return both + settings.mismatch * _mean(mismatch, matched | alone)


def _foreign(wanted: Tensor, target: Tensor, alike: Tensor, count: int) -> Tensor:
    """Squared distances [B, N, B * count'] to every so many cells of the other pairs' targets; of like ones far."""
    cells = target.flatten(2)
    cells = cells[:, :, :: max(1, cells.shape[2] // count)]
    squared = 2 - 2 * torch.einsum("bnd,cdk->bnck", wanted, cells)
    return torch.where(alike[:, None, :, None], _FAR, squared).flatten(2)


def _centres(features: Tensor) -> Tensor:
    """[h * w, 2] pixels of the cells' centres."""
    row, column = torch.meshgrid(
        torch.arange(features.shape[2], device=features.device, dtype=torch.float32),
        torch.arange(features.shape[3], device=features.device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack([column, row], dim=2).reshape(-1, 2) * STRIDE + OFFSET


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp_min(1)

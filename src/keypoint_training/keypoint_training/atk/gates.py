"""Which candidates a student is shown: one gate per candidate, learnt along with the student."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from keypoint_core.errors import InputError

SLOPE = 0.1  # of the penalty per logit of an open gate, as P(open) has it at a logit of two
DOUBT = 6.0  # logits farther from nought than this are pulled back, so that no gate is ever past changing
PULL = 0.1
TEMPERATURE = 0.66  # of the relaxed gates (Louizos et al., ICLR 2018)
_CODE = 16  # learnt features per candidate
_HIDDEN = 32
_WAVES = (1.0, 2.0, 4.0)  # per picture, of the position code


class Gates(nn.Module):
    """M gates whose chances of being open come from a small network.

    Each candidate goes through the same network with its place in the reference view and some learnt features of its
    own: neighbours share what is learnt, and still one of two neighbours can be taken. At first all are equally open.

    Args:
        places: [M, 2] pixels in the reference view, divided by the picture's width and height.
        logit: at the start; P(open) = sigmoid(logit).

    Raises:
        InputError: the places are not in 0..1: pixels were given.
    """

    places: Tensor

    def __init__(self, places: Tensor, logit: float) -> None:
        super().__init__()
        if places.ndim != 2 or places.shape[1] != 2 or places.min() < 0 or places.max() > 1:
            raise InputError(
                f"places must be [M, 2] in 0..1, got {tuple(places.shape)} in {places.min()}..{places.max()}"
            )
        waves = [2 * torch.pi * wave * places for wave in _WAVES]
        code = torch.cat([part for wave in waves for part in (torch.sin(wave), torch.cos(wave))], dim=1)
        self.register_buffer("places", torch.cat([places, code], dim=1).float(), persistent=False)
        self.own = nn.Parameter(torch.randn(len(places), _CODE))
        self.hidden = nn.Linear(self.places.shape[1] + _CODE, _HIDDEN)
        self.out = nn.Linear(_HIDDEN, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, logit)

    def logits(self) -> Tensor:
        """[M], of any size."""
        hidden = nn.functional.gelu(self.hidden(torch.cat([self.places, self.own], dim=1)))
        return torch.squeeze(self.out(hidden), dim=1)

    def probabilities(self) -> Tensor:
        """[M] P(open); their sum is the expected number of points, the L1 norm of the mask."""
        return torch.sigmoid(self.logits())

    def count(self) -> int:
        """How many gates are open rather than shut."""
        return int((self.logits().detach() > 0).sum())

    def penalty(self, spared: int) -> Tensor:
        """What descends along the number of open gates: its value means nothing, its gradient closes gates.

        The gradient of the L1 norm itself, P (1 - P), vanishes at gates that are surely open; this one, SLOPE P, does
        not. A mean over the gates, so that it weighs the same however many there are.

        Args:
            spared: so many gates, those with the highest P, are not penalised.
        """
        logits = self.logits()
        weight = torch.sigmoid(logits).detach()
        weight[torch.topk(weight, spared).indices] = 0.0
        return SLOPE * (weight * logits).mean()

    def conceit(self) -> Tensor:
        """How far logits are beyond DOUBT."""
        return PULL * torch.relu(self.logits().abs() - DOUBT).square().mean()

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """[count, M] masks of 0 and 1, each gate open with its P(open).

        Forward they are hard; backward they pass the gradient of the relaxed gate (binary Gumbel-softmax: Jang et al.,
        Maddison et al., ICLR 2017).
        """
        logits = self.logits()
        uniform = torch.rand((count, len(logits)), generator=rng).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid((logits + torch.log(uniform) - torch.log1p(-uniform)) / TEMPERATURE)
        hard = (soft > 0.5).to(soft.dtype)
        return hard + (soft - soft.detach())

"""A small fully convolutional encoder: a picture in, a descriptor per cell of 4 x 4 pixels out.

Three scales (4, 8 and 16 pixels per cell) and two ways up again, so that a descriptor knows some 150 pixels around it
but is bound to its own cell. After the dense descriptors of Florence et al. (2018), at a size for a processor: their
ResNet-50 needs some hundred times this one's arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from keypoint_core.errors import InputError

STRIDE = 4  # pixels per cell
OFFSET = 1.5  # pixel of cell 0's centre: kernels of 4 that step by 2 look symmetrically at what they merge
MULTIPLE = 16  # image sizes are multiples of this: pixels per cell of the coarsest scale


@dataclass(frozen=True)
class DescriptorSettings:
    """Shape of the network.

    Attributes:
        size: D, of a descriptor.
        widths: channels at 2, 4, 8 and 16 pixels per cell.
        blocks: residual blocks at 4, 8 and 16 pixels per cell.
    """

    size: int = 32
    widths: tuple[int, ...] = (16, 32, 48, 96)
    blocks: tuple[int, ...] = (1, 1, 2)

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or len(self.blocks) != 3 or min(self.size, *self.widths) < 1 or min(self.blocks) < 0:
            raise InputError(f"a descriptor network needs a size, 4 widths and 3 numbers of blocks, got {self}")


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, ReLU; added to its input where asked for."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, residual: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        y = torch.relu(self.norm(self.conv(x)))
        return x + y if self.residual else y

    def fuse(self) -> None:
        """Puts the normalisation into the convolution's weights; for inference only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval()), nn.Identity()


class DescriptorNetwork(nn.Module):
    """The encoder; descriptors come out with length 1."""

    def __init__(self, settings: DescriptorSettings) -> None:
        super().__init__()
        self.settings = settings
        a, b, c, d = settings.widths
        self.stem = nn.Sequential(ConvNorm(3, a, 4, 2), ConvNorm(a, b, 4, 2))
        self.fine = self._blocks(b, settings.blocks[0])
        self.middle = nn.Sequential(ConvNorm(b, c, 4, 2), self._blocks(c, settings.blocks[1]))
        self.coarse = nn.Sequential(ConvNorm(c, d, 4, 2), self._blocks(d, settings.blocks[2]))
        self.up_middle, self.merge_middle = nn.Conv2d(d, c, 1), ConvNorm(c, c, 3)
        self.up_fine, self.merge_fine = nn.Conv2d(c, b, 1), ConvNorm(b, b, 3)
        self.head = nn.Conv2d(b, settings.size, 1)

    @staticmethod
    def _blocks(width: int, count: int) -> nn.Sequential:
        return nn.Sequential(*(ConvNorm(width, width, 3, residual=True) for _ in range(count)))

    def forward(self, images: Tensor) -> Tensor:
        """[B, D, H / 4, W / 4] from images [B, 3, H, W] float32 in 0..1, H and W multiples of 16."""
        fine = self.fine(self.stem((images - 0.5) * 4.0))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.merge_middle(middle + _double(self.up_middle(coarse)))
        fine = self.merge_fine(fine + _double(self.up_fine(middle)))
        return nn.functional.normalize(self.head(fine), dim=1)

    def fuse(self) -> DescriptorNetwork:
        """For inference: no batch normalisation is left; returns itself."""
        self.eval()
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        return self


def _double(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")

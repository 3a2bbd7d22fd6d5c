"""What was recorded of training episodes, and files of it without pickle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Episodes:
    """E episodes, one behind the other: F frames in all.

    Attributes:
        lengths: [E] int64, frames of each.
        succeeded: [E] bool.
        pixels: [F, N, 2] float32, exact.
        visible: [F, N] bool, nothing in front.
        tool: [F, 2] float32, pixel of the tool's tip.
        joints: [F, D] float32 [rad], measured.
        opening: [F] float32, the gripper as measured, driver's unit.
        targets: [F, T, D] float32 [rad], what the expert would do from there.
        gripper: [F, T] float32, the same for the gripper, driver's unit.
    """

    lengths: NDArray[np.int64]
    succeeded: NDArray[np.bool_]
    pixels: NDArray[np.float32]
    visible: NDArray[np.bool_]
    tool: NDArray[np.float32]
    joints: NDArray[np.float32]
    opening: NDArray[np.float32]
    targets: NDArray[np.float32]
    gripper: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def frames(self) -> int:
        """F."""
        return len(self.pixels)

    @property
    def starts(self) -> NDArray[np.int64]:
        """[E] index of each episode's first frame."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)


def join(parts: Iterable[Episodes]) -> Episodes:
    """All episodes of the parts, in order."""
    listed = list(parts)
    names = [field.name for field in fields(Episodes)]
    return Episodes(**{name: np.concatenate([getattr(part, name) for part in listed]) for name in names})


def save(path: Path, episodes: Episodes) -> None:
    """Writes .npz; the file appears whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **{field.name: getattr(episodes, field.name) for field in fields(Episodes)})
    part.replace(path)


def load(path: Path) -> Episodes:
    """Reads what `save` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return Episodes(**{field.name: data[field.name] for field in fields(Episodes)})

"""What a correspondence found in one scene, as it is kept in a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float64, Keypoints
from keypoint_trials.quality.scenes import Scene

MARGIN = 30  # around the keypoints of a crop [px]
LEAST = (160, 120)  # size of a crop [px]


@dataclass(frozen=True)
class Located:
    """One correspondence in one scene of N keypoints.

    Attributes:
        task, condition, kind, seed, correspondence: what was measured; kind is "plain" or what made the scene hard.
        truth: [N, 2] exact pixels.
        visible: [N] bool, in the image and not covered.
        shown: [N] bool, in the image; the others are left out of every figure.
        pixels: [N, 2] what was located; empty when the scene was refused.
        score, accepted: [N] confidence and status VISIBLE; empty when the scene was refused.
        reason: why it was refused; empty when it was not.
        seconds: time of the calling thread on a processor.
        corner: left and top of the scene's crop [px].
    """

    task: str
    condition: str
    kind: str
    seed: int
    correspondence: str
    truth: Float64
    visible: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    pixels: Float64
    score: Float64
    accepted: NDArray[np.bool_]
    reason: str
    seconds: float
    corner: tuple[int, int]

    @classmethod
    def of(
        cls,
        task: str,
        condition: str,
        kind: str,
        seed: int,
        name: str,
        scene: Scene,
        found: Keypoints | None,
        reason: str,
        seconds: float,
    ) -> Located:
        """From what a backend returned; None for a refusal."""
        k = scene.frame.intrinsics
        shown = ((scene.truth >= 0) & (scene.truth <= [k.width - 1, k.height - 1])).all(axis=1)
        left, top, _ = crop_of(scene.frame.color, scene.truth)
        return cls(
            task,
            condition,
            kind,
            seed,
            name,
            scene.truth,
            scene.visible,
            shown,
            np.empty((0, 2)) if found is None else found.pixels.astype(np.float64),
            np.empty(0) if found is None else found.confidence.astype(np.float64),
            np.empty(0, dtype=bool) if found is None else found.visible,
            reason,
            seconds,
            (left, top),
        )

    @property
    def refused(self) -> bool:
        """Whether nothing was located."""
        return not len(self.pixels)

    @property
    def errors(self) -> Float64:
        """[N] px; NaN where the scene was refused."""
        if self.refused:
            return np.full(len(self.truth), np.nan)
        return np.asarray(np.linalg.norm(self.pixels - self.truth, axis=1))

    @property
    def kept(self) -> NDArray[np.bool_]:
        """[N] bool: accepted, and in the image."""
        return np.zeros(len(self.truth), dtype=bool) if self.refused else self.accepted & self.shown


def to_json(located: Located) -> dict[str, Any]:
    """As a file holds it."""
    return {name: _plain(value) for name, value in asdict(located).items()}


def from_json(values: dict[str, Any]) -> Located:
    """The same back."""
    shapes = {"truth": (-1, 2), "pixels": (-1, 2), "score": (-1,)}
    flags = ("visible", "shown", "accepted")
    arrays: dict[str, Any] = {
        name: np.array(values[name], dtype=np.float64).reshape(shape) for name, shape in shapes.items()
    }
    arrays |= {name: np.array(values[name], dtype=bool) for name in flags}
    return Located(**{**values, **arrays, "corner": tuple(values["corner"])})


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return (value if value.dtype == bool else np.round(value, 4)).tolist()


def crop_of(color: NDArray[np.uint8], truth: Float64) -> tuple[int, int, NDArray[np.uint8]]:
    """Left, top and pixels of the part of a picture that holds the keypoints, 4 to 3."""
    height, width = color.shape[:2]
    limit = np.array([width - 1, height - 1])
    low, high = np.clip(truth.min(axis=0), 0, limit) - MARGIN, np.clip(truth.max(axis=0), 0, limit) + MARGIN
    wide = min(width, height * 4 / 3, max(LEAST[0], high[0] - low[0], (high[1] - low[1]) * 4 / 3))
    size = int(wide) // 4 * np.array([4, 3])
    left, top = np.clip((low + high - size) / 2, 0, [width - size[0], height - size[1]]).astype(int).tolist()
    return left, top, color[top : top + size[1], left : left + size[0]]

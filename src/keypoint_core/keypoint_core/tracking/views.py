"""Patches of a keypoint as it looked from several sides, drawn as it should look now.

The first view is the truth; it is warped by the motion of the keypoint's body, so a patch that turns, comes nearer or tilts
is still compared with what it began as. Later views are kept only when an older one has confirmed them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking import templates as patches
from keypoint_core.tracking.parts import Parts, own_surface
from keypoint_core.tracking.templates import Templates, TemplateSettings
from keypoint_core.types import Float32, Float64

Index = NDArray[np.intp]
_CHUNK = 500  # patches per warp; OpenCV's images have at most 32767 rows


@dataclass(frozen=True)
class ViewSettings:
    """Of the kept views.

    Attributes:
        radius: half the side of what is kept [px]; larger than a template's, as turning needs the corners.
        most: views per keypoint, the first one included.
        first_bonus: by how much more the first view may have to be warped and is still preferred.
        keep_after: a view that has to be warped by more than this is no longer enough; a new one is kept. 1 is an
            object turned by 41 degrees, or half as large again.
        confirmed: likeness that a kept view needs with an older one.
        agree: farthest from where the body's motion puts it that a kept view may be [px].
    """

    radius: int = 14
    most: int = 4
    first_bonus: float = 0.3
    keep_after: float = 0.5
    confirmed: float = 0.8
    agree: float = 1.0


@dataclass
class Views:
    """Views of N keypoints; NaN where nothing is known.

    Attributes:
        patches: [N, V, S, S] float32 gray levels, NaN outside the image and in a frame one pixel wide.
        warps: [N, V, 2, 2] float64, how the surroundings were stretched since the first frame when they were kept.
        count: [N] views kept.
    """

    patches: Float32
    warps: Float64
    count: NDArray[np.int64]

    @classmethod
    def begin(cls, gray: Float32, parts: Parts, pixels: Float32, settings: ViewSettings) -> Views:
        """The first views, at pixels [N, 2] of a gray image [H, W] with these surfaces."""
        side = 2 * settings.radius + 3
        empty = np.full((len(pixels), settings.most, side, side), np.nan, dtype=np.float32)
        views = cls(empty, np.tile(np.eye(2), (len(pixels), settings.most, 1, 1)), np.zeros(len(pixels), np.int64))
        views._put(np.arange(len(pixels)), np.zeros(len(pixels), np.intp), gray, parts, pixels, np.eye(2))
        return views

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Views:
        """Those at an index or mask."""
        return Views(self.patches[index], self.warps[index], self.count[index])

    def joined(self, other: Views) -> Views:
        """These, then the others."""
        names = ("patches", "warps", "count")
        return Views(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    def draw(self, warps: Float64, settings: ViewSettings, template: TemplateSettings) -> tuple[Templates, Float64]:
        """The keypoints as they should look under warps [N, 2, 2] since the first frame.

        Returns:
            templates, and [N] by how much the nearest view had to be warped for them.
        """
        back = np.linalg.inv(warps)
        needed = self.warps @ back[:, None]
        away = np.sqrt(((needed - np.eye(2)) ** 2).sum(axis=(2, 3)))
        away[np.arange(away.shape[1]) >= self.count[:, None]] = np.inf
        choice = np.argmin(away - settings.first_bonus * (np.arange(away.shape[1]) == 0), axis=1)
        rows = np.arange(len(choice))
        wide = _warped(self.patches[rows, choice], needed[rows, choice], template.radius + 1)
        known = np.isfinite(wide)
        return patches.from_patches(np.where(known, wide, 0.0).astype(np.float32), known, template), away.min(axis=1)

    def keep(
        self, index: Index, gray: Float32, parts: Parts, pixels: Float32, warps: Float64, settings: ViewSettings
    ) -> None:
        """Keeps what keypoints at an index [M] look like now; the view least like it makes room when there is none."""
        away = ((self.warps[index] @ np.linalg.inv(warps)[:, None] - np.eye(2)) ** 2).sum(axis=(2, 3))
        away[:, 0] = -1.0  # the first view stays
        slot = np.where(self.count[index] < settings.most, self.count[index], away.argmax(axis=1))
        self._put(index, slot, gray, parts, pixels, warps)

    def _put(self, index: Index, slot: Index, gray: Float32, parts: Parts, pixels: Float32, warps: Float64) -> None:
        side = self.patches.shape[-1] - 2
        values, shown = patches.sample(gray, pixels, side // 2)
        kept = np.where(shown & own_surface(parts, pixels, side // 2), values, np.nan).reshape(-1, side, side)
        self.patches[index, slot, 1:-1, 1:-1] = kept
        self.warps[index, slot] = warps
        self.count[index] = np.maximum(self.count[index], slot + 1)


def _warped(sources: Float32, warps: Float64, radius: int) -> Float32:
    """[N, K] the middle of patches [N, S, S] under [N, 2, 2] source offset from template offset; NaN where unknown."""
    side = sources.shape[-1]
    span = np.arange(-radius, radius + 1, dtype=np.float64)
    dv, du = np.meshgrid(span, span, indexing="ij")
    places = np.einsum("nij,jk->nik", warps, np.stack([du.ravel(), dv.ravel()])) + side // 2
    places = np.clip(places, 0, side - 1)  # the frame of NaN
    result = []
    for begin in range(0, len(sources), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        column, row = places[part, 0], places[part, 1] + side * np.arange(len(sources[part]))[:, None]
        tall = sources[part].reshape(-1, side)
        drawn = cv2.remap(tall, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
        result.append(np.asarray(drawn, dtype=np.float32))
    return np.concatenate(result) if result else np.empty((0, len(du.ravel())), np.float32)

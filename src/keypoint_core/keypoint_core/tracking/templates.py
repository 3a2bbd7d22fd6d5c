"""Patches remembered from a keypoint's first frame, and finding them again to a fraction of a pixel.

Frame-to-frame flow drifts, and it follows whatever covers a point. Comparing with the first patch does neither. The
alignment is the inverse compositional one (Baker and Matthews, IJCV 2004) for a shift, on patches normalised to zero mean
and unit deviation, so that brightness and contrast do not matter. All keypoints are handled in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64

_ITERATIONS = 6
_PROMISING = 0.2  # correlation at the start, below which aligning leads nowhere
_MAX_STEP = 1.5  # [px] per iteration, so that one bad step cannot throw a patch away
_CONVERGED = 0.03  # [px]


@dataclass(frozen=True)
class TemplateSettings:
    """What a template is.

    Attributes:
        radius: half the side of the square patch [px].
        min_deviation: with less contrast a patch is unfit to be found again [gray levels].
        min_corner: smaller eigenvalue of the normalised patch's gradient matrix, per pixel, below which a patch could
            slide along an edge [1/px^2].
        min_share: share of what is known of the patch that must be inside the image to compare.
        min_own: share of the patch that must be known, the rest being on another surface.
    """

    radius: int = 8
    min_deviation: float = 3.0
    min_corner: float = 0.004
    min_share: float = 0.75
    min_own: float = 0.35


@dataclass(frozen=True)
class Templates:
    """N patches of K pixels, normalised.

    Attributes:
        values: [N, K] float32, zero mean and unit deviation over `shown`.
        shown: [N, K] bool, which of them lay inside the image.
        descent: [N, K, 2] float32 [px]; its product with a normalised difference is the shift that explains it.
        fit: [N] bool, whether the patch can be found again.
    """

    values: Float32
    shown: NDArray[np.bool_]
    descent: Float32
    fit: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Templates:
        """The templates at an index or mask."""
        return Templates(self.values[index], self.shown[index], self.descent[index], self.fit[index])

    def joined(self, other: Templates) -> Templates:
        """These, then the others."""
        return Templates(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.shown, other.shown]),
            np.concatenate([self.descent, other.descent]),
            np.concatenate([self.fit, other.fit]),
        )


def cut(gray: Float32, pixels: Float32, settings: TemplateSettings) -> Templates:
    """Remembers the surroundings of pixels [N, 2] in a gray image [H, W]."""
    return from_patches(*sample(gray, pixels, settings.radius + 1), settings)


def from_patches(wide: Float32, shown: NDArray[np.bool_], settings: TemplateSettings) -> Templates:
    """Templates of patches that are one pixel wider on each side, which their slopes need.

    Args:
        wide: [N, (2 radius + 3)^2] gray levels.
        shown: [N, (2 radius + 3)^2] bool, which of them are known.
        settings: of the templates.
    """
    side = 2 * settings.radius + 3
    count = (side - 2) ** 2
    wide, known = wide.reshape(-1, side, side), shown.reshape(-1, side, side)
    shown = known[:, 1:-1, 1:-1].reshape(-1, count)
    values, deviation = _normalised(wide[:, 1:-1, 1:-1].reshape(-1, count), shown)
    du, dv = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2, (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
    flanked = known[:, 1:-1, 2:] & known[:, 1:-1, :-2] & known[:, 2:, 1:-1] & known[:, :-2, 1:-1]
    slopes = np.stack([du, dv], axis=-1).reshape(-1, count, 2).astype(np.float64)
    slopes *= (shown & flanked.reshape(-1, count))[..., None] / np.maximum(deviation, 1e-3)[:, None, None]
    matrix = np.einsum("nki,nkj->nij", slopes, slopes)
    corner = np.linalg.eigvalsh(matrix)[:, 0] / np.maximum(shown.sum(axis=1), 1)
    descent = slopes @ np.linalg.inv(matrix + 1e-6 * np.eye(2))
    fit = (deviation >= settings.min_deviation) & (corner >= settings.min_corner)
    fit &= shown.mean(axis=1) >= settings.min_own
    return Templates(values, shown, descent.astype(np.float32), fit)


def align(gray: Float32, templates: Templates, start: Float32, settings: TemplateSettings) -> tuple[Float32, Float64]:
    """Shifts each template to where it fits best near its start.

    Args:
        gray: [H, W].
        templates: N of them.
        start: [N, 2] pixels to begin at; some three pixels off is fine.
        settings: of the templates.

    Returns:
        pixels [N, 2] and the normalised cross-correlation there [N], -1 for templates unfit to be found, and where
        too little of the patch is inside the image.
    """
    place = start.astype(np.float64)
    moving = correlation(gray, templates, place, settings) >= _PROMISING
    for _ in range(_ITERATIONS):
        index = np.flatnonzero(moving)
        if len(index) == 0:
            break
        step = _step(gray, templates.take(index), place[index], settings)
        place[index] -= step
        moving[index] = np.abs(step).max(axis=1) > _CONVERGED
    return place.astype(np.float32), correlation(gray, templates, place, settings)


def correlation(
    gray: Float32,
    templates: Templates,
    pixels: Float32 | Float64,
    settings: TemplateSettings,
    where: NDArray[np.bool_] | None = None,
) -> Float64:
    """[N] normalised cross-correlation of each template at pixels [N, 2]; -1 where it cannot be compared.

    Only the template's pixels `where` [K] count, if that is given; most of these must be known.
    """
    values, shown = sample(gray, pixels, settings.radius)
    wanted = slice(None) if where is None else where
    values, first, both = values[:, wanted], templates.values[:, wanted], (shown & templates.shown)[:, wanted]
    first, _ = _normalised(first, both)
    second, deviation = _normalised(values, both)
    product = (first * second * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    known = templates.shown[:, wanted]
    enough = both.sum(axis=1) >= settings.min_share * (known.sum(axis=1) if where is None else known.shape[1])
    usable = templates.fit & enough & (deviation > settings.min_deviation / 3)
    return np.where(usable, product, -1.0).astype(np.float64)


def middle(settings: TemplateSettings, radius: int) -> NDArray[np.bool_]:
    """[K] the template's pixels up to a radius from its centre in both directions [px]."""
    span = np.abs(np.arange(-settings.radius, settings.radius + 1)) <= radius
    return np.outer(span, span).ravel()


def search(
    gray: Float32, templates: Templates, index: int, centre: Float32, reach: int, settings: TemplateSettings
) -> tuple[Float32, float, float]:
    """Looks for one template in a whole neighbourhood.

    Args:
        gray: [H, W].
        templates: to take one from.
        index: which.
        centre: [2] pixel in the middle of the neighbourhood.
        reach: how far from it [px].
        settings: of the templates.

    Returns:
        the best pixel [2], the correlation there, and by how much it beats the best one elsewhere; correlation -1
        when nothing can be compared.
    """
    radius = settings.radius
    side, span = 2 * radius + 1, reach + radius
    u, v = (int(x) for x in np.round(centre))
    left, top = max(0, u - span), max(0, v - span)
    window = gray[top : max(0, v + span + 1), left : max(0, u + span + 1)]
    if min(window.shape) < side:
        return centre, -1.0, 0.0
    shown = templates.shown[index].reshape(side, side).astype(np.float32)
    wanted = templates.values[index].reshape(side, side)
    if shown.all():
        score = cv2.matchTemplate(window, wanted, cv2.TM_CCOEFF_NORMED)
    else:
        score = _masked_match(window, wanted, shown)
    _, peak, _, (x, y) = cv2.minMaxLoc(score)
    near = radius // 2
    score[max(0, y - near) : y + near + 1, max(0, x - near) : x + near + 1] = -1.0
    found = np.array([left + x + radius, top + y + radius], dtype=np.float32)
    return found, float(peak), float(peak - score.max())


def _masked_match(window: Float32, values: Float32, shown: Float32) -> Float32:
    """Normalised cross-correlation at every place of a window where a template [S, S] fits, over what is shown of it."""
    count = shown.sum()
    window = window - window.mean()
    first, second = (cv2.matchTemplate(picture, shown, cv2.TM_CCORR) for picture in (window, window * window))
    deviation = np.sqrt(np.maximum(second / count - (first / count) ** 2, 1.0))
    return np.asarray(cv2.matchTemplate(window, values * shown, cv2.TM_CCORR) / (count * deviation), dtype=np.float32)


def _step(gray: Float32, templates: Templates, place: Float64, settings: TemplateSettings) -> Float64:
    """[N, 2] by how much each patch at `place` is ahead of its template, bounded."""
    values, shown = sample(gray, place, settings.radius)
    both = shown & templates.shown
    difference = (_normalised(values, both)[0] - templates.values) * both
    ahead = np.einsum("nkc,nk->nc", templates.descent, difference)
    bounded: Float64 = np.clip(ahead.astype(np.float64), -_MAX_STEP, _MAX_STEP)
    return bounded


def sample(gray: Float32, pixels: Float32 | Float64, radius: int) -> tuple[Float32, NDArray[np.bool_]]:
    """Bilinear samples [N, K] around pixels [N, 2], and which of them lie inside the image."""
    span = np.arange(-radius, radius + 1, dtype=np.float32)
    dv, du = np.meshgrid(span, span, indexing="ij")
    u = np.asarray(pixels[:, :1] + du.ravel(), dtype=np.float32)
    v = np.asarray(pixels[:, 1:] + dv.ravel(), dtype=np.float32)
    height, width = gray.shape
    shown = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    if len(u) == 0:
        return u, shown
    values = cv2.remap(gray, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # places rounded to 1/32 px
    return np.asarray(values, dtype=np.float32), shown


def _normalised(values: Float32, where: NDArray[np.bool_]) -> tuple[Float32, Float32]:
    """Values [N, K] with zero mean and unit deviation over `where`, and that deviation [N]."""
    count = np.maximum(where.sum(axis=1), 1)
    centred = values - ((values * where).sum(axis=1) / count)[:, None]
    deviation = np.sqrt(((centred * where) ** 2).sum(axis=1) / count)
    normalised = centred / np.maximum(deviation, 1e-3)[:, None]
    return normalised.astype(np.float32), deviation.astype(np.float32)

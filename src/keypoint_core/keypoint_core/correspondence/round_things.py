"""Round things on a table look the same however they are turned: their turns, as motions of the reference.

What a dish with an even rim shows fixes its place but not its turn. Each thing that stands out from the table is
turned about its upright axis, and the turns under which it still looks like itself are kept.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from keypoint_core.correspondence.patches import ALIKE, LiveImage, Patches
from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry import camera
from keypoint_core.geometry.table import Table
from keypoint_core.types import Float64, Frame

STANDS_OUT = 0.006  # a pixel this high over the table belongs to a thing [m]
HIGHEST = 0.3  # and one higher than this to something else [m]
_TOP = 0.85  # share of a thing's height from which on it is its top
_STEP = 15.0  # between the turns that are tried [deg]
_APART = 8.0  # a corner and its look-alike lie this far from each other [px]
_SHARE = 0.2  # of a thing's corners that must look alike under a turn
_LEAST = 5  # and so many of them
_MOST = 8  # turns of a thing that are kept


def turned_alike(reference: Reference, corners: Patches) -> Float64:
    """Turns [S, 4, 4] of the reference's optical frame under which a thing in it looks like itself.

    Args:
        reference: with depth.
        corners: of the reference, on the things that matter.
    """
    table = Table.of(np.asarray(reference.depth), reference.intrinsics)
    if table is None:
        return np.empty((0, 4, 4))
    labels = _things(reference, table)
    pixels = np.round(corners.surfaces.pixels).astype(np.int64)
    owner = labels[pixels[:, 1], pixels[:, 0]]
    live = LiveImage.of(Frame(0, reference.color, reference.depth, reference.intrinsics))
    kept: list[Float64] = []
    for thing in np.unique(owner[owner > 0]):
        mine = owner == thing
        if mine.sum() < _LEAST:
            continue
        middles = _middles(reference, labels == thing, table)
        turns = np.concatenate([_turns(table.normal, middle) for middle in middles])
        evidence = corners.examine(live, turns, 3, brief=True)
        apart = np.linalg.norm(evidence.pixels - corners.surfaces.pixels, axis=2) >= _APART
        alike = ((evidence.correlation >= ALIKE) & apart)[:, mine].sum(axis=1)  # false for NaN
        order = np.argsort(-alike, kind="stable")[:_MOST]
        kept += list(turns[order[alike[order] >= max(_LEAST, _SHARE * mine.sum())]])
    return np.array(kept).reshape(-1, 4, 4)


def things_of(reference: Reference) -> NDArray[np.int32]:
    """[H, W] number of the thing at each pixel of a reference with depth, its rim included; 0 for none."""
    table = Table.of(np.asarray(reference.depth), reference.intrinsics)
    if table is None:
        return np.zeros(reference.color.shape[:2], np.int32)
    grown = cv2.dilate(_things(reference, table).astype(np.float32), np.ones((5, 5), np.uint8))
    return np.asarray(grown, dtype=np.int32)


def _things(reference: Reference, table: Table) -> NDArray[np.int32]:
    """[H, W] number of the thing at each pixel, 0 for none."""
    height, width = reference.color.shape[:2]
    v, u = np.mgrid[:height, :width]
    pixels = np.column_stack([u.ravel(), v.ravel()]).astype(np.float64)
    points = camera.deproject(pixels, np.asarray(reference.depth).ravel(), reference.intrinsics)
    over = table.height(points).reshape(height, width)
    stands_out = ((over > STANDS_OUT) & (over < HIGHEST)).astype(np.uint8)  # false for NaN
    closed = cv2.morphologyEx(stands_out, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.connectedComponents(closed)[1], dtype=np.int32)


def _middles(reference: Reference, thing: NDArray[np.bool_], table: Table) -> list[Float64]:
    """Points [3] that the upright axis of a thing [H, W] may go through: the middle of all of it, and of its top.

    From above, a handle or a spout moves the middle of a pot, but not that of its lid.
    """
    v, u = np.nonzero(thing)
    pixels = np.column_stack([u, v]).astype(np.float64)
    points = camera.deproject(pixels, np.asarray(reference.depth)[v, u], reference.intrinsics)
    points = points[np.isfinite(points).all(axis=1)]
    height = table.height(points)
    middles = []
    for part in (points, points[height >= _TOP * np.percentile(height, 99)]):
        flat = part @ table.axes.T
        low, high = np.percentile(flat, 1, axis=0), np.percentile(flat, 99, axis=0)
        middles.append((low + high) / 2 @ table.axes - table.offset * table.normal)
    return middles


def _turns(normal: Float64, middle: Float64) -> Float64:
    """Turns [K, 4, 4] about an axis through `middle`."""
    angles = np.deg2rad(np.arange(_STEP, 360.0, _STEP))
    turns = np.tile(np.eye(4), (len(angles), 1, 1))
    turns[:, :3, :3] = Rotation.from_rotvec(angles[:, None] * normal).as_matrix()
    turns[:, :3, 3] = middle - np.einsum("kij,j->ki", turns[:, :3, :3], middle)
    return turns

"""Where the reference resembles itself: a turn of a patterned lid, the next of a row of keys.

A live view of something that repeats fits several poses nearly as well. They are found once, on the reference, and
tried beside each pose, so that what speaks for the wrong one is held against what speaks for the right one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.correspondence.hypotheses import HypothesisSettings, find_hypotheses
from keypoint_core.correspondence.matches import Matches
from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry.lifting import lift
from keypoint_core.types import Float64, Frame

_NEIGHBOURS = 7  # look-alikes of a feature that are considered
_APART = 10.0  # a feature and its look-alike lie this far from each other [px]
_CONTRAST = 0.01  # of SIFT, as in matching
_ALIKE = 0.55  # distance of descriptors of length 1
_LEAST = 6  # features that must agree on a symmetry
_MOST = 8  # symmetries, with their inverses twice as many


def self_similarities(reference: Reference, mask: NDArray[np.uint8]) -> Float64:
    """Rigid motions [S, 4, 4] of the reference's optical frame that carry a part of what it shows onto another part.

    Args:
        reference: with depth.
        mask: [H, W], 255 where to look.
    """
    gray = cv2.cvtColor(reference.color, cv2.COLOR_RGB2GRAY)
    keypoints, descriptors = cv2.SIFT.create(contrastThreshold=_CONTRAST).detectAndCompute(gray, mask)
    if descriptors is None or len(keypoints) <= _NEIGHBOURS:
        return np.empty((0, 4, 4))
    descriptors = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    pixels = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64)
    points = lift(reference.depth, pixels, reference.intrinsics)
    pairs = np.array(
        [
            (match.queryIdx, match.trainIdx)
            for found in cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, descriptors, k=_NEIGHBOURS)
            for match in found
            if match.distance <= _ALIKE
        ],
        dtype=np.int64,
    ).reshape(-1, 2)
    far = np.linalg.norm(pixels[pairs[:, 0]] - pixels[pairs[:, 1]], axis=1) >= _APART
    source, target = pairs[far & np.isfinite(points[pairs[:, 0]]).all(axis=1)].T
    matches = Matches(points[source], pixels[source], pixels[target], np.ones(len(source)))
    frame = Frame(0, reference.color, reference.depth, reference.intrinsics)
    settings = HypothesisSettings(most=_MOST, least=_LEAST)
    found_poses = [hypothesis.matrix for hypothesis in find_hypotheses(matches, frame, settings)]
    return np.array([*found_poses, *(np.linalg.inv(pose) for pose in found_poses)]).reshape(-1, 4, 4)

"""OpenCV's rational lens distortion and its inverse, on coordinates (x, y) at unit depth.

Formulas: OpenCV manual, "Camera Calibration and 3D Reconstruction". Coefficients k1 k2 p1 p2 [k3 [k4 k5 k6]].
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np

from keypoint_core.types import Float32, Float64

Plane = TypeVar("Plane", Float32, Float64)

_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-10)
_NEWTON_STEPS = 4
_STEP = 1e-6


def distort(x: Plane, y: Plane, coefficients: tuple[float, ...]) -> tuple[Plane, Plane]:
    """Ideal to distorted coordinates.

    Args:
        x, y: [N] float32 or float64, computed in that precision.
        coefficients: 0, 4, 5 or 8 of them.
    """
    if not coefficients:
        return x, y
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *(0.0,) * (8 - len(coefficients)))
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    if len(coefficients) == 8:
        radial /= 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    cross = 2 * x * y
    return x * radial + (p1 * cross + p2 * (r2 + 2 * x * x)), y * radial + (p1 * (r2 + 2 * y * y) + p2 * cross)


def undistort(distorted: Float64, coefficients: tuple[float, ...]) -> Float64:
    """Distorted to ideal coordinates.

    OpenCV's fixed-point iteration comes close and Newton's steps finish: near the corners of wide lenses the first
    alone leaves errors of tenths of a pixel.

    Args:
        distorted: [N, 2], finite.
        coefficients: 0, 4, 5 or 8 of them.

    Returns:
        [N, 2]. Beyond the calibrated field, where the model folds over, the result does not distort back.
    """
    if not coefficients:
        return distorted
    eye = np.eye(3)
    start = cv2.undistortPointsIter(distorted[:, None], eye, np.array(coefficients), eye, eye, _STOP)
    x, y = np.asarray(start[:, 0], dtype=np.float64).T
    for _ in range(_NEWTON_STEPS):
        u, v = distort(x, y, coefficients)
        ux, vx = distort(x + _STEP, y, coefficients)
        uy, vy = distort(x, y + _STEP, coefficients)
        a, b, c, d = (ux - u) / _STEP, (uy - u) / _STEP, (vx - v) / _STEP, (vy - v) / _STEP
        determinant = a * d - b * c
        safe = np.where(np.abs(determinant) > 1e-3, determinant, np.inf)  # no step where the model folds over
        du, dv = distorted[:, 0] - u, distorted[:, 1] - v
        x, y = x + (d * du - b * dv) / safe, y + (a * dv - c * du) / safe
    return np.stack([x, y], axis=1)

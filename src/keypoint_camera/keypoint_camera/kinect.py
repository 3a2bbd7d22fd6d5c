"""What the Azure Kinect and its recordings have in common: pyk4a, calibration, captures -> frames."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_camera.errors import CameraError
from keypoint_camera.frames import CapturedFrame
from keypoint_camera.view import View
from keypoint_core.errors import MissingDependencyError
from keypoint_core.geometry.registration import DepthRegistration
from keypoint_core.types import Float64, Intrinsics

_METRES = np.float32(1e-3)  # per millimetre


def load_pyk4a() -> ModuleType:
    """The module pyk4a, which is imported only when asked for.

    Raises:
        MissingDependencyError: it is not installed, or cannot be imported; the message says what to do.
    """
    try:
        import pyk4a
    except ImportError as error:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise MissingDependencyError(
            f"Azure Kinect: pyk4a cannot be imported ({error}). Install it with 'pip install -r "
            f"requirements-hardware.txt'. It needs numpy < 2 (found {np.__version__}; with numpy 2 it says that libk4a "
            f"is missing) and Python <= 3.12 (found {python})"
        ) from error
    module: ModuleType = pyk4a
    return module


def intrinsics_of(calibration: Any, kind: Any, image: tuple[int, ...]) -> Intrinsics:
    """Intrinsics of one of the camera's sensors in the mode that it runs in.

    Args:
        calibration: pyk4a's Calibration.
        kind: pyk4a's CalibrationType of the sensor.
        image: shape of its images (H, W, ...).
    """
    matrix = calibration.get_camera_matrix(kind)
    distortion = tuple(float(value) for value in calibration.get_distortion_coefficients(kind))
    fx, fy, cx, cy = (float(matrix[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return Intrinsics(image[1], image[0], fx, fy, cx, cy, distortion if any(distortion) else ())


def color_from_depth(calibration: Any) -> Float64:
    """[4, 4] depth optical frame to colour optical frame [m]."""
    kinds = load_pyk4a().CalibrationType
    pose = np.eye(4)
    rotation, translation = calibration.get_extrinsic_parameters(kinds.DEPTH, kinds.COLOR)
    pose[:3, :3], pose[:3, 3] = rotation, np.ravel(translation)
    return pose


class CaptureConverter:
    """Makes frames of captures.

    The SDK's own registration of depth runs on OpenGL and gives nothing, silently, where there is no screen. So depth
    is always registered by keypoint_core, straight into the camera that the view shows: 8 ms instead of the SDK's 17,
    and no second sampling of the depth.

    Args:
        calibration: pyk4a's Calibration.
        view: what of the image to show.
    """

    def __init__(self, calibration: Any, view: View) -> None:
        self._calibration, self._view = calibration, view
        self._kinds = load_pyk4a().CalibrationType
        self._color: Intrinsics | None = None
        self._registration: DepthRegistration | None = None

    def convert(self, capture: Any, stamp: int, received: int) -> CapturedFrame | None:
        """The frame of a capture; None where colour or depth is missing.

        Args:
            capture: pyk4a's PyK4ACapture.
            stamp: exposure [ns].
            received: when it came in, by the system clock [ns].

        Raises:
            CameraError: colour is neither BGRA nor MJPG.
        """
        if capture.color is None or capture.depth is None:
            return None
        bgr = _decode(capture.color)
        if self._color is None or self._registration is None:
            self._color = intrinsics_of(self._calibration, self._kinds.COLOR, bgr.shape)
            depth = intrinsics_of(self._calibration, self._kinds.DEPTH, capture.depth.shape)
            target = self._view.intrinsics(self._color)
            self._registration = DepthRegistration(depth, target, color_from_depth(self._calibration))
        bgr = self._view.image(bgr, self._color)
        return CapturedFrame(
            stamp=stamp,
            color=cv2.cvtColor(bgr, cv2.COLOR_BGRA2RGB if bgr.shape[2] == 4 else cv2.COLOR_BGR2RGB),
            depth=self._registration.register(capture.depth.astype(np.float32) * _METRES),
            intrinsics=self._view.intrinsics(self._color),
            received=received,
        )


def _decode(color: NDArray[Any]) -> NDArray[np.uint8]:
    """[H, W, 3 or 4] uint8 BGR(A) from BGRA or from a JPEG file [n]."""
    if color.ndim == 3 and color.shape[2] == 4:
        return color
    image = cv2.imdecode(color, cv2.IMREAD_COLOR) if color.ndim == 1 else None
    if image is None:
        raise CameraError(f"Azure Kinect: expected colour as BGRA32 or MJPG, got an array {color.shape} {color.dtype}")
    return np.asarray(image, dtype=np.uint8)

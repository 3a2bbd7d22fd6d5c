"""Images as they are published and as they lie in bags."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
TO_BGR = {"rgb8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR}
METRES = np.float32(1e-3)  # per millimetre


def pixels_of(image: Any, kind: type[np.generic], channels: int) -> NDArray[Any]:
    """A sensor_msgs/Image as [H, W, channels] of a little- or big-endian kind. Raises InputError on too little data."""
    number = np.dtype(kind).newbyteorder(">" if image.is_bigendian else "<")
    width = image.width * channels * number.itemsize
    if image.step < width or len(image.data) < image.step * image.height:
        raise InputError(
            f"image {image.width}x{image.height} {image.encoding} needs rows of {width} bytes, "
            f"got step {image.step} and {len(image.data)} bytes"
        )
    rows = image.data[: image.step * image.height].reshape(image.height, image.step)[:, :width]
    return np.ascontiguousarray(rows).view(number).reshape(image.height, image.width, channels)


def encode_jpeg(image: Any, quality: int) -> NDArray[np.uint8]:
    """Encodes a sensor_msgs/Image as JPEG.

    Args:
        image: of encoding rgb8, bgr8, rgba8, bgra8 or mono8.
        quality: 1..100.

    Returns:
        The file [n] uint8.

    Raises:
        InputError: of another encoding.
    """
    channels = CHANNELS.get(image.encoding)
    if channels is None:
        raise InputError(f"cannot compress images of encoding '{image.encoding}'; known: {', '.join(CHANNELS)}")
    pixels = pixels_of(image, np.uint8, channels)
    if image.encoding in TO_BGR:
        pixels = cv2.cvtColor(pixels, TO_BGR[image.encoding])
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].reshape(-1)


def decode_jpeg(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decodes a JPEG file [n] uint8 to [H, W, 3] uint8 RGB. Raises InputError where it is damaged."""
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{len(data)} bytes are not a JPEG image")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def in_millimetres(depth: Float32) -> NDArray[np.uint16] | None:
    """Depth in whole millimetres, 0 where invalid, if `decode_depth` gives back the very same values; else None.

    Args:
        depth: [H, W] float32 [m], NaN or 0 where invalid.
    """
    known = depth.copy()
    cv2.patchNaNs(known, 0.0)
    whole = np.rint(known * np.float32(1e3))
    if not np.array_equal(whole * METRES, known) or whole.min() < 0 or whole.max() > np.iinfo(np.uint16).max:
        return None
    return whole.astype(np.uint16)


def decode_depth(image: Any) -> Float32:
    """Depth of a sensor_msgs/Image as [H, W] float32 [m], NaN where invalid (REP-118: 32FC1 in m, 16UC1 in mm).

    Raises:
        InputError: of another encoding.
    """
    if image.encoding not in ("32FC1", "16UC1"):
        raise InputError(f"depth must be of encoding 32FC1 or 16UC1 (REP-118), got '{image.encoding}'")
    values = pixels_of(image, np.float32 if image.encoding == "32FC1" else np.uint16, 1)[..., 0].astype(np.float32)
    depth = values if image.encoding == "32FC1" else values * METRES
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))

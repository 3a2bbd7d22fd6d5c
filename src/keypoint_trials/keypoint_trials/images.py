"""Images as they are published and as they lie in bags."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from keypoint_core.errors import InputError
from keypoint_core.types import Float32
from numpy.typing import NDArray

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
TO_BGR = {"rgb8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR}


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
    rows = image.data.reshape(image.height, image.step)[:, : image.width * channels]
    pixels = rows.reshape(image.height, image.width, channels)
    if image.encoding in TO_BGR:
        pixels = cv2.cvtColor(pixels, TO_BGR[image.encoding])
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].reshape(-1)


def decode_jpeg(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decodes a JPEG file [n] uint8 to [H, W, 3] uint8 RGB. Raises InputError where it is damaged."""
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{len(data)} bytes are not a JPEG image")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def decode_depth(image: Any) -> Float32:
    """Depth of a sensor_msgs/Image as [H, W] float32 [m], NaN where invalid (REP-118: 32FC1 in m, 16UC1 in mm).

    Raises:
        InputError: of another encoding.
    """
    if image.encoding not in ("32FC1", "16UC1"):
        raise InputError(f"depth must be of encoding 32FC1 or 16UC1 (REP-118), got '{image.encoding}'")
    kind = np.dtype(np.float32 if image.encoding == "32FC1" else np.uint16)
    kind = kind.newbyteorder(">" if image.is_bigendian else "<")
    rows = image.data.reshape(image.height, image.step)[:, : image.width * kind.itemsize]
    values = np.ascontiguousarray(rows).view(kind).astype(np.float32)
    depth = values if image.encoding == "32FC1" else values * np.float32(1e-3)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))

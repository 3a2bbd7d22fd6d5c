"""Frames of a video, of a folder of pictures, or of a recording of this stack, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import SECOND, Frame, Intrinsics
from keypoint_trials.bag import BagError
from keypoint_trials.images import CHANNELS, decode_jpeg, pixels_of
from keypoint_trials.reader import COLOR, intrinsics_of, iterate, stamp_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
RATE = 30.0  # of pictures in a folder, and of a video without times [1/s]
_RAW = "camera/color/image_raw"
_INFO = "camera/color/camera_info"
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}
Picture = tuple[int, NDArray[np.uint8]]  # stamp [ns] and [H, W, 3] RGB


class PictureSource:
    """Frames one by one; memory holds one at a time, however long the video is.

    Args:
        path: of a video, a folder of pictures (taken in the order of their names), or a bag that the recorder wrote.
        rate: of the pictures in a folder [1/s].

    Raises:
        InputError: there is nothing of that name, or nothing to read in it.
    """

    def __init__(self, path: Path, rate: float = RATE) -> None:
        if not path.exists():
            raise InputError(f"there is no {path}; give a video, a folder of pictures, or a recorded bag")
        if not rate > 0:
            raise InputError(f"the rate must be positive, got {rate}")
        self.path, self._rate = path, rate
        bag = bag_folder(path)
        self.calibration = None if bag is None else _bag_intrinsics(bag)
        self._pictures = _bag(bag) if bag else _folder(path, rate) if path.is_dir() else _video(path)

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames, once; stamps ascend.

        Raises:
            InputError: a frame is damaged, or has another size than the first.
        """
        intrinsics, last = self.calibration, -1
        for index, (stamp, color) in enumerate(self._pictures):
            height, width = color.shape[:2]
            intrinsics = intrinsics or nominal_intrinsics(width, height)
            if (width, height) != (intrinsics.width, intrinsics.height):
                raise InputError(
                    f"{self.path.name}: frame {index} has {width}x{height} pixels, expected "
                    f"{intrinsics.width}x{intrinsics.height} as before; cut it there and give the parts one by one"
                )
            last = max(stamp, last + 1)
            yield Frame(last, color, None, intrinsics)
        if intrinsics is None or last < 0:
            raise InputError(f"{self.path}: holds no picture")


def nominal_intrinsics(width: int, height: int) -> Intrinsics:
    """Of a camera that nobody calibrated: as many pixels of focal length as the image is wide (53 degrees of view)."""
    return Intrinsics(width, height, float(width), float(width), (width - 1) / 2, (height - 1) / 2)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture file as [H, W, 3] uint8 RGB, turned as its EXIF entry says. Raises InputError if it cannot be read."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        what = "cannot be read as a picture" if path.is_file() else "is not there"
        raise InputError(f"{path} {what}; known kinds: {', '.join(SUFFIXES)}")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def bag_folder(path: Path) -> Path | None:
    """The folder of the bag that `path` is or lies in; None where it is no bag."""
    folder = path.parent if path.suffix in (".mcap", ".db3") else path
    return folder if (folder / "metadata.yaml").is_file() else None


def _video(path: Path) -> Iterator[Picture]:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path} cannot be read as a video: {error}") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{path} has no picture in it, only {', '.join(s.type for s in container.streams)}")
        period = 1 / float(container.streams.video[0].average_rate or RATE)
        for index, frame in enumerate(_decoded(container, path)):
            time = index * period if frame.time is None else frame.time
            yield round(time * SECOND), _upright(frame)


def _decoded(container: Any, path: Path) -> Iterator[Any]:
    """Frames of a container; damaged packets are left out, and told once all others were read."""
    damaged = 0
    packets = container.demux(video=0)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            yield from packet.decode()
        except av.FFmpegError:
            damaged += 1
    if damaged:
        raise InputError(
            f"{path.name} is damaged: {damaged} of its packets cannot be decoded, their frames are missing"
        )


def _upright(frame: Any) -> NDArray[np.uint8]:
    """[H, W, 3] RGB, turned as phones ask for."""
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters))


def _folder(path: Path, rate: float) -> Iterator[Picture]:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{path} holds no picture ({', '.join(SUFFIXES)}) and no bag")
    for index, file in zip(count(), files, strict=False):
        yield round(index * SECOND / rate), read_picture(file)


def _bag(folder: Path) -> Iterator[Picture]:
    for topic, _, message in iterate(folder, only=(COLOR, _RAW)):
        yield stamp_of(message), decode_jpeg(message.data) if topic == COLOR else _decode(message)


def _decode(message: Any) -> NDArray[np.uint8]:
    """[H, W, 3] RGB of a sensor_msgs/Image."""
    if message.encoding not in CHANNELS:
        raise InputError(f"images of encoding '{message.encoding}' are not known; known: {', '.join(CHANNELS)}")
    pixels = pixels_of(message, np.uint8, CHANNELS[message.encoding])
    code = _TO_RGB.get(message.encoding)
    return pixels if code is None else np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)


def _bag_intrinsics(folder: Path) -> Intrinsics | None:
    """Of the camera, as the bag says."""
    try:
        return next((intrinsics_of(message) for _, _, message in iterate(folder, only=(_INFO,))), None)
    except BagError as error:
        raise InputError(str(error)) from error

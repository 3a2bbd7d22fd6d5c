"""Frames of an Azure Kinect recording (k4arecorder's MKV)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keypoint_camera.kinect import CaptureConverter, load_pyk4a
from keypoint_camera.view import View
from keypoint_core.errors import InputError
from keypoint_core.types import Frame


def mkv_frames(path: Path, view: View) -> Iterator[Frame]:
    """Yields the captures that hold colour and depth; stamps are the device's clock [ns].

    Raises:
        MissingDependencyError: pyk4a cannot be imported.
        InputError: the file cannot be played.
    """
    sdk = load_pyk4a()
    playback = sdk.PyK4APlayback(path)
    try:
        playback.open()
        try:
            yield from _frames(playback, view)
        finally:
            playback.close()
    except sdk.K4AException as error:
        raise InputError(
            f"cannot play {path}: {str(error) or 'no Azure Kinect recording with a calibration'}"
        ) from error


def _frames(playback: Any, view: View) -> Iterator[Frame]:
    converter = CaptureConverter(playback.calibration, view)
    while True:
        try:
            capture = playback.get_next_capture()
        except EOFError:
            return
        stamp = capture.color_timestamp_usec * 1000
        frame = converter.convert(capture, stamp, received=stamp)
        if frame is not None:
            yield Frame(frame.stamp, frame.color, frame.depth, frame.intrinsics)

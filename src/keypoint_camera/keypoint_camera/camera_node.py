"""The camera: publishes frames of a real camera or of a recording, and says how the camera is.

Topics out: camera/*, timing, /diagnostics. A camera that is absent, vanishes, hangs or freezes never ends the node: it is
reported and opened again. Nothing is published meanwhile, and whoever needs frames refuses old ones by their age.
"""

from __future__ import annotations

import time

import cv2
from keypoint_interfaces.msg import StageTiming

from keypoint_camera import CAMERAS
from keypoint_camera.parameters import CameraParameters
from keypoint_camera.reader import CameraReader
from keypoint_camera.view import View
from keypoint_core.errors import InputError
from keypoint_core.protocols import Camera
from keypoint_core.types import SECOND, Frame
from keypoint_ros.camera import CameraPublisher
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.parameters import declare_parameters
from keypoint_ros.timing import TimingPublisher

_CHECK_PERIOD = 0.2  # [s]


class CameraNode(KeypointNode):
    """Owns one camera, whose back end is chosen by name."""

    Parameters = CameraParameters

    def __init__(self) -> None:
        super().__init__("camera")
        self._camera_class = CAMERAS.load(self.parameters.backend)
        self._camera_parameters = declare_parameters(self, self._camera_class.Parameters)
        self._view = View.from_parameters(self.parameters)
        self._camera: Camera | None = None
        self._reader: CameraReader | None = None
        self._faulty = False
        self._publisher = CameraPublisher(self)
        self._timing = TimingPublisher(self, StageTiming.CAMERA)
        self.create_timer(_CHECK_PERIOD, self._check)

    def configure(self) -> None:
        """Makes the back end; what can be wrong without a camera (a package, a file) is found here."""
        cv2.setNumThreads(1)
        self._camera = self._camera_class(self._camera_parameters, self._view)

    def activate(self) -> None:
        """Starts the reader, which opens the camera and keeps trying."""
        if self._camera is None:
            raise InputError("the camera node must be configured first")
        p = self.parameters
        self._faulty = True  # until the first frame
        self._reader = CameraReader(
            self._camera,
            self._view,
            p.frozen_after,
            p.reconnect_period,
            self._publish,
            self._fault,
            self._end,
        )
        self._reader.start()

    def deactivate(self) -> None:
        """Ends the reader and closes the camera."""
        if self._reader is not None:
            self._reader.stop()
            self._reader = None

    def _publish(self, frame: Frame, received: int) -> None:
        """In the reader's thread."""
        self._publisher.publish(frame)
        finished = time.time_ns()
        self._timing.publish(frame.stamp, received, (finished - received) / SECOND, finished)
        self.diagnostics.tick("frames")
        if self._faulty:
            self._faulty = False
            self.diagnostics.ok()
            size = f"{frame.intrinsics.width}x{frame.intrinsics.height}"
            self.get_logger().info(f"{self.parameters.backend} streams {size}")

    def _fault(self, message: str) -> None:
        """In the reader's thread."""
        self._faulty = True
        self.diagnostics.count("reconnections")
        self.report(f"{self.parameters.backend}: {message}; trying again")

    def _end(self, message: str) -> None:
        """In the reader's thread."""
        self.diagnostics.ok(message)
        self.get_logger().info(message)

    def _check(self) -> None:
        """A driver that hangs cannot say so itself."""
        reader = self._reader
        if reader is not None and reader.waiting > self.parameters.timeout:
            self._faulty = True
            self.report(f"{self.parameters.backend}: no frame for {reader.waiting:.1f} s")


def main() -> None:
    """Runs the node."""
    run(CameraNode)

"""The Azure Kinect through pyk4a: 1280x720 colour and NFOV unbinned depth, exposed together.

What was not tried on a camera, since none was at hand: streaming itself, unplugging, and the stamps' true offset.
Everything behind the capture (calibration, rectification, registration) is tested on a synthetic recording.
"""

from __future__ import annotations

import time
from typing import Any

from keypoint_camera.clock import ExposureClock, system_minus_monotonic
from keypoint_camera.errors import CameraError
from keypoint_camera.kinect import CaptureConverter, load_pyk4a
from keypoint_camera.parameters import AzureKinectParameters
from keypoint_camera.view import View
from keypoint_core.types import Frame

START_TIMEOUT = 4000  # the first frame takes 0.8 s and more [ms]
WARM_UP = 5  # captures that are not handed out: late and badly exposed, they only feed the clock
MICROSECOND = 1000  # [ns]

_HINTS = (
    "check that it has a USB 3 port of its own and its power supply; that /etc/udev/rules.d/99-k4a.rules of the Azure "
    "Kinect SDK is installed and the camera was plugged in after that; that no other program uses it (k4aviewer); and "
    "read the SDK's own words above"
)


class AzureKinect:
    """`Camera` that always hands out the newest capture; see `CaptureConverter` and `ExposureClock`.

    Args:
        parameters: of this back end.
        view: what of the image to show.

    Raises:
        MissingDependencyError: pyk4a cannot be imported.
    """

    Parameters = AzureKinectParameters

    def __init__(self, parameters: AzureKinectParameters, view: View) -> None:
        self._parameters, self._view = parameters, view
        self._sdk = load_pyk4a()
        self._device: Any = None
        self._converter: CaptureConverter | None = None
        self._clock = ExposureClock()

    def open(self) -> None:
        """Connects and starts streaming. Raises CameraError saying what to check where there is no camera."""
        self.close()
        device = self._find()
        self._device = device
        try:
            device.start()
            self._converter = CaptureConverter(device.calibration, self._view)
            self._clock = ExposureClock(self._parameters.stamp_offset)
            for _ in range(WARM_UP):
                capture = device.get_capture(timeout=START_TIMEOUT)
                if capture.color is not None:
                    self._stamp(capture)
        except self._sdk.K4AException as error:
            self.close()
            raise CameraError(f"the Azure Kinect does not start; {_HINTS}") from error

    def read(self) -> Frame:
        """Blocks until the next frame. Raises CameraError when none comes in time or the camera vanished."""
        while True:
            capture = self._newest()
            if self._converter is None or capture.color is None:
                continue
            frame = self._converter.convert(capture, *self._stamp(capture))
            if frame is not None:
                return frame

    def close(self) -> None:
        """Stops streaming."""
        device, self._device = self._device, None
        if device is None or not device.opened:
            return  # the SDK crashes when a device is stopped that is not open
        try:
            if device.is_running:
                device.stop()
            else:
                device.close()
        except self._sdk.K4AException:
            device.is_running = False  # it is gone; nobody shall stop it once more

    def _find(self) -> Any:
        """The device with the serial number or index asked for, open."""
        count = self._sdk.connected_device_count()
        serials = []
        p = self._parameters
        for index in range(count) if p.serial else [p.index]:
            device = self._sdk.PyK4A(config=self._config(), device_id=index)
            try:
                device.open()
                serial = device.serial
            except self._sdk.K4AException as error:
                raise CameraError(f"no answer from Azure Kinect {index} ({count} connected); {_HINTS}") from error
            if p.serial in ("", serial):
                return device
            device.close()
            serials.append(serial)
        found = ", ".join(serials) or "none"
        raise CameraError(f"no Azure Kinect with the serial number '{p.serial}' (connected: {found}); {_HINTS}")

    def _config(self) -> Any:
        sdk = self._sdk
        rates = {5: sdk.FPS.FPS_5, 15: sdk.FPS.FPS_15, 30: sdk.FPS.FPS_30}
        return sdk.Config(
            color_resolution=sdk.ColorResolution.RES_720P,
            color_format=sdk.ImageFormat.COLOR_BGRA32,
            depth_mode=sdk.DepthMode.NFOV_UNBINNED,
            camera_fps=rates[self._parameters.fps],
            synchronized_images_only=True,
        )

    def _newest(self) -> Any:
        """Waits for a capture, then takes whatever else has queued up, so that delay cannot build up."""
        if self._device is None:
            raise CameraError("the Azure Kinect is not open")
        timeout = round(self._parameters.frame_timeout * 1e3)
        try:
            capture = self._device.get_capture(timeout=timeout)
            while True:
                try:
                    capture = self._device.get_capture(timeout=0)
                except self._sdk.K4ATimeoutException:
                    return capture
        except self._sdk.K4ATimeoutException as error:
            raise CameraError(f"no frame from the Azure Kinect for {timeout * 1e-3:g} s") from error
        except self._sdk.K4AException as error:
            raise CameraError("the Azure Kinect vanished; check its cable and power") from error

    def _stamp(self, capture: Any) -> tuple[int, int]:
        """Exposure of the colour image and its arrival, both by the system clock [ns]."""
        device = capture.color_timestamp_usec * MICROSECOND  # the middle of the exposure
        arrival = capture.color_system_timestamp_nsec or time.monotonic_ns()
        return self._clock.stamp(device, arrival), arrival + system_minus_monotonic()

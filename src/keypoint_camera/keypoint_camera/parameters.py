"""Parameters of the camera node and its back ends."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_core.errors import InputError
from keypoint_core.parameters import parameter

FRAME_RATES = (5, 15, 30)  # of the Azure Kinect


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of the camera node."""

    backend: str = parameter("azure_kinect", "where frames come from: a name of keypoint_camera")
    roi_x: int = parameter(
        320, "left column of the published region; an image that has its size is left whole", unit="px", minimum=0
    )
    roi_y: int = parameter(120, "top row of the published region", unit="px", minimum=0)
    roi_width: int = parameter(640, "width of the published region; 0: the whole image", unit="px", minimum=0)
    roi_height: int = parameter(480, "height of the published region; 0: the whole image", unit="px", minimum=0)
    rectify: bool = parameter(
        True, "take the lens distortion out of colour and depth; the pinhole keeps fx, fy, cx and cy"
    )
    timeout: float = parameter(
        2.0, "silence of the camera that is reported as a fault", unit="s", minimum=0.1, maximum=60.0
    )
    frozen_after: int = parameter(
        15, "equal colour images in a row that count as a frozen camera; 0: never", unit="frames", minimum=0
    )
    reconnect_period: float = parameter(
        2.0, "wait before a camera that failed is opened again", unit="s", minimum=0.01, maximum=60.0
    )

    def __post_init__(self) -> None:
        if (self.roi_width == 0) != (self.roi_height == 0):
            raise InputError(
                f"roi_width and roi_height must both be 0 or both be positive, got {self.roi_width}x{self.roi_height}"
            )


@dataclass(frozen=True)
class AzureKinectParameters:
    """Parameters of the back end `azure_kinect`; the colour camera runs at 1280x720."""

    fps: int = parameter(15, "frames per second: 5, 15 or 30", unit="1/s", minimum=5, maximum=30)
    serial: str = parameter("", "serial number of the camera to use; empty: the one of that index")
    index: int = parameter(0, "which of the connected cameras, where no serial number is given", minimum=0)
    stamp_offset: float = parameter(
        0.0,
        "added to every stamp; minus the shortest time from exposure to arrival on this machine, once measured",
        unit="s",
        minimum=-0.2,
        maximum=0.2,
    )
    frame_timeout: float = parameter(1.0, "wait for a frame of the running camera", unit="s", minimum=0.1, maximum=60.0)

    def __post_init__(self) -> None:
        if self.fps not in FRAME_RATES:
            raise InputError(f"fps: the Azure Kinect knows {', '.join(map(str, FRAME_RATES))}, got {self.fps}")


@dataclass(frozen=True)
class ReplayParameters:
    """Parameters of the back end `replay`."""

    file: str = parameter("", "a bag's folder recorded by this stack, or an Azure Kinect recording (.mkv)")
    loop: bool = parameter(False, "begin anew at the end")

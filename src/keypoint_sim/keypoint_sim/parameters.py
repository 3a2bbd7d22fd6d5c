"""Parameters of the sim node."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_core.parameters import parameter
from keypoint_sim.disturbances.settings import DisturbanceSettings
from keypoint_sim.sensor import SensorNoise
from keypoint_sim.settings import CameraSettings, Timing


@dataclass(frozen=True)
class SimParameters(DisturbanceSettings):
    """Parameters of the sim node; those of disturbances are among them."""

    mode: str = parameter("lockstep", "how time goes on", choices=("lockstep", "real_time"))
    task: str = parameter("clock_button", "a name of keypoint_sim.tasks")
    robot: str = parameter("hebi_chopsticks", "a name of keypoint_core.robots")
    condition: str = parameter("rp", "disturbances of scenes whose request names none")
    seed: int = parameter(0, "of the scene at the start", minimum=0, maximum=2**31 - 1)
    camera_rate: int = parameter(15, "exposures per second", unit="1/s", minimum=1, maximum=60)
    publish_camera: bool = parameter(True, "false: another node is the camera, and this one only the robot")
    frame_jitter: float = parameter(0.0, "longest time that an exposure comes late", unit="s", minimum=0.0, maximum=1.0)
    frame_drop: float = parameter(0.0, "probability that a frame is lost", minimum=0.0, maximum=0.99)
    sensor_noise: bool = parameter(True, "false: colour and depth without any of a sensor's failures")
    roi_x: int = parameter(320, "left column of the region of the 1280x720 image that is drawn", unit="px", minimum=0)
    roi_y: int = parameter(120, "top row of that region", unit="px", minimum=0)
    roi_width: int = parameter(640, "its width", unit="px", minimum=1)
    roi_height: int = parameter(480, "its height", unit="px", minimum=1)
    latency: int = parameter(
        0,
        "lockstep: a command may derive from this many frames before; real time: pictures arrive this many frames late",
        unit="frames",
        minimum=0,
        maximum=30,
    )
    command_lifetime: float = parameter(
        0.25, "real time: a command older than this is replaced by standing still", unit="s", minimum=0.02, maximum=5.0
    )

    @property
    def timing(self) -> Timing:
        """The rates; raises InputError when the jitter does not fit them."""
        return Timing(camera_rate=self.camera_rate, frame_jitter=self.frame_jitter, frame_drop=self.frame_drop)

    @property
    def camera(self) -> CameraSettings:
        """The camera; raises InputError when the region leaves the image."""
        noise = SensorNoise() if self.sensor_noise else None
        return CameraSettings(self.roi_x, self.roi_y, self.roi_width, self.roi_height, noise=noise)

"""What can be set about the simulated world: its clock and its camera."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.errors import InputError
from keypoint_core.types import SECOND, Intrinsics


@dataclass(frozen=True)
class Timing:
    """The world's three rates.

    Attributes:
        physics_step: of the integrator [ns].
        control_period: between two commands of the arm [ns]; HEBI's default feedback rate.
        camera_rate: exposures per second, one of the Azure Kinect's modes [Hz].
    """

    physics_step: int = 2_000_000
    control_period: int = 10_000_000
    camera_rate: int = 15

    def __post_init__(self) -> None:
        if self.physics_step <= 0 or self.control_period % self.physics_step:
            raise InputError(
                f"control_period must be a whole number of physics steps, got {self.control_period} ns "
                f"and {self.physics_step} ns"
            )
        if not 0 < self.camera_rate <= SECOND // self.control_period:
            raise InputError(
                f"camera_rate must be within 1..{SECOND // self.control_period} Hz, got {self.camera_rate}"
            )

    @property
    def substeps(self) -> int:
        """Physics steps in one control tick."""
        return self.control_period // self.physics_step

    def frame_due(self, tick: int) -> bool:
        """Whether an exposure falls on this tick: the first one at or after k / camera_rate, for any k >= 0."""
        now = tick * self.control_period * self.camera_rate
        before = now - self.control_period * self.camera_rate
        return now // SECOND > before // SECOND


@dataclass(frozen=True)
class SensorNoise:
    """Failures of the simulated RGB-D sensor.

    Attributes:
        color_sigma: read noise of colour, in levels of 0..255.
        exposure_drift: amplitude of the slow change of gain, as a part of 1.
        depth_sigma: axial noise at 1 m [m]; it grows with the square of the distance.
        edge_step: a jump in depth that opens a hole [m].
        edge_loss: part of the pixels next to such a jump that get no depth.
        minimum_depth, maximum_depth: working range [m].
    """

    color_sigma: float = 2.0
    exposure_drift: float = 0.02
    depth_sigma: float = 0.0015
    edge_step: float = 0.02
    edge_loss: float = 0.6
    minimum_depth: float = 0.25
    maximum_depth: float = 3.0


@dataclass(frozen=True)
class CameraSettings:
    """A region of the Azure Kinect's 1280x720 colour image, at the same pixel density, on a stand before the robot.

    Attributes:
        width, height: of the region [px].
        fx, fy: focal lengths [px]; nominal for the 720p mode.
        cx, cy: principal point [px] in the region, which is cut out at (320, 120) of the full image.
        position: of the optical centre in the world [m].
        target: point that the optical axis goes through [m].
        noise: failures of the sensor; None for a perfect one.
    """

    width: int = 640
    height: int = 480
    fx: float = 607.0
    fy: float = 607.0
    cx: float = 318.0
    cy: float = 246.0
    position: tuple[float, float, float] = (1.10, 0.0, 0.56)
    target: tuple[float, float, float] = (0.40, 0.0, 0.18)
    noise: SensorNoise | None = field(default_factory=SensorNoise)

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the region."""
        return Intrinsics(self.width, self.height, self.fx, self.fy, self.cx, self.cy)

"""What can be set about the simulated world: its clock and its camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from keypoint_core.errors import InputError
from keypoint_core.types import SECOND, Intrinsics
from keypoint_sim.exposures import Exposures
from keypoint_sim.sensor import SensorNoise


@dataclass(frozen=True)
class Timing:
    """The world's three rates, and how regular the camera's is.

    Attributes:
        physics_step: of the integrator [ns].
        control_period: between two commands of the arm [ns]; HEBI's default feedback rate.
        camera_rate: exposures per second, one of the Azure Kinect's modes [Hz].
        frame_jitter: longest time that an exposure comes late [s].
        frame_drop: probability that a frame is lost; the first one of a scene never is.
    """

    physics_step: int = 2_000_000
    control_period: int = 10_000_000
    camera_rate: int = 15
    frame_jitter: float = 0.0
    frame_drop: float = 0.0

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
        longest = 1 / self.camera_rate - self.control_period / SECOND
        if not 0 <= self.frame_jitter <= longest:
            raise InputError(
                f"frame_jitter must be within 0..{longest:.4f} s (the frame interval less a control tick), "
                f"got {self.frame_jitter} s"
            )
        if not 0 <= self.frame_drop < 1:
            raise InputError(f"frame_drop must be within 0..1 and below 1, got {self.frame_drop}")

    @property
    def substeps(self) -> int:
        """Physics steps in one control tick."""
        return self.control_period // self.physics_step

    def frame_due(self, tick: int, seed: int = 0) -> bool:
        """Whether an exposure falls on this tick of the scene of this seed, which chooses jitter and lost frames."""
        return self._exposures.due(tick, seed)

    @cached_property
    def _exposures(self) -> Exposures:
        return Exposures(self.control_period, self.camera_rate, self.frame_jitter, self.frame_drop)


@dataclass(frozen=True)
class CameraSettings:
    """The Azure Kinect's 1280x720 colour mode, of which a region is drawn and given out, on a stand before the robot.

    Attributes:
        x, y, width, height: of the region in the full image [px].
        full_width, full_height: of the full image [px].
        fx, fy, cx, cy: focal lengths and principal point of the full image [px]; nominal for that mode.
        position: of the optical centre in the world [m].
        target: point that the optical axis goes through [m].
        noise: failures of the sensor; None for a perfect one.
    """

    x: int = 320
    y: int = 120
    width: int = 640
    height: int = 480
    full_width: int = 1280
    full_height: int = 720
    fx: float = 607.0
    fy: float = 607.0
    cx: float = 638.0
    cy: float = 366.0
    position: tuple[float, float, float] = (1.10, 0.0, 0.56)
    target: tuple[float, float, float] = (0.40, 0.0, 0.18)
    noise: SensorNoise | None = field(default_factory=SensorNoise)

    def __post_init__(self) -> None:
        fits = 0 <= self.x <= self.full_width - self.width and 0 <= self.y <= self.full_height - self.height
        if not fits or self.width <= 0 or self.height <= 0:
            raise InputError(
                f"the camera's region must lie within its {self.full_width}x{self.full_height} image, "
                f"got {self.width}x{self.height} at ({self.x}, {self.y})"
            )

    @property
    def intrinsics(self) -> Intrinsics:
        """Of the region."""
        return Intrinsics(self.width, self.height, self.fx, self.fy, self.cx - self.x, self.cy - self.y)

"""What can be set about a run; every value is part of what makes its weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.errors import InputError
from keypoint_training.atk.settings import SelectionSettings
from keypoint_training.settings import FitSettings, NetworkSettings, TrainSettings


@dataclass(frozen=True)
class RecordedSettings:
    """A whole run.

    Attributes:
        demonstrations: folder of the bags.
        camera_pose: x y z [m], quaternion x y z w of the colour camera in the arm's base frame, as its calibration prints.
        task, robot: names, for the checkpoint.
        seed: of everything.
        candidates: M points on the reference view, the first frame of the first demonstration.
        correspondence, tracker: that follow them through the demonstrations, and are deployed.
        final_steps: optimiser steps of the policy.
        selection: of the mask.
        network: of all students.
        full_fit: of FullSet and the mask.
        fit: of the policy.
    """

    demonstrations: str
    camera_pose: tuple[float, ...]
    task: str
    robot: str = "hebi_chopsticks"
    seed: int = 0
    candidates: int = 256
    correspondence: str = "descriptors"
    tracker: str = "hybrid"
    final_steps: int = 12000
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(gripper_input=True))
    full_fit: FitSettings = field(default_factory=lambda: FitSettings(copies=2))
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        if len(self.camera_pose) != 7:
            raise InputError(
                f"camera_pose needs 7 numbers, x y z [m] and a quaternion x y z w, got {len(self.camera_pose)}; "
                "python -m keypoint_camera.calibrate prints them"
            )

    def student(self, keypoints: int) -> TrainSettings:
        """Of students with so many keypoints."""
        fit = self.full_fit if keypoints == self.candidates else self.fit
        return TrainSettings(
            task=self.task,
            robot=self.robot,
            seed=self.seed,
            keypoints=keypoints,
            rounds=0,
            final_steps=self.final_steps,
            network=self.network,
            fit=fit,
        )

"""What can be set about a run; every value is part of what makes its weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.errors import InputError
from keypoint_core.policies.image_mlp import MODALITIES
from keypoint_training.settings import FitSettings, NetworkSettings, TrainSettings


@dataclass(frozen=True)
class PictureSettings:
    """A whole run: demonstrations, rounds of DAgger, the final student.

    Attributes:
        modality: rgb, depth or point_cloud.
        task, robot: names.
        seed: of everything.
        demonstrations: rendered episodes of the expert.
        rounds: of DAgger, `round_episodes` rendered episodes each.
        expert_share: chance per frame that the expert drives in round r is this to the power of r.
        round_steps: optimiser steps of a student that drives.
        final_steps: optimiser steps of the policy that is kept.
        width, height: that pictures are shrunk to [px].
        near, far: depths between which something is looked at [m].
        cloud: points of a cloud.
        features: places that the encoder attends to, or half the numbers it makes of a cloud.
        network, fit: of the student.
    """

    modality: str = "rgb"
    task: str = "clock_button"
    robot: str = "hebi_chopsticks"
    seed: int = 0
    demonstrations: int = 200
    rounds: int = 1
    round_episodes: int = 100
    expert_share: float = 0.5
    round_steps: int = 3000
    final_steps: int = 6000
    width: int = 128
    height: int = 96
    near: float = 0.3
    far: float = 1.6
    cloud: int = 512
    features: int = 16
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(history=1, gripper_input=True))
    fit: FitSettings = field(default_factory=lambda: FitSettings(copies=1, batch=64))

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise InputError(f"the modality is one of {', '.join(MODALITIES)}, got '{self.modality}'")

    @property
    def train(self) -> TrainSettings:
        """The part that students of keypoints have as well."""
        return TrainSettings(
            task=self.task,
            robot=self.robot,
            seed=self.seed,
            keypoints=self.features,
            demonstrations=self.demonstrations,
            rounds=self.rounds,
            round_episodes=self.round_episodes,
            expert_share=self.expert_share,
            round_steps=self.round_steps,
            final_steps=self.final_steps,
            network=self.network,
            fit=self.fit,
        )

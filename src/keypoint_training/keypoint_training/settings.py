"""What can be set about a training run; every value is part of what makes its weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.errors import InputError
from keypoint_training.rng import SCENES_PER_SEED
from keypoint_training.tracks import TrackNoise


@dataclass(frozen=True)
class RolloutSettings:
    """The control path around the policy, as deployed.

    Attributes:
        workspace: box for the tool in the arm's base frame: x, y, z lower, then upper [m]; wide enough for every
            robot. The table's top is at z = -.24 in the frame of the highest base, HEBI's.
        max_age: oldest exposure that a command may derive from [s].
        tracking_error: that stops the arm [rad].
        lockstep: part of the episodes with neither latency nor dropped frames, as in lockstep simulation.
        latency: longest time from exposure to the arm having the chunk [s]; each episode draws its own up to this.
        latency_jitter: on top of it, each chunk up to this [s].
        dropped: part of the frames that never reach the policy; each episode draws its own part up to this.
    """

    workspace: tuple[float, ...] = (-1.0, -1.0, -0.24, 1.0, 1.0, 1.0)
    max_age: float = 0.3
    tracking_error: float = 0.25
    lockstep: float = 0.5
    latency: float = 0.15
    latency_jitter: float = 0.03
    dropped: float = 0.3


@dataclass(frozen=True)
class Disturbance:
    """Pushes on demonstrations, so that the expert shows how to get back.

    Attributes:
        undisturbed: part of the demonstrations that get none.
        sigma: of the offset on all joint targets [rad]. The expert starts each chunk from where the arm is, so a
            constant offset is a motion: .012 per frame carries the tool away at some 8 cm/s.
        push: how long a push lasts, drawn from this range [s].
        rest: between two pushes [s].
    """

    undisturbed: float = 0.2
    sigma: float = 0.012
    push: tuple[float, float] = (0.1, 0.4)
    rest: tuple[float, float] = (0.3, 1.5)


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the policy.

    Attributes:
        history, hidden, layers, action_scale: as in KeypointMlpSettings.
        pixel_scale: that counts as 1 [px]; about the spread of a keypoint over all poses.
        gripper_input: as in KeypointMlpSettings.
    """

    history: int = 3
    hidden: int = 256
    layers: int = 3
    pixel_scale: float = 80.0
    action_scale: float = 0.05
    gripper_input: bool = False


@dataclass(frozen=True)
class FitSettings:
    """Supervised learning.

    Attributes:
        copies: realisations of the track noise per episode.
        batch: samples per step.
        learning_rate: at the start; falls to nothing along a cosine.
        weight_decay: of AdamW.
        loss_knee: of smooth-L1, in normalised units.
    """

    copies: int = 8
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    loss_knee: float = 0.1


@dataclass(frozen=True)
class TrainSettings:
    """A whole run.

    Attributes:
        task, robot: names.
        seed: of everything.
        keypoints: N points on the task's object.
        demonstrations: episodes of the expert alone.
        rounds: of DAgger.
        round_episodes: per round.
        expert_share: chance per frame that the expert drives in round r is this to the power of r.
        round_steps: optimiser steps after each round but the last.
        final_steps: optimiser steps of the policy that is kept.
        noise: of the tracks in training, at severity 1.
        rollout, disturbance, network, fit: of the parts.
    """

    task: str = "clock_button"
    robot: str = "hebi_chopsticks"
    seed: int = 0
    keypoints: int = 12
    demonstrations: int = 400
    rounds: int = 4
    round_episodes: int = 100
    expert_share: float = 0.5
    round_steps: int = 4000
    final_steps: int = 30000
    noise: TrackNoise = field(default_factory=TrackNoise)
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    disturbance: Disturbance = field(default_factory=Disturbance)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        if self.seed < 0 or self.demonstrations < 1 or self.rounds < 0 or self.round_episodes < 1:
            raise InputError(f"need seed >= 0, demonstrations >= 1, rounds >= 0, round_episodes >= 1, got {self}")
        if self.episodes > SCENES_PER_SEED:
            raise InputError(f"at most {SCENES_PER_SEED} episodes per seed, got {self.episodes}")

    @property
    def episodes(self) -> int:
        """In all."""
        return self.demonstrations + self.rounds * self.round_episodes

    def round_size(self, index: int) -> int:
        """Episodes of a round; round 0 are the demonstrations."""
        return self.round_episodes if index else self.demonstrations

    def first_episode(self, index: int) -> int:
        """Number of episodes before a round."""
        return self.demonstrations + (index - 1) * self.round_episodes if index else 0

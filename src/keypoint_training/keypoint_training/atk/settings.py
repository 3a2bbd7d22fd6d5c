"""What can be set about a run of ATK; every value is part of what makes its weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from keypoint_core.errors import InputError
from keypoint_training.settings import FitSettings, NetworkSettings, TrainSettings
from keypoint_training.tracks import MIN_LOCATED


@dataclass(frozen=True)
class SelectionSettings:
    """How the mask is learnt.

    Attributes:
        margin: imitation loss that the mask may cost, as a part of the best that FullSet or any mask has shown. No
            weight of the penalty is set by hand: a multiplier presses up to this bound.
        least: so many points, the surest, are free of penalty at the end; a body cannot be located by fewer than
            MIN_LOCATED, and trackers lose some.
        worth: growth of the held-out loss, as a part of it, without which a point that is open is dropped all the same:
            those free of penalty stay open for nothing.
        most: points that are kept however much they are worth; those that are missed least go.
        held_out: part of the episodes that the losses are measured on and nothing is fitted to.
        gate_part: part of the others that the gates alone descend on.
        full_steps: optimiser steps of FullSet, which the bound is taken from and which the mask starts with.
        mask_steps: optimiser steps with gates.
        learning_rate: of the student while the mask is learnt; constant, then falling over the last quarter, as
            that of the gates.
        gate_rate: learning rate of the gates.
        gate_logit: of all gates at the start; P(open) = sigmoid(gate_logit).
        alpha: the multiplier at the start: so many of FullSet's losses is the mask of all points worth.
        alpha_rate: largest change of log(alpha) at a check.
        check: steps between two checks.
    """

    margin: float = 0.1
    least: int = 8
    worth: float = 0.01
    most: int = 12
    held_out: float = 0.15
    gate_part: float = 0.3
    full_steps: int = 3000
    mask_steps: int = 3000
    learning_rate: float = 5e-4
    gate_rate: float = 5e-3
    gate_logit: float = 2.0
    alpha: float = 0.25
    alpha_rate: float = 0.05
    check: int = 10

    def __post_init__(self) -> None:
        if self.margin <= 0 or not 0 < self.held_out < 1 or not 0 < self.gate_part < 1 or self.alpha <= 0:
            raise InputError(f"need margin > 0, 0 < held_out < 1, 0 < gate_part < 1 and alpha > 0, got {self}")
        if self.least < MIN_LOCATED:
            raise InputError(f"least must be {MIN_LOCATED} or more, which deployment needs to start, got {self.least}")
        if self.most < MIN_LOCATED:
            raise InputError(f"most must be {MIN_LOCATED} or more, which deployment needs to start, got {self.most}")


@dataclass(frozen=True)
class AtkSettings:
    """A whole run: gather with FullSet, select, train the student on what was kept.

    Attributes:
        task, robot: names.
        seed: of everything.
        candidates: M points on the reference view.
        tracker: that is deployed, and holds each candidate as well as it does.
        tracker_scenes: rendered, to measure how well that is, and whether the correspondence finds each candidate; 0 takes
            all for alike.
        demonstrations: episodes of the expert alone.
        rounds: of DAgger in which FullSet drives, `round_episodes` each.
        student_rounds: of DAgger in which the student of the kept points drives, `round_episodes` each.
        round_steps: optimiser steps of every student that drives.
        final_steps: optimiser steps of the policy that is kept.
        correspondence: that is deployed.
        rendered_episodes: of a last round, in which the student drives on rendered frames with correspondence and tracker;
            0 leaves it out.
        selection: of the mask.
        network: of all students.
        full_fit: of FullSet and the mask; few copies, for tracks of M points fill the memory.
        fit: of the student.
    """

    task: str = "clock_button"
    robot: str = "hebi_chopsticks"
    seed: int = 0
    candidates: int = 256
    tracker: str = "hybrid"
    tracker_scenes: int = 4
    demonstrations: int = 300
    rounds: int = 1
    round_episodes: int = 100
    student_rounds: int = 2
    round_steps: int = 2000
    final_steps: int = 12000
    correspondence: str = "descriptors"
    rendered_episodes: int = 0
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(gripper_input=True))
    full_fit: FitSettings = field(default_factory=lambda: FitSettings(copies=2))
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        if self.candidates <= self.selection.least:
            raise InputError(f"need more than least = {self.selection.least} candidates, got {self.candidates}")

    @property
    def full_set(self) -> TrainSettings:
        """Of the run that gathers, with all candidates."""
        return TrainSettings(
            task=self.task,
            robot=self.robot,
            seed=self.seed,
            keypoints=self.candidates,
            demonstrations=self.demonstrations,
            rounds=self.rounds,
            round_episodes=self.round_episodes,
            round_steps=self.round_steps,
            network=self.network,
            fit=self.full_fit,
        )

    def student(self, keypoints: int) -> TrainSettings:
        """Of the run with the kept points; what FullSet gathered is its round 0."""
        return replace(
            self.full_set,
            keypoints=keypoints,
            demonstrations=self.full_set.episodes,
            rounds=self.student_rounds,
            final_steps=self.final_steps,
            fit=self.fit,
        )

"""What can be set about a training of descriptors; every value is part of what makes the weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.errors import InputError
from keypoint_core.features.descriptor_network import MULTIPLE, DescriptorSettings


@dataclass(frozen=True)
class Augmentation:
    """What is done to a picture of 640 x 480 to make one crop of it.

    Attributes:
        crop: side of the square that the network sees [px].
        turn: about the optical axis, evenly within +- this [deg].
        zoom: drawn from this range, evenly in its logarithm; above 1 is a close-up.
        stretch: of one axis against the other, at most this part.
        tilt: of the picture's plane: change of scale from one rim of the crop to its centre, at most this part.
        shift: of the crop against the object's point that it is laid on [px].
        gain, gamma: of brightness, drawn from 1 / x to x evenly in the logarithm.
        tint: of each colour channel, as gain.
        shade: a slope of brightness over the crop, at most this part at its rims.
        noise: standard deviation, up to this [levels of 255].
        blur: standard deviation of a Gaussian, up to this [px].
        smear: length of motion blur, up to this [px].
        patches: number of things pasted over the crop, up to this.
    """

    crop: int = 160
    turn: float = 35.0
    zoom: tuple[float, float] = (0.75, 1.4)
    stretch: float = 0.15
    tilt: float = 0.12
    shift: float = 40.0
    gain: float = 1.7
    gamma: float = 1.4
    tint: float = 1.2
    shade: float = 0.4
    noise: float = 8.0
    blur: float = 1.3
    smear: float = 7.0
    patches: int = 3

    def __post_init__(self) -> None:
        if self.crop < MULTIPLE or self.crop % MULTIPLE:
            raise InputError(f"the crop must be a multiple of {MULTIPLE} px, got {self.crop}")


@dataclass(frozen=True)
class LossSettings:
    """What is minimised; distances are between descriptors of length sqrt(D), divided by sqrt(D).

    Attributes:
        temperature: of the softmax over squared distances.
        spread: the softmax over a picture's cells shall be a Gaussian of this standard deviation about the truth [px].
        margin: that non-matches shall be apart.
        near: cells less than this from the truth are no non-matches [px].
        match, mismatch: weights of the contrastive terms beside the softmax.
        others: cells of pictures of other tasks that are non-matches too, per picture.
    """

    temperature: float = 0.1
    spread: float = 2.6
    margin: float = 0.9
    near: float = 14.0
    match: float = 1.0
    mismatch: float = 1.0
    others: int = 96


@dataclass(frozen=True)
class DescriptorTraining:
    """A whole run.

    Attributes:
        seed: of everything.
        scenes: per task and robot, each with several pictures.
        steps: of the optimiser.
        pairs: of pictures per step.
        points: that are matched per pair.
        same: part of the pairs that are one picture under two augmentations, with points anywhere in it.
        reference: part of the other pairs of which one picture is the task's reference view.
        learning_rate: after the first `warm_up` steps; falls linearly to nothing over the last `cool_down` of all steps.
        warm_up: steps.
        cool_down: part of the steps.
        weight_decay: of AdamW.
        average: weights are averaged over the last 1 / (1 - average) steps or so.
        network, augmentation, loss: of the parts.
    """

    seed: int = 0
    scenes: int = 32
    steps: int = 15000
    pairs: int = 4
    points: int = 64
    same: float = 0.3
    reference: float = 0.2
    learning_rate: float = 3e-3
    warm_up: int = 200
    cool_down: float = 0.2
    weight_decay: float = 1e-3
    average: float = 0.998
    network: DescriptorSettings = field(default_factory=DescriptorSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossSettings = field(default_factory=LossSettings)

    def __post_init__(self) -> None:
        if min(self.scenes, self.steps, self.pairs, self.points) < 1 or self.seed < 0:
            raise InputError(f"scenes, steps, pairs and points must be positive and the seed not negative, got {self}")

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        left = (self.steps - step) / max(1.0, self.cool_down * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up, left)

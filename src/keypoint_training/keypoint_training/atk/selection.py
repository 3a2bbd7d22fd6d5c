"""Learns which candidates a task needs: the fewest whose imitation loss stays within a margin of the best.

    min  E[number of open gates]   subject to   loss(student under the mask) <= (1 + margin) loss(best)

The best is FullSet at first, and then the best that any mask has shown: on few episodes FullSet learns the noise of
hundreds of points by heart, and a bound on it alone would let everything go that a smaller set still gains by.
The Lagrangian's multiplier is adapted while student and gates descend (as in GECO, Rezende and Viola, 2018): it grows
while the loss has slack and shrinks while it has not. So nobody tunes the weight of the penalty, whose window is narrow.

Student and gates descend on different episodes. On the same ones, gates open for points whose tracks are bad: large errors
that stay for an episode are what a student can tell episodes by, and so learn them by heart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keypoint_core.errors import KeypointError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpSettings
from keypoint_core.types import Float32, Float64
from keypoint_training.atk.gates import Gates
from keypoint_training.atk.settings import SelectionSettings
from keypoint_training.atk.subsets import take_points
from keypoint_training.atk.worth import worth_keeping
from keypoint_training.fitting import Batch, Samples, draw_batch, fit, imitation_loss
from keypoint_training.rng import Stream, generator, torch_seed
from keypoint_training.settings import TrainSettings
from keypoint_training.tracks import MIN_LOCATED

HELD_BATCH = 2048  # frames that losses are measured on
CHECK_BATCH = 512  # of them, at each check of the constraint
FINAL_ROUND = 2  # times `least`: with so few open, the order of the gates is worth protecting its first
MEMORY = 0.8  # of the running mean of the losses at the checks
OPEN = 0.5  # P(open) from which on a point is kept
_ROUND = 1000  # numbers the fits of a selection apart from the rounds of DAgger


class CollapsedMaskError(KeypointError):
    """The mask closed on fewer points than anything can be located by."""


@dataclass(frozen=True)
class Check:
    """How the selection stood at one step; a line of selection.csv.

    Attributes:
        step: of the optimiser, since the gates were let go.
        alpha: the multiplier.
        loss: on held-out frames under sampled masks.
        best: loss so far, a running mean or FullSet's; the bound is a margin above.
        expected: sum of P(open).
        open: gates with P(open) above one half.
    """

    step: int
    alpha: float
    loss: float
    best: float
    expected: float
    open: int


@dataclass(frozen=True)
class Selection:
    """What was learnt.

    Attributes:
        probabilities: [M] P(open) of every candidate.
        kept: indices of those that are kept, ascending: open gates that the student would miss.
        full_loss: of FullSet on held-out frames.
        kept_loss: of a student fitted to the points of the open gates by the same number of steps, that is shown the kept
            ones alone, on the same frames.
        margin: by which it may be larger.
        checks: the way there.
    """

    probabilities: Float64
    kept: NDArray[np.int64]
    full_loss: float
    kept_loss: float
    margin: float
    checks: tuple[Check, ...]

    @property
    def within_margin(self) -> bool:
        """Whether the kept points do what was promised."""
        return self.kept_loss <= (1 + self.margin) * self.full_loss


class Multiplier:
    """The weight of the penalty, driven by how far the loss is from its bound.

    Args:
        start: weight at first.
        full_loss: of FullSet; bound and best at first.
        margin: by which the loss may exceed the best.
        rate: largest change of the weight's logarithm in one update.
    """

    def __init__(self, start: float, full_loss: float, margin: float, rate: float) -> None:
        self.value, self.best = start, full_loss
        self._margin, self._rate = margin, rate
        self._recent: float | None = None

    def update(self, loss: float, active: bool) -> float:
        """Grows while the loss is below the bound, shrinks above; fully so from one margin away on.

        Args:
            loss: measured now; a running mean of it counts.
            active: whether there is anything to penalise; without that it does not grow.
        """
        recent = self._recent = loss if self._recent is None else MEMORY * self._recent + (1 - MEMORY) * loss
        self.best = min(self.best, recent)
        lead = min(1.0, max(-1.0, (self.best * (1 + self._margin) - recent) / (self._margin * self.best)))
        self.value *= math.exp(self._rate * (lead if active else min(lead, 0.0)))
        return self.value


@dataclass(frozen=True)
class Data:
    """Samples of different episodes, all with M candidates.

    Attributes:
        student: what students are fitted to.
        gates: what the gates descend on.
        held: what losses are measured on.
    """

    student: Samples
    gates: Samples
    held: Samples


def select(
    data: Data,
    shape: KeypointMlpSettings,
    places: Float32,
    train: TrainSettings,
    settings: SelectionSettings,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Selection:
    """Fits FullSet, learns the mask from there, drops what is open but not missed, and proves the rest.

    Args:
        data: with all M candidates.
        shape: of FullSet's network.
        places: [M, 2] candidates in the reference view, in parts of its width and height.
        train: seed, fitting and rollout of the run.
        settings: of the selection.
        progress: told how far each stage is.

    Raises:
        CollapsedMaskError: too few points stay, or none was dropped; the message says what to change.
    """
    full = _fit(data.student, shape, train, settings, 0, "FullSet", progress)
    rng = generator(train.seed, Stream.SELECTION, 0)
    test = draw_batch(data.held, full, _sized(train, HELD_BATCH), rng)
    full_loss = _loss(full, test, train)
    probabilities, checks = _learn(full, data, test, places, full_loss, train, settings, progress)
    opened = require_kept(probabilities, settings.least)
    shape, samples = replace(shape, keypoints=len(opened)), take_points(data.student, opened)
    few, shown = _fit(samples, shape, train, settings, 1, "open gates", progress), take_points(test, opened)
    kept = worth_keeping(few, shown, train.fit.loss_knee, settings.worth, settings.most)
    kept_loss = _loss(few, shown, train, torch.zeros(len(opened)).index_fill(0, torch.from_numpy(kept), 1.0))
    return Selection(probabilities, opened[kept], full_loss, kept_loss, settings.margin, checks)


def require_kept(probabilities: Float64, least: int) -> NDArray[np.int64]:
    """Indices of the points whose P(open) exceeds one half.

    Raises:
        CollapsedMaskError: they are too few to locate anything by, or all of them.
    """
    kept = np.flatnonzero(probabilities > OPEN)
    if len(kept) < MIN_LOCATED:
        raise CollapsedMaskError(
            f"the mask collapsed: {len(kept)} of {len(probabilities)} points stay (largest P(open) "
            f"{probabilities.max():.2f}), {MIN_LOCATED} are needed to locate a body and least = {least} are free of "
            f"penalty; give a smaller margin, alpha or gate_rate, or more steps; if that does not help, the student does as "
            f"well without any point: look for what else tells it what to do"
        )
    if len(kept) == len(probabilities):
        raise CollapsedMaskError(
            f"the mask dropped none of {len(kept)} points: the margin or the number of steps is too small"
        )
    return kept


def _learn(
    network: KeypointMlp,
    data: Data,
    test: Batch,
    places: Float32,
    full_loss: float,
    train: TrainSettings,
    settings: SelectionSettings,
    progress: Callable[[str, int, int], None],
) -> tuple[Float64, tuple[Check, ...]]:
    """P(open) [M] after student and gates have descended together, and how that went."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(train.seed, Stream.SELECTION, 1))
        gates = Gates(torch.from_numpy(places), settings.gate_logit)
    luck = torch.Generator().manual_seed(torch_seed(train.seed, Stream.SELECTION, 2))
    rng = generator(train.seed, Stream.SELECTION, 3)
    multiplier = Multiplier(settings.alpha, full_loss, settings.margin, settings.alpha_rate)
    student = _Descent(network, settings.learning_rate, train.fit.weight_decay, settings.mask_steps)
    keeper = _Descent(gates, settings.gate_rate, 0.0, settings.mask_steps)
    checks: list[Check] = []
    for step in range(settings.mask_steps):
        if step % settings.check == 0:
            checks.append(_check(step, network, gates, test, multiplier, luck, train, settings.least))
            progress("mask", step, settings.mask_steps)
        batch = draw_batch(data.student, network, train, rng)
        with torch.no_grad():
            mask = gates.sample(len(batch.pixels), luck)
        student.step(imitation_loss(network, batch, train.fit.loss_knee, mask))
        batch = draw_batch(data.gates, network, train, rng)
        share = imitation_loss(network, batch, train.fit.loss_knee, gates.sample(len(batch.pixels), luck)) / full_loss
        spared = settings.least if gates.count() <= FINAL_ROUND * settings.least else 0
        keeper.step(share + gates.conceit() + multiplier.value * gates.penalty(spared))
    progress("mask", settings.mask_steps, settings.mask_steps)
    return gates.probabilities().detach().double().numpy(), tuple(checks)


class _Descent:
    """AdamW on one module, whose learning rate falls to nothing over the last quarter of the steps."""

    def __init__(self, module: nn.Module, rate: float, decay: float, steps: int) -> None:
        self._parameters = list(module.parameters())
        self._optimiser = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=decay)
        falling = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda step: min(1.0, (steps - step) / steps * 4))
        self._schedule = falling

    def step(self, loss: Tensor) -> None:
        """One step down a loss; nothing else gets a gradient."""
        for parameter, gradient in zip(self._parameters, torch.autograd.grad(loss, self._parameters), strict=True):
            parameter.grad = gradient
        self._optimiser.step()
        self._schedule.step()


def _check(
    step: int,
    network: KeypointMlp,
    gates: Gates,
    test: Batch,
    multiplier: Multiplier,
    luck: torch.Generator,
    train: TrainSettings,
    least: int,
) -> Check:
    """Measures the constraint under sampled masks and moves the multiplier."""
    batch = Batch(*(part[:CHECK_BATCH] for part in vars(test).values()))
    with torch.no_grad():
        mask, chances = gates.sample(len(batch.pixels), luck), gates.probabilities()
        loss = float(imitation_loss(network, batch, train.fit.loss_knee, mask))
    opened = gates.count()
    alpha = multiplier.update(loss, active=opened > least)
    return Check(step, alpha, loss, multiplier.best, float(chances.sum()), opened)


def _fit(
    samples: Samples,
    shape: KeypointMlpSettings,
    train: TrainSettings,
    settings: SelectionSettings,
    number: int,
    stage: str,
    progress: Callable[[str, int, int], None],
) -> KeypointMlp:
    """A student of its own, fitted by the number of steps that FullSet gets."""
    steps = settings.full_steps
    return fit(samples, shape, train, _ROUND + number, steps, lambda done, _: progress(stage, done, steps))[0]


def _loss(network: KeypointMlp, test: Batch, train: TrainSettings, mask: Tensor | None = None) -> float:
    with torch.no_grad():
        return float(imitation_loss(network, test, train.fit.loss_knee, mask))


def _sized(train: TrainSettings, batch: int) -> TrainSettings:
    return replace(train, fit=replace(train.fit, batch=batch))

"""Trains the correspondence's score (keypoint_core.correspondence.score) on simulated scenes.

    python -m keypoint_trials.quality.correspondence_calibration --n 100 --seed 4000

Every place that a back end considers for a keypoint is an example; right means less than 5 px from the truth, with the
keypoint in view. A logistic model of the place's own look comes first; then a small network of everything, trained on all
examples, and again with those that it chooses counted more, as their probability is what the stack acts on. Half of the
scenes have the keypoints of the task's checkpoint, the others corners spread over its objects or points scattered over
them. Every fourth scene is a hard one. Writes `correspondence` into the models folder, and prints how often what was given
a probability is right on scenes that were not trained on (every fifth).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch.nn.functional import binary_cross_entropy_with_logits

from keypoint_core.arms.description import DEFAULT_ROBOT
from keypoint_core.checkpoint import models_folder
from keypoint_core.correspondence import CORRESPONDENCES, rivals, scoring
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.rigid_bodies import Candidates
from keypoint_core.correspondence.score import FOLDER, REACH, Score, save_score
from keypoint_core.errors import KeypointError
from keypoint_core.runs import command_line, git_revision
from keypoint_core.types import Float64
from keypoint_sim.world import World
from keypoint_trials.parallel import Workers, in_order
from keypoint_trials.quality.points import region_masks
from keypoint_trials.quality.record import known_tasks
from keypoint_trials.quality.scenes import HARD, PLAIN, make_scene
from keypoint_trials.quality.transfer import View, make_reference

HIT = 5.0  # [px]
TASKS = ("sushi_pick_place", "glass_lid_lift", "clock_button", "clock_hand", "microwave_close", "drawer_close")
REST, WRONG = 0.15, 0.3  # weights of all examples beside the chosen ones, and of wrong ones among them
HIDDEN = 12  # units of the network
STEPS, ROUNDS, ROUND_STEPS = 1500, 3, 800
BATCH, NOISE, DECAY = 2048, 0.1, 0.1
CHOSEN_SHARE = 3  # of all examples as many are chosen ones as one in so many
POINTS = 12
HARD_EVERY = 4
COLLECTED = ("own", "spread", "own", "scattered")  # references, scene by scene in turn


@dataclass(frozen=True)
class Scene:
    """What was considered in one scene: N surfaces under H poses.

    Attributes:
        candidates: as the back end gave them.
        right: [H, N] bool.
        settled: [N] bool, surfaces that can be learnt from.
    """

    candidates: Candidates
    right: NDArray[np.bool_]
    settled: NDArray[np.bool_]

    def look(self) -> Float64:
        """[H, N, L] of each place by itself."""
        return scoring.look(self.candidates.evidence, self.candidates.sure)


@dataclass(frozen=True)
class Examples:
    """A scene's features [H, N, F] of one kind, as they are fitted to."""

    scene: Scene
    features: Float64

    def every(self) -> tuple[Float64, NDArray[np.bool_]]:
        """Features [K, F] of every place that is shown and can be learnt from, and whether it is right."""
        taken = self.scene.candidates.shown & self.scene.settled
        return self.features[taken], self.scene.right[taken]

    def chosen(self, score: Score) -> tuple[Float64, NDArray[np.bool_]]:
        """Features [K, F] of the place with the highest odds of each keypoint that has one, and whether it is right."""
        odds = np.where(self.scene.candidates.shown, score.log_odds(self.features), -np.inf)
        owners, rows, truth = self.scene.candidates.owners, [], []
        for owner in np.unique(owners[self.scene.settled]):
            mine = np.flatnonzero(owners == owner)
            pose, place = np.unravel_index(np.argmax(odds[:, mine]), (len(odds), len(mine)))
            if np.isfinite(odds[pose, mine[place]]):
                rows.append(self.features[pose, mine[place]])
                truth.append(self.scene.right[pose, mine[place]])
        return np.array(rows).reshape(-1, self.features.shape[2]), np.array(truth, dtype=bool)


def collect(task: str, backend: str, condition: str, seeds: range) -> list[Scene]:
    """The scenes of one task in which there was a pose."""
    world = World(task)
    views = {name: reference(world, name) for name in COLLECTED}
    references = [views[name] for name in COLLECTED]
    points = [world.attach(reference.pixels.astype(np.float64)) for reference in references]
    back_end = CORRESPONDENCES.load(backend)
    settings = dataclasses.replace(back_end.defaults, score=untrained())  # the one shipped may be of other values
    correspondences = [back_end(reference, settings) for reference in references]
    scenes = []
    for k, seed in enumerate(seeds):
        kind = list(HARD)[k // HARD_EVERY % len(HARD)] if k % HARD_EVERY == HARD_EVERY - 1 else PLAIN
        turn = (k + k // HARD_EVERY) % len(COLLECTED)  # so that every reference has hard ones
        scene = make_scene(world, points[turn], seed, condition, kind)
        found, _ = correspondences[turn].candidates(scene.frame)
        if found is not None:
            error = np.linalg.norm(found.places - scene.truth[found.owners], axis=2)
            right = (error < HIT) & scene.visible[found.owners]  # false for NaN
            scenes.append(Scene(found, right, _settled(found.owners, error)))
    world.close()
    print(f"{task}: {len(scenes)} of {len(seeds)} scenes with a pose", flush=True)
    return scenes


def untrained() -> Score:
    """A score that knows nothing; what a back end considers does not depend on it."""
    look, values = np.zeros(len(scoring.LOOK)), np.zeros(len(scoring.FEATURES))
    return Score(look, values, values + 1.0, values, np.zeros(1), np.zeros((len(values), 1)), np.zeros(1), np.zeros(1))


def reference(world: World, kind: str) -> Reference:
    """The task's reference view with keypoints of one of the kinds COLLECTED."""
    if kind != "scattered":
        return make_reference(world, View(world.task.name, DEFAULT_ROBOT, "atk" if kind == "own" else "", POINTS))
    frame, rng = world.reference().frame, np.random.default_rng(0)
    v, u = np.nonzero(np.any(list(region_masks(world).values()), axis=0))
    taken = np.sort(rng.choice(len(u), POINTS, replace=False))
    pixels = np.column_stack([u, v])[taken].astype(np.float32)
    return Reference.of(frame, pixels)


def _settled(owners: NDArray[np.int64], error: Float64) -> NDArray[np.bool_]:
    """[N] surfaces of keypoints of which all surfaces, or none, get near the truth under some pose; error [H, N].

    Which of a keypoint's surfaces is its own no score can tell, and `RigidBodies` accepts none where they part.
    """
    near = np.where(np.isfinite(error), error, np.inf).min(axis=0) <= rivals.OTHER_PLACE
    share = np.bincount(owners, weights=near) / np.maximum(np.bincount(owners), 1)
    settled: NDArray[np.bool_] = np.isin(share[owners], (0.0, 1.0))
    return settled


def logistic(features: Float64, right: NDArray[np.bool_], importance: Float64, decay: float = 1.0) -> Float64:
    """Weights [F] of a logistic model; the first feature is constant and its weight does not decay."""
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
    mean[0], deviation[0] = 0.0, 1.0
    scaled = (features - mean) / deviation

    def loss(weights: Float64) -> tuple[float, Float64]:
        odds = scaled @ weights
        rest = np.r_[0.0, weights[1:]]
        value = (importance * (np.logaddexp(0, odds) - right * odds)).sum() + decay * (rest**2).sum()
        return value, scaled.T @ (importance * (scoring.probability(odds) - right)) + 2 * decay * rest

    found = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 3000}).x
    weights = found / deviation
    weights[0] -= (weights[1:] * mean[1:]).sum()
    return weights


class Network(torch.nn.Module):
    """What becomes a `Score`: a linear part and a hidden layer beside it.

    Args:
        features: [M, F] to be normalised by.
        look: [L] weights of the look.
    """

    def __init__(self, features: Float64, look: Float64) -> None:
        super().__init__()
        self.look, self.mean, self.deviation = look, features.mean(axis=0), features.std(axis=0) + 1e-6
        self.linear = torch.nn.Linear(features.shape[1], 1)
        self.hidden = torch.nn.Linear(features.shape[1], HIDDEN)
        self.out = torch.nn.Linear(HIDDEN, 1, bias=False)

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        """[M] log odds of normalised features [M, F]."""
        odds: torch.Tensor = (self.linear(scaled) + self.out(torch.tanh(self.hidden(scaled))))[:, 0]
        return odds

    def scaled(self, features: Float64) -> torch.Tensor:
        """Normalised."""
        return torch.from_numpy(np.clip((features - self.mean) / self.deviation, -REACH, REACH)).float()

    def learn(self, parts: list[tuple[Float64, NDArray[np.bool_], Float64]], steps: int, rate: float) -> None:
        """Trains on features [M, F], whether they are right and how much they count."""
        scaled = torch.cat([self.scaled(features) for features, _, _ in parts])
        right, counts = (torch.from_numpy(np.concatenate([part[k] for part in parts])).float() for k in (1, 2))
        optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            taken = torch.randint(len(scaled), (BATCH,))
            odds = self(scaled[taken] + NOISE * torch.randn(BATCH, scaled.shape[1]))
            loss = binary_cross_entropy_with_logits(odds, right[taken], weight=counts[taken])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()

    def score(self, shift: float = 0.0, scale: float = 1.0) -> Score:
        """The network as it is deployed, its log odds scaled and shifted."""
        linear, bias, hidden, hidden_bias, out = (
            value.detach().double().numpy()
            for value in (
                self.linear.weight[0],
                self.linear.bias,
                self.hidden.weight.T,
                self.hidden.bias,
                self.out.weight[0],
            )
        )
        return Score(
            self.look, self.mean, self.deviation, scale * linear, scale * bias + shift, hidden, hidden_bias, scale * out
        )


def joined(parts: Iterable[tuple[Float64, NDArray[np.bool_]]]) -> tuple[Float64, NDArray[np.bool_]]:
    """Features and truth of several scenes as one."""
    rows, truth = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(truth)


def fit(scenes: list[Scene], seed: int = 0) -> Score:
    """The score; equal seeds give equal ones."""
    torch.manual_seed(seed)
    features, right = joined(Examples(s, s.look()).every() for s in scenes)
    importance = np.where(right, 1.0, WRONG)
    look = logistic(features, right, importance)
    examples = [Examples(scene, scene.candidates.features(look)) for scene in scenes]
    features, right = joined(one.every() for one in examples)
    network = Network(features, look)
    network.learn([(features, right, importance)], STEPS, 1e-2)
    for _ in range(ROUNDS):
        rows, truth = joined(one.chosen(network.score()) for one in examples)
        times = max(1, len(features) // (CHOSEN_SHARE * len(rows)))
        chosen = (np.tile(rows, (times, 1)), np.tile(truth, times), np.ones(times * len(rows)))
        network.learn([(features, right, importance * REST), chosen], ROUND_STEPS, 5e-3)
    rows, truth = joined(one.chosen(network.score()) for one in examples)
    if truth.all() or not truth.any():
        return network.score()  # nothing to calibrate by
    odds = np.column_stack([np.ones(len(rows)), network.score().log_odds(rows)])
    shift, scale = logistic(odds, truth, np.ones(len(rows)), decay=1e-3)
    return network.score(float(shift), float(scale))


def reliability(scenes: list[Scene], score: Score) -> list[dict[str, float]]:
    """How often chosen places are right, by the probability given to them."""
    rows, truth = joined(Examples(s, s.candidates.features(score.look)).chosen(score) for s in scenes)
    probability = scoring.probability(score.log_odds(rows))
    table = []
    for low, high in pairwise((0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.97, 1.0)):
        inside = (probability >= low) & ((probability < high) | (high == 1.0))
        if inside.any():
            given, right = float(probability[inside].mean()), float(truth[inside].mean())
            table.append({"from": low, "places": int(inside.sum()), "given": round(given, 3), "right": round(right, 3)})
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Trains the score of the correspondence.")
    parser.add_argument("--n", type=int, default=100, help="scenes per task")
    parser.add_argument("--seed", type=int, default=4000, help="of the first scene")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--condition", default="light+camera", help="of the simulation")
    parser.add_argument("--backend", default="descriptors", help="whose places are fitted to")
    parser.add_argument("--workers", type=int, default=2, help="processes, each with a task")
    parser.add_argument("--output", type=Path, default=None, help="folder (default: in the models folder)")
    arguments = parser.parse_args()
    if arguments.n < 5:
        parser.error("--n must be at least 5: every fifth scene is held back")
    seeds = range(arguments.seed, arguments.seed + arguments.n)
    job = partial(collect, backend=arguments.backend, condition=arguments.condition, seeds=seeds)
    try:
        collected = list(in_order(job, known_tasks(arguments.tasks), Workers(arguments.workers)))
    except KeypointError as error:
        sys.exit(str(error))
    held = [scene for scenes in collected for scene in scenes[4::5]]
    fitted = [scene for scenes in collected for i, scene in enumerate(scenes) if i % 5 != 4]
    score = fit(fitted)
    held_out = reliability(held, score)
    for line in held_out:
        print(
            f"  from {line['from']:.2f}: {line['places']:5} places, given {line['given']:.3f}, right {line['right']:.3f}"
        )
    names = {"look": list(scoring.LOOK), "features": list(scoring.FEATURES)}
    training = {
        "command": command_line(),
        "git": git_revision(),
        "scenes": len(fitted),
        "held_out": held_out,
    }
    save_score(arguments.output or models_folder() / FOLDER, score, names, training)


if __name__ == "__main__":
    main()

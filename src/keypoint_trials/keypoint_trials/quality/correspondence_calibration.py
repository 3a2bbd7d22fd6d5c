"""Fits the weights of the correspondence's score (LOOK and WEIGHTS of keypoint_core.correspondence.scoring) on simulated scenes.

    python -m keypoint_trials.quality.correspondence_calibration --n 100 --seed 4000

Every place that a back end considers for a keypoint is an example; right means less than 5 px from the truth, with the
keypoint in view. A logistic model of the place's own look comes first; then one of everything, fitted to all examples,
and again with those that it chooses counted more, as their probability is what the stack acts on. Half of the scenes have
the keypoints of the task's checkpoint, the others corners spread over its objects or points scattered over them. Every
fourth scene is a hard one. Prints the weights, and how often what was given a probability is right on scenes that were not
fitted to (every fifth).
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from keypoint_core.arms.description import DEFAULT_ROBOT
from keypoint_core.correspondence import CORRESPONDENCES, rivals, scoring
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.rigid_bodies import Candidates
from keypoint_core.types import Float64
from keypoint_sim.world import World
from keypoint_trials.quality.points import region_masks
from keypoint_trials.quality.scenes import HARD, PLAIN, make_scene
from keypoint_trials.quality.transfer import View, make_reference

HIT = 5.0  # [px]
TASKS = ("sushi_pick_place", "glass_lid_lift", "clock_button", "clock_hand", "microwave_close", "drawer_close")
ROUNDS, DECAY = 3, 1.0
REST, WRONG, CHOSEN = 0.15, 0.3, 2.0  # weights of all examples, of wrong ones among them, and of the chosen ones
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
        values = scoring.look(self.candidates.evidence, self.candidates.sure)
        return np.stack([values[name] for name in scoring.LOOK], axis=2)

    def features(self, look: Float64) -> Float64:
        """[H, N, F] of everything, given the weights [L] of the look."""
        values = self.candidates.features(dict(zip(scoring.LOOK, look, strict=True)))
        return np.stack([values[name] for name in scoring.WEIGHTS], axis=2)


@dataclass(frozen=True)
class Examples:
    """A scene's features [H, N, F] of one kind, as they are fitted to."""

    scene: Scene
    features: Float64

    def every(self) -> tuple[Float64, NDArray[np.bool_]]:
        """Features [K, F] of every place that is shown and can be learnt from, and whether it is right."""
        taken = self.scene.candidates.shown & self.scene.settled
        return self.features[taken], self.scene.right[taken]

    def chosen(self, weights: Float64) -> tuple[Float64, NDArray[np.bool_]]:
        """Features [K, F] of the place with the highest odds of each keypoint that has one, and whether it is right."""
        odds = np.where(self.scene.candidates.shown, self.features @ weights, -np.inf)
        owners, rows, truth = self.scene.candidates.owners, [], []
        for owner in np.unique(owners[self.scene.settled]):
            mine = np.flatnonzero(owners == owner)
            pose, place = np.unravel_index(np.argmax(odds[:, mine]), (len(odds), len(mine)))
            if np.isfinite(odds[pose, mine[place]]):
                rows.append(self.features[pose, mine[place]])
                truth.append(self.scene.right[pose, mine[place]])
        return np.array(rows).reshape(-1, len(weights)), np.array(truth, dtype=bool)


def collect(task: str, backend: str, condition: str, seeds: range) -> list[Scene]:
    """The scenes of one task in which there was a pose."""
    world = World(task)
    views = {name: reference(world, name) for name in COLLECTED}
    references = [views[name] for name in COLLECTED]
    points = [world.attach(reference.pixels.astype(np.float64)) for reference in references]
    correspondences = [CORRESPONDENCES.create(backend, reference) for reference in references]
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


def reference(world: World, kind: str) -> Reference:
    """The task's reference view with keypoints of one of the kinds COLLECTED."""
    if kind != "scattered":
        return make_reference(world, View(world.task.name, DEFAULT_ROBOT, "atk" if kind == "own" else "", POINTS))
    frame, rng = world.reference().frame, np.random.default_rng(0)
    v, u = np.nonzero(np.any(list(region_masks(world).values()), axis=0))
    taken = np.sort(rng.choice(len(u), POINTS, replace=False))
    pixels = np.column_stack([u, v])[taken].astype(np.float32)
    return Reference(frame.color, frame.depth, frame.intrinsics, np.arange(POINTS, dtype=np.int32), pixels)


def _settled(owners: NDArray[np.int64], error: Float64) -> NDArray[np.bool_]:
    """[N] surfaces of keypoints of which all surfaces, or none, get near the truth under some pose; error [H, N].

    Which of a keypoint's surfaces is its own no score can tell, and `RigidBodies` accepts none where they part.
    """
    near = np.where(np.isfinite(error), error, np.inf).min(axis=0) <= rivals.OTHER_PLACE
    share = np.bincount(owners, weights=near) / np.maximum(np.bincount(owners), 1)
    settled: NDArray[np.bool_] = np.isin(share[owners], (0.0, 1.0))
    return settled


def logistic(features: Float64, right: NDArray[np.bool_], importance: Float64, decay: float = DECAY) -> Float64:
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


def joined(parts: Iterable[tuple[Float64, NDArray[np.bool_]]]) -> tuple[Float64, NDArray[np.bool_]]:
    """Features and truth of several scenes as one."""
    rows, truth = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(truth)


def fit(scenes: list[Scene]) -> tuple[Float64, Float64]:
    """The weights of LOOK and of WEIGHTS."""
    features, right = joined(Examples(s, s.look()).every() for s in scenes)
    importance = np.where(right, 1.0, WRONG)
    look = logistic(features, right, importance)
    examples = [Examples(scene, scene.features(look)) for scene in scenes]
    features, right = joined(one.every() for one in examples)
    weights = logistic(features, right, importance)
    for _ in range(ROUNDS):
        rows, truth = joined(one.chosen(weights) for one in examples)
        shares = np.concatenate([importance * REST, np.full(len(rows), CHOSEN)])
        weights = logistic(np.concatenate([features, rows]), np.concatenate([right, truth]), shares)
    rows, truth = joined(one.chosen(weights) for one in examples)
    odds = np.column_stack([np.ones(len(rows)), rows @ weights])
    shift, scale = logistic(odds, truth, np.ones(len(rows)), decay=1e-3)
    weights = weights * scale
    weights[0] += shift
    return look, weights


def print_reliability(scenes: list[Scene], look: Float64, weights: Float64) -> None:
    """How often chosen places are right, by the probability given to them."""
    rows, truth = joined(Examples(s, s.features(look)).chosen(weights) for s in scenes)
    probability = scoring.probability(rows @ weights)
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.97), (0.97, 1.01)):
        inside = (probability >= low) & (probability < high)
        if inside.any():
            share, mean = truth[inside].mean(), probability[inside].mean()
            print(f"  {low:.2f}-{min(high, 1):.2f}: {inside.sum():5} places, given {mean:.3f}, right {share:.3f}")


def print_weights(name: str, names: Iterable[str], weights: Float64) -> None:
    """As they stand in keypoint_core.correspondence.scoring."""
    lines = [f'    "{key}": {value:.3f},' for key, value in zip(names, weights, strict=True)]
    print(f"{name}: dict[str, float] = {{", *lines, "}", sep="\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fits the weights of the correspondence's score.")
    parser.add_argument("--n", type=int, default=100, help="scenes per task")
    parser.add_argument("--seed", type=int, default=4000, help="of the first scene")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--condition", default="light+camera", help="of the simulation")
    parser.add_argument("--backend", default="descriptors", help="whose places are fitted to")
    parser.add_argument("--workers", type=int, default=2, help="processes, each with a task")
    arguments = parser.parse_args()
    if arguments.n < 5:
        parser.error("--n must be at least 5: every fifth scene is held back")
    seeds = range(arguments.seed, arguments.seed + arguments.n)
    job = partial(collect, backend=arguments.backend, condition=arguments.condition, seeds=seeds)
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        collected = pool.map(job, arguments.tasks.split(","), chunksize=1)
    held = [scene for scenes in collected for scene in scenes[4::5]]
    fitted = [scene for scenes in collected for i, scene in enumerate(scenes) if i % 5 != 4]
    look, weights = fit(fitted)
    print_weights("LOOK", scoring.LOOK, look)
    print_weights("WEIGHTS", scoring.WEIGHTS, weights)
    print_reliability(held, look, weights)


if __name__ == "__main__":
    main()

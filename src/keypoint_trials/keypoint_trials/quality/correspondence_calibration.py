"""Fits the weights of the correspondence's score (keypoint_core.correspondence.scoring.WEIGHTS) on simulated scenes.

    python -m keypoint_trials.quality.correspondence_calibration --n 20 --seed 1000

Every place that a back end considers for a keypoint is an example; right means less than 5 px from the truth, with the
keypoint in view. A logistic model is fitted to all of them, then again with those that it chooses counted more, as
their probability is what the stack acts on. Every fourth scene is a hard one. Prints the weights, and how often what
was given a probability is right on scenes that were not fitted to (every fifth).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from keypoint_core.correspondence import CORRESPONDENCES, scoring
from keypoint_core.types import Float64

HIT = 5.0  # [px]
TASKS = ("sushi_pick_place", "glass_lid_lift", "clock_button", "clock_hand", "microwave_close", "drawer_close")
ROUNDS, DECAY = 4, 1.0
REST, WRONG, CHOSEN = 0.15, 0.3, 2.0  # weights of all examples, of wrong ones among them, and of the chosen ones


@dataclass(frozen=True)
class Scene:
    """What was considered in one scene: N surfaces under H poses.

    Attributes:
        owners: [N] keypoint of each surface.
        shown: [H, N] bool, on the image.
        features: [H, N, F].
        right: [H, N] bool.
    """

    owners: NDArray[np.int64]
    shown: NDArray[np.bool_]
    features: Float64
    right: NDArray[np.bool_]

    def chosen(self, weights: Float64) -> tuple[Float64, NDArray[np.bool_]]:
        """Features [K, F] of the place with the highest odds of each keypoint that has one, and whether it is right."""
        odds = np.where(self.shown, self.features @ weights, -np.inf)
        rows, truth = [], []
        for owner in np.unique(self.owners):
            mine = np.flatnonzero(self.owners == owner)
            pose, place = np.unravel_index(np.argmax(odds[:, mine]), (len(odds), len(mine)))
            if np.isfinite(odds[pose, mine[place]]):
                rows.append(self.features[pose, mine[place]])
                truth.append(self.right[pose, mine[place]])
        return np.array(rows).reshape(-1, len(weights)), np.array(truth, dtype=bool)


def collect(backend: str, task: str, condition: str, seeds: range, count: int) -> list[Scene]:
    """The scenes of one task in which there was a pose, for a reference with `count` keypoints."""
    from keypoint_sim.world import World  # after MUJOCO_GL is set
    from keypoint_trials.quality.points import pick_points
    from keypoint_trials.quality.scenes import HARD, PLAIN, make_scene

    world = World(task)
    reference = pick_points(world, count)
    points = world.attach(reference.pixels.astype(np.float64))
    correspondence = CORRESPONDENCES.create(backend, reference)
    scenes = []
    for seed in seeds:
        kind = PLAIN if seed % 4 else list(HARD)[seed // 4 % len(HARD)]
        scene = make_scene(world, points, seed, condition, kind)
        found, _ = correspondence.candidates(scene.frame)
        if found is not None:
            error = np.linalg.norm(found.places - scene.truth[found.owners], axis=2)
            right = (error < HIT) & scene.visible[found.owners]  # false for NaN
            kept = _settled(found.owners, error)
            scenes.append(Scene(found.owners[kept], found.shown[:, kept], found.features[:, kept], right[:, kept]))
    world.close()
    return scenes


def _settled(owners: NDArray[np.int64], error: Float64) -> NDArray[np.bool_]:
    """[N] surfaces of keypoints of which all surfaces, or none, get near the truth under some pose; error [H, N].

    Which of a keypoint's surfaces is its own no score can tell, and `RigidBodies` accepts none where they part.
    """
    near = np.where(np.isfinite(error), error, np.inf).min(axis=0) <= scoring.OTHER_PLACE
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


def fit(scenes: list[Scene]) -> Float64:
    """The weights [F]."""
    features = np.concatenate([s.features[s.shown] for s in scenes])
    right = np.concatenate([s.right[s.shown] for s in scenes])
    importance = np.where(right, 1.0, WRONG)
    weights = logistic(features, right, importance)
    for _ in range(ROUNDS):
        rows, truth = (np.concatenate(parts) for parts in zip(*(s.chosen(weights) for s in scenes), strict=True))
        shares = np.concatenate([importance * REST, np.full(len(rows), CHOSEN)])
        weights = logistic(np.concatenate([features, rows]), np.concatenate([right, truth]), shares)
    rows, truth = (np.concatenate(parts) for parts in zip(*(s.chosen(weights) for s in scenes), strict=True))
    odds = np.column_stack([np.ones(len(rows)), rows @ weights])
    shift, scale = logistic(odds, truth, np.ones(len(rows)), decay=1e-3)
    weights = weights * scale
    weights[0] += shift
    return weights


def print_reliability(scenes: list[Scene], weights: Float64) -> None:
    """How often chosen places are right, by the probability given to them."""
    rows, truth = (np.concatenate(parts) for parts in zip(*(s.chosen(weights) for s in scenes), strict=True))
    probability = scoring.probability(rows @ weights)
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.97), (0.97, 1.01)):
        inside = (probability >= low) & (probability < high)
        if inside.any():
            share, mean = truth[inside].mean(), probability[inside].mean()
            print(f"  {low:.2f}-{min(high, 1):.2f}: {inside.sum():5} places, given {mean:.3f}, right {share:.3f}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fits the weights of the correspondence's score.")
    parser.add_argument("--n", type=int, default=20, help="scenes per task")
    parser.add_argument("--seed", type=int, default=1000, help="of the first scene")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--condition", default="light+camera", help="of the simulation")
    parser.add_argument("--points", default="12,32", help="keypoints of the references, each number for itself")
    parser.add_argument("--backends", default="sift_pnp,descriptors", help="whose places are fitted to, together")
    arguments = parser.parse_args()
    if arguments.n < 5:
        parser.error("--n must be at least 5: every fifth scene is held back")
    os.environ.setdefault("MUJOCO_GL", "osmesa")
    seeds = range(arguments.seed, arguments.seed + arguments.n)
    fitted: list[Scene] = []
    held: list[Scene] = []
    for task in arguments.tasks.split(","):
        for backend, count in product(arguments.backends.split(","), map(int, arguments.points.split(","))):
            scenes = collect(backend, task, arguments.condition, seeds, count)
            held += scenes[4::5]
            fitted += [scene for i, scene in enumerate(scenes) if i % 5 != 4]
            print(f"{task} by {backend}, {count} points: {len(scenes)} scenes with a pose", flush=True)
    weights = fit(fitted)
    for name, weight in zip(scoring.NAMES, weights, strict=True):
        print(f"  {name:22}{weight:8.3f}")
    print("WEIGHTS =", np.round(weights, 3).tolist())
    print_reliability(held, weights)


if __name__ == "__main__":
    main()

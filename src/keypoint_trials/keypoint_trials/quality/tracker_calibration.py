"""Fits the confidence of the hybrid tracker to recorded episodes.

    python -m keypoint_trials.quality.tracker_calibration --episodes runs/episodes

Every point that the tracker says it sees, in every frame, is one sample: right when it is truly visible and within 4 px of
where it is said to be. A logistic function of the tracker's signals is fitted by maximum likelihood (Platt, 1999) with
weights that cannot be negative. Every second episode is held out to measure the calibration; the figures printed are
copied into `JudgementSettings`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import minimize

from keypoint_core.tracking.hybrid import HybridTracker
from keypoint_core.tracking.judgement import signals
from keypoint_core.types import Float64
from keypoint_trials.quality.episodes import Episode, find_episodes, load_episode
from keypoint_trials.quality.metrics import CLOSE

RIDGE = 1.0  # weight of the squared weights against the log-likelihood
BINS = 10


@dataclass(frozen=True)
class Samples:
    """S points that were said to be seen.

    Attributes:
        signals: [S, F], see `keypoint_core.tracking.judgement.signals`.
        right: [S] float64, 1 where the point was seen and close to the truth, else 0.
    """

    signals: Float64
    right: Float64

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """All of them."""
        return cls(np.concatenate([p.signals for p in parts]), np.concatenate([p.right for p in parts]))


def collect(episode: Episode) -> Samples:
    """Runs the tracker over one episode."""
    tracker, queries = HybridTracker(), episode.queries
    frames = iter(episode)
    tracker.start(next(frames), episode.pixels[0, queries].astype(np.float32))
    rows, right = [], []
    for index, frame in enumerate(frames, start=1):
        found = tracker.track(frame)
        error = np.linalg.norm(found.pixels - episode.pixels[index, queries], axis=1)
        rows.append(signals(tracker.evidence())[found.visible])
        right.append((episode.visible[index, queries] & (error <= CLOSE))[found.visible])
    return Samples(np.concatenate(rows), np.concatenate(right).astype(np.float64))


def fit(samples: Samples) -> tuple[Float64, float]:
    """Weights [F], none negative, and bias of the logistic function of greatest likelihood."""
    x, y = samples.signals, samples.right

    def loss(parameters: Float64) -> tuple[float, Float64]:
        logit = x @ parameters[:-1] + parameters[-1]
        slope = 1 / (1 + np.exp(-logit)) - y
        ridge = np.append(parameters[:-1], 0.0) * RIDGE
        value = (np.logaddexp(0, logit) - y * logit).sum() + 0.5 * (ridge @ parameters)
        return float(value), np.append(x.T @ slope, slope.sum()) + ridge

    count = x.shape[1]
    bounds = [(0.0, None)] * count + [(None, None)]
    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])


def reliability(samples: Samples, weights: Float64, bias: float) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error, and per bin of confidence: its mean, the share that is right, and the samples."""
    confidence = 1 / (1 + np.exp(-(samples.signals @ weights + bias)))
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = [
        (float(confidence[index == b].mean()), float(samples.right[index == b].mean()), int((index == b).sum()))
        for b in range(BINS)
        if (index == b).any()
    ]
    total = len(confidence)
    return sum(abs(said - true) * n for said, true, n in rows) / total, rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fits the hybrid tracker's confidence to recorded episodes.")
    parser.add_argument("--episodes", type=Path, default=Path("runs") / "episodes", help="folder of recorded episodes")
    parser.add_argument("--every", type=int, default=1, help="of the episodes, in order of their names")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    paths = find_episodes(args.episodes)[:: max(1, args.every)]
    if len(paths) < 2:
        parser.error(f"{args.episodes} holds {len(paths)} episodes, needed: 2; record some with make track-quality")
    samples = []
    for path in paths:
        samples.append(collect(load_episode(path)))
        print(f"{path}: {len(samples[-1].right)} samples, {samples[-1].right.mean():.4f} right", flush=True)
    weights, bias = fit(Samples.joined(samples[::2]))
    error, rows = reliability(Samples.joined(samples[1::2]), weights, bias)
    print(f"held-out episodes: expected calibration error {error:.4f}")
    for said, true, count in rows:
        print(f"  said {said:.3f}   right {true:.3f}   of {count}")
    weights, bias = fit(Samples.joined(samples))
    print("of all episodes:")
    print(f"    weights: tuple[float, ...] = ({', '.join(f'{w:.3f}' for w in weights)})")
    print(f"    bias: float = {bias:.3f}")


if __name__ == "__main__":
    main()

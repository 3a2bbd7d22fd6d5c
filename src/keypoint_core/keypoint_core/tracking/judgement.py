"""Whether a keypoint is seen, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keypoint_core.tracking.evidence import Evidence
from keypoint_core.types import Float64

_DOUBT = 0.1  # highest confidence of a keypoint that is not seen, lowest of one that is


@dataclass(frozen=True)
class JudgementSettings:
    """When a keypoint is believed to be seen.

    Attributes:
        supporters: other points that make a body's word count.
        near: error up to which a keypoint agrees with such a body [px].
        likeness: that a keypoint followed by flow needs.
        found: that a hidden one needs which its body expects there.
        alone: that one needs which no body expects there, or which parts from its body.
        core: that the middle of a template needs when the rest is covered.
        core_level: the same where depth says that nothing covers it.
        level: so near to the body's own surface [m].
        in_front: something so much nearer covers the keypoint [m], unless likeness says otherwise by `alone`.
        max_backward: see `HybridSettings`.
        weights, bias: of the logistic function that turns `signals` into a confidence: the probability that a keypoint
            said to be seen is seen, within 4 px of the truth. Fitted by
            `python -m keypoint_trials.quality.tracker_calibration --episodes ... --every 3` on 14 of 40 recorded episodes of
            four tasks and five conditions; held-out expected calibration error .008. No weight is negative, so better
            signals never lower it.
        forgotten: confidence of a keypoint that is not seen falls to nothing in this time [s].
    """

    supporters: int = 3
    near: float = 3.0
    likeness: float = 0.6
    found: float = 0.7
    alone: float = 0.9
    core: float = 0.8
    core_level: float = 0.4
    level: float = 0.008
    in_front: float = 0.02
    max_backward: float = 1.0
    weights: tuple[float, ...] = (0.272, 2.004, 3.652, 0.636, 1.474, 0.000, 3.739, 0.159)
    bias: float = -1.460
    forgotten: float = 10.0


def judge(evidence: Evidence, settings: JudgementSettings) -> NDArray[np.bool_]:
    """[N] bool: seen."""
    e, s = evidence, settings
    told = e.support >= s.supporters
    agrees = told & (e.error <= s.near)
    followed = np.isfinite(e.backward) & (e.backward <= s.max_backward)
    seen = agrees & (e.likeness >= np.where(followed, s.likeness, s.found))
    level = np.abs(e.nearer) <= s.level  # false for NaN
    seen |= agrees & (e.error <= s.near / 2) & (e.core >= np.where(level, s.core_level, s.core))
    seen |= e.distinct & ~told & followed & (e.likeness >= s.likeness)
    seen |= e.distinct & (e.likeness >= s.alone)
    covered = e.nearer > s.in_front  # false for NaN
    return np.asarray(seen & ~(covered & (e.likeness < s.alone)), dtype=np.bool_)


def signals(evidence: Evidence) -> Float64:
    """[N, 8] what speaks for each keypoint; more is better, the best is 0 or 1."""
    e = evidence
    return np.column_stack(
        [
            np.clip(e.likeness, 0.0, 1.0),
            (np.clip(e.likeness, 0.85, 1.0) - 0.85) / 0.15,
            np.clip(e.core, 0.0, 1.0),
            -np.clip(e.error, 0.0, 6.0),
            np.clip(e.support, 0, 8) / 8,
            -np.nan_to_num(np.clip(e.backward, 0.0, 2.0), nan=0.5),
            -np.nan_to_num(np.clip(e.nearer, 0.0, 0.05), nan=0.01) / 0.05,
            -np.log1p(10 * np.clip(e.hidden, 0.0, 10.0)),
        ]
    )


def confidence(evidence: Evidence, seen: NDArray[np.bool_], settings: JudgementSettings) -> Float64:
    """[N] 0..1, see `JudgementSettings`; always higher for what is seen than for what is not."""
    logit = signals(evidence) @ np.array(settings.weights) + settings.bias
    probability = 1 / (1 + np.exp(-logit))
    doubt = 0.9 * _DOUBT * np.clip(1 - evidence.hidden / settings.forgotten, 0.0, 1.0)
    return np.where(seen, np.maximum(probability, _DOUBT), doubt)

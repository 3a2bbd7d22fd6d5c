"""The weights of the correspondence's score are found again from examples."""

from __future__ import annotations

import numpy as np
import pytest

from keypoint_core.correspondence import scoring
from keypoint_core.correspondence.patches import Evidence
from keypoint_core.correspondence.rigid_bodies import Candidates
from keypoint_trials.quality import correspondence_calibration as calibration
from keypoint_trials.quality.correspondence_calibration import Examples, Scene, _settled, fit, logistic

POSES, POINTS = 6, 8


def scene(rng: np.random.Generator) -> Scene:
    """Places 20 px apart whose colours tell the right ones, and whose correlation tells nothing."""
    shape = (POSES, POINTS)
    right = np.arange(POSES)[:, None] == rng.integers(POSES, size=POINTS)
    places = np.stack(np.broadcast_arrays(100.0 + 20 * np.arange(POSES)[:, None], 50.0 * np.arange(POINTS)), axis=2)
    chroma = np.where(right, 0.8, 0.1) + rng.normal(0, 0.2, shape)
    some = {name: rng.random(shape) for name in ("correlation", "agree", "nearer", "farther", "covered", "tint")}
    evidence = Evidence(places, places, places, area=np.ones(shape), chroma=chroma, **some)
    means = {name: rng.random(shape) for name in scoring.Support.__dataclass_fields__}
    support = scoring.Support(
        **means | {"rest": rng.random(POINTS), "matches": rng.random(POSES), "leaning": rng.random(POSES)}
    )
    shown, hidden = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    sure, ambiguous = np.ones(POINTS, dtype=bool), np.zeros(POINTS)
    found = Candidates(np.arange(POINTS), sure, ambiguous, evidence, support, shown, hidden, 0)
    return Scene(found, right, np.ones(POINTS, dtype=bool))


def test_what_tells_right_from_wrong_is_found_and_holds_in_scenes_that_were_not_fitted_to(monkeypatch):
    monkeypatch.setattr(calibration, "STEPS", 300)
    monkeypatch.setattr(calibration, "ROUND_STEPS", 200)
    rng = np.random.default_rng(0)
    fitted, held = [scene(rng) for _ in range(60)], [scene(rng) for _ in range(20)]
    score = fit(fitted)
    assert len(score.look) == len(scoring.LOOK) and len(score.linear) == len(scoring.FEATURES)
    rows, truth = zip(*(Examples(s, s.candidates.features(score.look)).chosen(score) for s in held), strict=True)
    given = scoring.probability(score.log_odds(np.concatenate(rows)))
    assert np.concatenate(truth).mean() > 0.8, "the right one of six places"
    np.testing.assert_array_equal(fit(fitted).linear, score.linear, err_msg="equal seeds, equal scores")
    assert given.mean() == pytest.approx(np.concatenate(truth).mean(), abs=0.1), "as sure as it is right"


def test_a_logistic_model_finds_its_weights():
    rng = np.random.default_rng(1)
    features = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 2))])
    right = rng.random(20_000) < scoring.probability(features @ [0.5, 2.0, -1.0])
    np.testing.assert_allclose(logistic(features, right, np.ones(20_000)), [0.5, 2.0, -1.0], atol=0.1)


def test_surfaces_of_which_only_one_is_right_are_not_learnt_from():
    owners = np.array([0, 0, 1, 1, 2])
    error = np.array([[1.0, 30.0, 2.0, 3.0, 50.0], [40.0, np.nan, 9.0, 9.0, 60.0]])
    assert _settled(owners, error).tolist() == [False, False, True, True, True]

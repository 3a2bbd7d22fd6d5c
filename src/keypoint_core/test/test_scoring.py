"""How likely a keypoint is where a pose puts it."""

from __future__ import annotations

import numpy as np
import pytest

from keypoint_core.correspondence import scoring
from keypoint_core.correspondence.patches import Evidence
from keypoint_core.correspondence.score import WEIGHTS, Score, load_score, save_score
from keypoint_core.errors import CheckpointError

TRUE, WRONG = 0, 1  # poses
ONE = np.zeros(1, dtype=np.int64)


def column(*values: float) -> np.ndarray:
    """[H, 1], one surface under the poses TRUE and WRONG."""
    return np.array(values, dtype=float)[:, None]


def evidence(agree, farther, chroma, tint, correlation=(0.8, 0.8)) -> Evidence:
    """Of one surface at places 40 px from each other."""
    places = np.array([[[100.0, 100.0]], [[140.0, 100.0]]])
    nothing = np.zeros((2, 1))
    return Evidence(
        places, places, places, column(*correlation), np.ones((2, 1)), column(*chroma), column(*tint),
        column(*agree), nothing, column(*farther), nothing,
    )  # fmt: skip


def support(
    near=(0.6, 0.6), matches=(10.0, 10.0), total=(10.0, 10.0), whole=(0.6, 0.6), leaning=(0.0, 0.0)
) -> scoring.Support:
    """Surroundings of which a share looks as it should; `whole` is the look of a thing that reaches beyond them."""
    share, thing, none = column(*near), column(*whole), np.zeros((2, 1))
    return scoring.Support(
        near=share, wide=thing, likeness=share, exact_near=share, agree_near=share, farther_near=none,
        chroma_near=share, tint_near=none + 0.3, whole=thing, whole_best=thing, rest=np.array([80.0]),
        matches_near=column(*matches), matches_wide=column(*total), matches=np.array(total),
        leaning=np.array(leaning), raised=none,
    )  # fmt: skip


def probabilities(seen: Evidence, around: scoring.Support) -> np.ndarray:
    """[H] of the two places."""
    sure, shown = np.ones(1, dtype=bool), np.ones((2, 1), dtype=bool)
    score = load_score(scoring.LOOK, scoring.FEATURES)
    values = scoring.features(seen, around, sure, np.zeros(1), ONE, shown, score.look)
    return scoring.probability(score.log_odds(values))[:, 0]


def some_score() -> Score:
    """Of two values of a look and three of everything, with one hidden unit."""
    return Score(
        look=np.array([0.0, 1.0]), mean=np.array([0.0, 1.0, 2.0]), deviation=np.array([1.0, 2.0, 1.0]),
        linear=np.array([0.5, 1.0, 0.0]), bias=np.array([0.25]),
        hidden=np.array([[0.0], [0.0], [2.0]]), hidden_bias=np.array([0.5]), out=np.array([3.0]),
    )  # fmt: skip


NAMES = {"look": ["bias", "a"], "features": ["bias", "a", "b"]}
OF = (tuple(NAMES["look"]), tuple(NAMES["features"]))


def test_the_log_odds_by_hand_and_far_values_reach_no_farther():
    odds = some_score().log_odds(np.array([[1.0, 3.0, 1.0], [1.0, 1e6, 2.0]]))
    np.testing.assert_allclose(odds, [0.5 + 1.0 + 3 * np.tanh(-1.5) + 0.25, 0.5 + 4.0 + 3 * np.tanh(0.5) + 0.25])


def test_a_score_comes_back_from_its_folder_and_an_altered_one_does_not(tmp_path):
    save_score(tmp_path / "a", some_score(), NAMES, {"command": "by hand"})
    again = load_score(*OF, tmp_path / "a")
    np.testing.assert_array_equal(again.hidden, some_score().hidden)
    with pytest.raises(CheckpointError, match="trained on other values"):
        load_score(OF[0], (*OF[1], "c"), tmp_path / "a")
    save_score(tmp_path / "b", some_score(), NAMES, {})
    with (tmp_path / "b" / WEIGHTS).open("ab") as file:
        file.write(b"0")
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_score(*OF, tmp_path / "b")
    with pytest.raises(CheckpointError, match="no score of the correspondence in .*train it"):
        load_score(*OF, tmp_path / "c")


def test_every_value_is_finite_and_has_its_name():
    seen, around = evidence((1, 1), (0, 0), (0.8, 0.8), (1, 1), correlation=(np.nan, 0.5)), support()
    sure, shown = np.ones(1, dtype=bool), np.ones((2, 1), dtype=bool)
    assert scoring.look(seen, sure).shape == (2, 1, len(scoring.LOOK))
    values = scoring.features(seen, around, sure, np.zeros(1), ONE, shown, np.ones(len(scoring.LOOK)))
    assert values.shape == (2, 1, len(scoring.FEATURES)) and np.isfinite(values).all()
    assert values[0, 0, scoring.FEATURES.index("plain")] == 1 and values[1, 0, scoring.FEATURES.index("plain")] == 0


def test_what_is_farther_off_and_of_another_colour_is_refused_however_many_matches_say_so():
    """A clock's hand that turned: its dial says where it was, and the figure there looks a little like it.

    The figures are those of a keypoint of the hand in a scene of `clock_hand`.
    """
    seen = evidence(agree=(0.91, 0), farther=(0, 1), chroma=(0.91, 0.04), tint=(10, 44), correlation=(0.84, 0.84))
    around = support(near=(0.6, 0.7), matches=(9.6, 26), total=(13, 282), whole=(0.51, 0.9))
    true, wrong = probabilities(seen, around)
    assert wrong < 0.7 < 0.85 < true
    like = evidence(agree=(0.91, 0.91), farther=(0, 0), chroma=(0.91, 0.9), tint=(10, 10), correlation=(0.84, 0.84))
    true, wrong = probabilities(like, around)
    assert wrong > 0.85 > true, "what decided was depth and colour"


def test_of_places_alike_the_one_that_suits_the_whole_thing_is_taken():
    seen = evidence(agree=(0.9, 0.9), farther=(0, 0), chroma=(0.6, 0.6), tint=(3, 3), correlation=(0.9, 0.9))
    np.testing.assert_allclose(*probabilities(seen, support(near=(0.8, 0.8), whole=(0.9, 0.9))))
    true, wrong = probabilities(seen, support(near=(0.8, 0.8), whole=(0.9, 0.6)))
    assert true > 0.85 > 0.7 > wrong


def test_of_places_alike_the_one_that_keeps_the_thing_upright_is_taken():
    seen = evidence(agree=(0.9, 0.9), farther=(0, 0), chroma=(0.6, 0.6), tint=(3, 3), correlation=(0.9, 0.9))
    true, wrong = probabilities(seen, support(near=(0.8, 0.8), whole=(0.8, 0.8), leaning=(0.0, 0.4)))
    assert true > wrong + 0.05

"""What ATK is compared with: other points, the same everything else."""

from dataclasses import replace

import numpy as np
import pytest

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.errors import CheckpointError, InputError
from keypoint_training.atk.baselines import BaselineSettings, choose, main, points_of_atk

SETTINGS = BaselineSettings(candidates=100, keep=6)
PIXELS = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2).astype(np.float32)
ON_OBJECT = (PIXELS >= 5).all(axis=1)
TINY = [
    *("--demonstrations", "2", "--rounds", "1", "--round-episodes", "1", "--student-rounds", "1"),
    *("--round-steps", "10", "--final-steps", "10", "--candidates", "24", "--tracker-scenes", "0", "--scenes", "1"),
    *("--workers", "0"),
]


def test_full_set_keeps_all():
    assert choose(replace(SETTINGS, method="full_set"), PIXELS, ON_OBJECT).tolist() == list(range(100))


def test_random_draws_differ_by_seed_and_ignore_the_objects():
    draws = [choose(replace(SETTINGS, seed=seed), PIXELS, ON_OBJECT) for seed in (0, 0, 1, 2)]
    assert all(len(np.unique(draw)) == 6 for draw in draws)
    np.testing.assert_array_equal(draws[0], draws[1])
    assert draws[0].tolist() != draws[2].tolist() != draws[3].tolist()
    assert not ON_OBJECT[np.concatenate(draws)].all()


def test_the_heuristic_spreads_over_the_objects():
    kept = choose(replace(SETTINGS, method="heuristic"), PIXELS, ON_OBJECT)
    assert len(kept) == 6 and ON_OBJECT[kept].all()
    assert np.ptp(PIXELS[kept], axis=0).tolist() == [4, 4], "from corner to corner"
    with pytest.raises(InputError, match="30 points are to be kept, 25 candidates lie on"):
        choose(replace(SETTINGS, method="heuristic", keep=30), PIXELS, ON_OBJECT)


@pytest.mark.parametrize(("change", "words"), [({"method": "gpt"}, "one of full_set"), ({"keep": 3}, "keep 4 to 100")])
def test_settings_say_what_they_want(change, words):
    with pytest.raises(InputError, match=words):
        replace(SETTINGS, **change)


def test_as_many_points_as_atk_keeps():
    assert points_of_atk("clock_hand", "hebi") == len(load_checkpoint("clock_hand/atk").card.keypoint_ids)
    with pytest.raises(CheckpointError, match="no checkpoint 'drawer_close/atk'"):
        points_of_atk("drawer_close", "hebi")


def test_a_run_leaves_a_checkpoint_that_says_what_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "runs"))
    output = tmp_path / "models" / "clock_button" / "heuristic"
    words = ["--task", "clock_button", "--method", "heuristic", "--keep", "5", "--output", str(output), *TINY]
    assert main(words) == 0, capsys.readouterr().out
    card = load_checkpoint(output).card
    assert card.method == "heuristic" and len(card.keypoint_ids) == 5
    assert set(card.training["selection"]["kept_on"]) <= {"clock", "button"}
    assert card.training["command"].startswith("python -m keypoint_training.atk.baselines --task clock_button --seed 0")
    assert "--method heuristic --keep 5" in card.training["command"]
    run = next((tmp_path / "runs").glob("*-heuristic"))
    again = tmp_path / "again"
    assert main(["--resume", str(run), "--output", str(again), "--scenes", "1", "--workers", "0"]) == 0
    assert load_checkpoint(again).card.files == card.files

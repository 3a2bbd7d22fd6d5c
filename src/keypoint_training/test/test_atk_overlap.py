"""Agreement of two kept sets, by cases that can be counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from keypoint_training.atk.overlap import Points, matched, on_bodies, overlap


def points(places, bodies, kept):
    """Along a line."""
    pixels = np.stack([places, np.zeros(len(places))], axis=1).astype(np.float32)
    return Points(pixels, np.array(list(bodies)), np.array(kept))


def test_points_agree_that_are_near_and_on_the_same_body():
    a = points([0, 10, 100, 300], "ccdc", [0, 1, 2])
    b = points([3, 16, 105, 500], "cccd", [0, 1, 2, 3])
    found = overlap(a, b, radius=10)
    assert (found.kept_first, found.kept_second, found.matched) == (3, 4, 2), "5 px away, but on another body"
    assert found.share == 2 * 2 / 7 and found.same_body == 2 * 3 / 7
    assert found.possible == 4 / 7, "the best that others' candidates allow: two of three, two of four"
    assert overlap(a, b, radius=5).matched == 1


def test_points_are_matched_one_to_one_and_as_many_as_can_be():
    crowd, one = points([0, 1, 2, 3], "cccc", [0, 1, 2, 3]), points([1.5], "c", [0])
    assert overlap(crowd, one).matched == 1
    a, b = points([0, 8], "cc", [0, 1]), points([6, 15], "cc", [0, 1])
    assert matched(a, a.kept, b, b.kept, 7) == 2, "the nearest of all, 8 and 6, would leave the others alone"


def test_chance_is_what_random_sets_of_the_same_size_share():
    a = points([0, 100, 200, 300], "ccdd", [0])
    found = overlap(a, replace(a, kept=np.array([1])), draws=4000)
    assert found.share == 0 and found.same_body == 1
    assert found.chance == pytest.approx(1 / 4, abs=0.03)
    assert found.chance_on_bodies == pytest.approx(1 / 2, abs=0.03)
    everything = replace(a, kept=np.arange(4))
    assert overlap(everything, everything).chance == 1


def test_the_control_has_as_many_points_on_each_body():
    chosen = on_bodies(points(range(100), "c" * 50 + "d" * 50, [3, 4, 5, 60]), np.random.default_rng(0))
    assert len(set(chosen)) == 4 and (chosen < 50).sum() == 3 and chosen.tolist() == sorted(chosen)

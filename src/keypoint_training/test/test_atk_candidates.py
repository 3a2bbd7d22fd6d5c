"""Candidates cover the whole reference view, crowd on texture, keep off outlines, and stick to what is under them."""

import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_core.types import Frame, Intrinsics
from keypoint_sim.world import World
from keypoint_training.atk.candidates import BORDER, choose_candidates

CAMERA = Intrinsics(640, 480, 607.0, 607.0, 318.0, 246.0)
THING = slice(300, 330), slice(400, 430)  # rows and columns of a small thing, a third of a per cent of the picture


def make_frame(depth=None):
    """A faintly mottled table with one small checked thing on it."""
    color = np.random.default_rng(0).normal(120, 2, (480, 640, 3))
    v, u = np.mgrid[0:30, 0:30]
    color[THING] = (255 * ((u // 5 + v // 5) % 2))[..., None]
    return Frame(0, np.clip(color, 0, 255).astype(np.uint8), depth, CAMERA)


def on_thing(pixels):
    rows, columns = THING
    inside = (pixels[:, 0] >= columns.start) & (pixels[:, 0] < columns.stop)
    return inside & (pixels[:, 1] >= rows.start) & (pixels[:, 1] < rows.stop)


@pytest.mark.parametrize("seed", range(3))
def test_a_small_thing_carries_a_dozen_and_nothing_is_left_bare(seed):
    pixels = choose_candidates(make_frame(), 256, seed)
    assert pixels.shape == (256, 2) and pixels.dtype == np.float32
    assert len(np.unique(pixels, axis=0)) == 256
    assert on_thing(pixels).sum() >= 12
    grid = np.stack(np.meshgrid(np.arange(20, 620, 20), np.arange(20, 460, 20)), axis=-1).reshape(-1, 2)
    holes = np.linalg.norm(grid[:, None] - pixels[None], axis=-1).min(axis=1)
    assert holes.max() < 60


def test_they_keep_inside_the_picture():
    pixels = choose_candidates(make_frame(), 256, 0)
    assert pixels.min() >= BORDER and pixels[:, 0].max() < 640 - BORDER and pixels[:, 1].max() < 480 - BORDER


def test_a_seed_gives_the_same_points_again_and_another_one_others():
    first, again, other = (choose_candidates(make_frame(), 64, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_they_keep_off_outlines_and_stay_where_depth_is_missing():
    depth = np.full((480, 640), 1.2, dtype=np.float32)
    depth[THING] = 1.0
    free, kept_off = choose_candidates(make_frame(), 256, 0), choose_candidates(make_frame(depth), 256, 0)

    def near_outline(pixels):
        return np.minimum(np.abs(pixels[:, 0] - 399.5), np.abs(pixels[:, 0] - 429.5)) < 2

    def beside(pixels):
        return near_outline(pixels) & (pixels[:, 1] >= 300) & (pixels[:, 1] < 330)

    assert beside(free).any() and not beside(kept_off).any()
    depth[THING] = np.nan
    assert on_thing(choose_candidates(make_frame(depth), 256, 0)).sum() >= 12


def test_an_impossible_number_is_refused_with_the_possible_one():
    for count in (0, 30_000):
        with pytest.raises(InputError, match="1 to 20000"):
            choose_candidates(make_frame(), count, 0)


@pytest.mark.parametrize(("task", "body"), [("sushi_pick_place", "nigiri"), ("clock_button", "clock")])
def test_they_stick_to_the_task_and_to_everything_else(task, body):
    world = World(task)
    pixels = choose_candidates(world.reference().frame, 256, 0)
    points = world.attach(pixels.astype(np.float64))
    bodies = np.array(points.bodies)
    assert (bodies == body).sum() >= 12
    assert {"world", "base"} <= set(bodies), "table and arm have candidates too"
    poses = world.task.nominal()
    world.reset(0, poses=poses)
    before, _, _ = world.tracks(points)
    world.reset(0, poses=poses + np.where(np.arange(len(poses)) == 0, 1, 0)[:, None] * np.array([0.0, -0.03, 0.0]))
    moved = np.linalg.norm(world.tracks(points)[0] - before, axis=1)
    world.close()
    assert moved[bodies == body].min() > 5
    assert moved[bodies == "world"].max() < 1e-6

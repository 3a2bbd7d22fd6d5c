import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keypoint_sim import gallery
from keypoint_sim.contact_sheet import GAP, Band, Block, Sheet, mark
from keypoint_sim.disturbances import parse_condition
from keypoint_sim.gallery_pictures import (
    COLORS,
    Job,
    after_push,
    draw,
    hand_in_view,
    reference_view,
    sample,
    seen_bodies,
)
from keypoint_sim.objects import clock
from keypoint_sim.world import World


def plain(value: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_one_command_leaves_one_picture_and_one_per_task(run_command: Callable[..., int], tmp_path: Path) -> None:
    options = ("--robot", "hebi", "--condition", "rp", "--condition", "rb", "--n", "1")
    assert run_command(gallery, *options) == 0
    folder = tmp_path / "latest"
    small, large = (Image.open(folder / name) for name in ("gallery.png", "clock_button.png"))
    assert large.width / small.width == pytest.approx(gallery.LARGE / gallery.SMALL, rel=0.05)
    page = np.asarray(small)
    assert (page[:40] == 255).all() and (page[:, :40] == 255).all() and (page[:, -40:] == 255).all()
    assert json.loads((folder / "summary.json").read_text())["conditions"] == ["rp", "rb"]


def test_an_unknown_name_is_refused(
    check_refused: Callable[..., None], unknown_name: tuple[tuple[str, ...], str]
) -> None:
    check_refused(gallery, *unknown_name)


def test_every_preset_and_what_goes_beyond_the_paper_is_shown() -> None:
    assert list(gallery.CONDITIONS) == ["rp", "rb", "ro", "light", "camera", "occluder", "nudge"]
    assert all(parse_condition(name) for name in gallery.CONDITIONS)


def test_the_same_seed_gives_the_same_picture() -> None:
    job = Job("clock_button", "hebi_chopsticks", ("rb",), (5,))
    one, other = draw(job), draw(job)
    assert one.caption == "hebi_chopsticks, seed 5"
    for first, again in zip(one.samples[0], other.samples[0], strict=True):
        np.testing.assert_array_equal(first, again)


def test_the_reference_view_marks_the_regions(world: World) -> None:
    plain_view, marked = world.reference().frame.color.astype(int), reference_view(world).astype(int)
    changed = (plain_view != marked).any(axis=2)
    bodies = np.repeat(np.repeat(seen_bodies(world), 2, axis=0), 2, axis=1)
    on_clock = np.isin(bodies, world.task.bodies)
    assert changed[on_clock].mean() > 0.95 and changed[~on_clock].mean() < 0.01
    pushed = marked[bodies == clock.BUTTON_BODY] - plain_view[bodies == clock.BUTTON_BODY]
    assert (np.sign(pushed.mean(axis=0)) == np.sign(np.array(COLORS[1]) - [180, 60, 60])).all()


def test_the_moments_show_the_hand_and_the_push(world: World) -> None:
    world.reset(2, "occluder")
    assert world.snapshot().mocap[0, 2] < -1
    with_hand = hand_in_view(world).astype(int)
    assert world.stamp > 1_000_000_000  # the expert has played to the end
    world.reset(2, "rp")
    without = hand_in_view(world).astype(int)
    assert (np.abs(with_hand - without).max(axis=2) > 40).mean() > 0.04
    world.reset(2, "nudge")
    x, y = world.data.joint(clock.JOINT).qpos[:2].copy()
    assert (after_push(world) == 255).all(axis=2).sum() > 150  # the white outline
    assert 0.015 < np.hypot(*(world.data.joint(clock.JOINT).qpos[:2] - (x, y))) < 0.06


def test_samples_have_the_height_of_the_large_sheet(world: World) -> None:
    assert sample(world, 0, "rp").shape == (240, 320, 3)


def test_a_band_has_even_gaps_and_every_picture_in_its_place() -> None:
    rows = tuple(tuple(plain(100 + 10 * row + column) for column in range(3)) for row in range(2))
    columns = (("rp", "a"), ("rb", "b"), ("light", "c"))
    band = Band("task", "words", (("part", COLORS[0]),), columns, (Block("robot", plain(50), rows),) * 2)
    page = np.asarray(Sheet(48).band(band))
    for row in range(2):
        for column in range(3):
            found = np.argwhere((page == 100 + 10 * row + column).all(axis=2))
            assert len(found) == 2 * 64 * 48  # once in each block, whole
    tops = [np.argwhere((page == value).all(axis=2))[0] for value in (100, 101, 102, 110)]
    assert tops[1][1] - tops[0][1] == tops[2][1] - tops[1][1] == 64 + GAP
    assert tops[3][0] - tops[0][0] == 48 + GAP


def test_a_mark_leaves_the_rest_alone() -> None:
    picture, mask = plain(100), np.zeros((48, 64), bool)
    mask[20:30, 20:40] = True
    mark(picture, mask, (255, 0, 0))
    assert picture[25, 30].tolist() == [123, 85, 85] and picture[20, 30, 0] > 200
    assert (picture[:15] == 100).all() and (picture[35:] == 100).all()

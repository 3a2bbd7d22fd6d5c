"""Points as text, from files, chosen and clicked; each wrong way says what is right."""

import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_trials import picked_points
from keypoint_trials.picked_points import pick, with_ruler

WANTED = [[10, 20.5], [30, 40]]


@pytest.fixture
def picture() -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.kron(generator.integers(0, 255, (12, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)


@pytest.mark.parametrize("text", ["10,20.5 30,40", " 10,20.5\n30,40 ", "10,20.5;30,40"])
def test_text(picture, text):
    points = pick(text, picture)
    assert points.ids.tolist() == [0, 1] and points.ids.dtype == np.int32 and points.pixels.dtype == np.float32
    np.testing.assert_array_equal(points.pixels, WANTED)


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("a.csv", "10,20.5\n30,40\n", [0, 1]),
        ("a.csv", "7,10,20.5\n3,30,40\n", [7, 3]),
        ("a.csv", "# mine\nv,u,id\n20.5,10,7\n40,30,3\n", [7, 3]),
        ("a.yaml", "[[10, 20.5], [30, 40]]", [0, 1]),
        ("a.yaml", "points:\n  7: [10, 20.5]\n  3: [30, 40]\n", [7, 3]),
        ("a.yml", "{7: [10, 20.5], 3: [30, 40]}", [7, 3]),
    ],
)
def test_files(picture, tmp_path, name, text, ids):
    (tmp_path / name).write_text(text)
    points = pick(str(tmp_path / name), picture)
    assert points.ids.tolist() == ids
    np.testing.assert_array_equal(points.pixels, WANTED)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,2,3,4\n", "expected rows of u,v or id,u,v"),
        ("a.csv", "", "no points were given"),
        ("a.csv", "u,v\n1,x\n", "pairs of numbers"),
        ("a.csv", "1,10,20\n1,30,40\n", "an id of its own"),
        ("a.yaml", "[1, 2, 3]", "pairs of numbers"),
        ("a.yaml", "nonsense", "expected a list of"),
        ("a.yaml", "[[1, 2", "is not YAML"),
        ("a.yaml", "[[1, .nan]]", "outside the 160x120 picture"),
    ],
)
def test_files_that_say_something_else(picture, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        pick(str(tmp_path / name), picture)


def test_automatic_ones_are_spread_corners(picture):
    points = pick("auto:6", picture).pixels
    apart = np.linalg.norm(points[:, None] - points, axis=2) + 1e3 * np.eye(6)
    assert len(pick("auto", picture).pixels) == 12 and apart.min() > 20


def test_automatic_ones_stay_in_their_box(picture):
    points = pick("auto:4", picture, "20,30,60,50").pixels
    assert ((points >= [20, 30]) & (points < [80, 80])).all()


@pytest.mark.parametrize("box", ["1,2,3", "200,10,20,20", "-5,0,30,30", "10,10,0,10"])
def test_bad_boxes(picture, box):
    with pytest.raises(InputError, match="box"):
        pick("auto:2", picture, box)


def test_clicked_ones(picture, monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(picked_points, "_interactive", lambda backend: True)
    monkeypatch.setattr("matplotlib.get_backend", lambda: "tkagg")
    monkeypatch.setattr(pyplot, "ginput", lambda **_: [(10, 20.5), (30, 40)])
    np.testing.assert_array_equal(pick("click", picture).pixels, WANTED)
    monkeypatch.setattr(pyplot, "ginput", lambda **_: [])
    with pytest.raises(InputError, match="no point was clicked"):
        pick("click", picture)


def test_the_ruler_enlarges_small_pictures_and_leaves_the_given_one_alone(picture):
    before = picture.copy()
    drawn = with_ruler(picture)
    assert drawn.shape == (8 * 120, 8 * 160, 3) and (picture == before).all()
    assert (drawn[4, :] != np.repeat(picture[0], 8, axis=0)).any()
    assert (drawn[4 * 8, 5 * 8] == picture[4, 5]).all()

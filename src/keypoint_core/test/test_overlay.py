"""The overlay: right colours at the right places, on a copy, with bounded trails."""

import numpy as np
import pytest

from keypoint_core import overlay
from keypoint_core.errors import InputError
from keypoint_core.types import Keypoints, KeypointStatus


def keypoints(pixels, status=None, ids=None, stamp=0) -> Keypoints:
    n = len(pixels)
    return Keypoints(
        stamp=stamp,
        ids=np.array(range(n) if ids is None else ids, np.int32),
        pixels=np.array(pixels, np.float32).reshape(n, 2),
        confidence=np.ones(n, np.float32),
        status=np.array([0] * n if status is None else status, np.uint8),
        points=np.full((n, 3), np.nan, np.float32),
    )


@pytest.fixture
def image() -> np.ndarray:
    return np.full((120, 160, 3), 90, np.uint8)


def test_visible_keypoints_are_dots_of_their_colour(image):
    drawn = overlay.draw(image, keypoints([[40, 30]]), legend=False)
    np.testing.assert_allclose(drawn[30, 40].astype(int), overlay.COLORS[KeypointStatus.VISIBLE], atol=3)
    assert (drawn[100:, 100:] == 90).all()


@pytest.mark.parametrize("status", list(KeypointStatus)[1:])
def test_others_are_rings(image, status):
    drawn = overlay.draw(image, keypoints([[40, 30]], [status]), legend=False)
    assert (drawn[30, 40] == 90).all()
    ring = drawn[30, 35:46].astype(int)
    assert np.abs(ring - overlay.COLORS[status]).sum(axis=1).min() < 120


def test_the_image_itself_is_left_alone(image):
    before = image.copy()
    overlay.draw(image, keypoints([[40, 30]]), ids=True)
    assert (image == before).all()


def test_trails_fade(image):
    trails = overlay.Trails(length=10)
    for i in range(10):
        trails.push(keypoints([[20 + 8 * i, 60]]))
    drawn = overlay.draw(image, keypoints([[92, 60]]), trails, legend=False)
    old, new = drawn[60, 28, 1], drawn[60, 76, 1]
    assert new > old >= 90


def test_trails_are_bounded_and_break(image):
    trails = overlay.Trails(length=5)
    for i in range(50):
        trails.push(keypoints([[20 + i, 60]]))
    assert len(trails) == 5
    assert len(trails.segments()[0]) == 4
    trails.push(keypoints([[150, 100]]))  # a jump is no motion
    assert len(trails.segments()[0]) == 3
    trails.push(keypoints([[150, 100]], [KeypointStatus.OCCLUDED]))
    assert len(trails.segments()[0]) == 2
    trails.clear()
    assert len(trails.segments()[0]) == 0


def test_trails_follow_ids_not_rows():
    trails = overlay.Trails()
    trails.push(keypoints([[10, 10], [50, 50]], ids=[7, 9]))
    trails.push(keypoints([[51, 50]], ids=[9]))
    lines, _, _ = trails.segments()
    np.testing.assert_array_equal(lines, [[[50, 50], [51, 50]]])


def test_pixels_at_and_beyond_the_border_are_no_trouble(image):
    trails = overlay.Trails()
    trails.push(keypoints([[0, 0], [159, 119], [-20, 300]]))
    trails.push(keypoints([[1, 1], [158, 118], [-21, 301]]))
    assert overlay.draw(image, keypoints([[0, 0], [159, 119], [-20, 300]]), trails, ids=True).shape == image.shape


def test_ids_cover_no_other_keypoint_and_stay_inside(image):
    alone = overlay.draw(image, keypoints([[80, 60]]), ids=True, legend=False)
    assert (alone[50:58, 84:95] != 90).any()
    corner = overlay.draw(image, keypoints([[157, 2]]), ids=True, legend=False)
    assert (corner[6:20, 140:154] != 90).any()
    crowd = keypoints([[40 + 9 * (i % 4), 40 + 9 * (i // 4)] for i in range(16)])
    drawn = overlay.draw(image, crowd, ids=True, legend=False)
    for u, v in crowd.pixels.astype(int):
        np.testing.assert_allclose(drawn[v, u].astype(int), overlay.COLORS[KeypointStatus.VISIBLE], atol=3)


def test_a_dot_is_filled_by_its_confidence(image):
    filled = []
    for confidence in (0.0, 0.5, 1.0):
        one = keypoints([[40, 30]])
        one.confidence[:] = confidence
        filled.append(int((overlay.draw(image, one, legend=False)[25:36, 35:46, 1] > 150).sum()))
    assert filled[0] < filled[1] < filled[2]


def test_marks_grow_with_large_images():
    wide = np.full((1080, 1920, 3), 90, np.uint8)
    drawn = overlay.draw(wide, keypoints([[900, 500]]), legend=False)
    assert (drawn[500, 894:907] != 90).any(axis=1).all()


def test_nothing_to_draw(image):
    assert (overlay.draw(image, keypoints(np.empty((0, 2)))) == image).all()
    assert overlay.draw(np.zeros((4, 4, 3), np.uint8), keypoints([[1, 1]])).shape == (4, 4, 3)


def test_trails_need_a_length():
    with pytest.raises(InputError, match="at least 1"):
        overlay.Trails(0)

"""Markers: one sphere, trail and id per keypoint, the right colours, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
from visualization_msgs.msg import Marker

from keypoint_core.errors import InputError
from keypoint_core.overlay import COLORS
from keypoint_core.types import Keypoints, KeypointStatus
from keypoint_perception.markers import LIFETIME, TrackMarkers

SECOND = 1_000_000_000
STEP = SECOND // 15
NAN = [np.nan] * 3


def keypoints(index: int, points, status=None, ids=None) -> Keypoints:
    n = len(points)
    return Keypoints(
        stamp=SECOND + index * STEP,
        ids=np.arange(n, dtype=np.int32) if ids is None else np.array(ids, np.int32),
        pixels=np.zeros((n, 2), np.float32),
        confidence=np.ones(n, np.float32),
        status=np.array([0] * n if status is None else status, np.uint8),
        points=np.array(points, np.float32).reshape(n, 3),
    )


def of(array, namespace: str, action: int = Marker.ADD) -> dict[int, Marker]:
    return {m.id: m for m in array.markers if m.ns == namespace and m.action == action}


@pytest.fixture
def tracks() -> TrackMarkers:
    return TrackMarkers(length=5, size=0.01, hold=2.0)


def test_a_sphere_and_an_id_for_each_known_place(tracks) -> None:
    array = tracks.update(keypoints(0, [[0, 0.1, 0.8], NAN, [0.2, 0, 1]], ids=[7, 8, 9]), "camera")
    spheres, labels = of(array, "keypoints"), of(array, "ids")
    assert spheres.keys() == labels.keys() == {7, 9}
    position = spheres[7].pose.position
    np.testing.assert_allclose([position.x, position.y, position.z], [0, 0.1, 0.8], atol=1e-6)
    assert labels[9].text == "9" and spheres[9].scale.x == pytest.approx(0.01)
    for marker in (*spheres.values(), *labels.values()):
        assert marker.header.frame_id == "camera" and marker.header.stamp.sec == 1
        assert (marker.lifetime.sec, marker.pose.orientation.w) == (LIFETIME, 1.0)


@pytest.mark.parametrize("status", list(KeypointStatus))
def test_the_colour_is_that_of_the_status(tracks, status) -> None:
    sphere = of(tracks.update(keypoints(0, [[0, 0, 1]], [status]), "camera"), "keypoints")[0]
    color = np.array([sphere.color.r, sphere.color.g, sphere.color.b]) * 255
    np.testing.assert_allclose(color, COLORS[status], atol=0.5)
    assert sphere.color.a == 1.0


def test_trails_are_lines_between_frames_and_bounded(tracks) -> None:
    for i in range(30):
        array = tracks.update(keypoints(i, [[0.01 * i, 0, 1]]), "camera")
    trail = of(array, "trails")[0]
    assert trail.type == Marker.LINE_LIST and len(trail.points) == len(trail.colors) == 2 * 4
    np.testing.assert_allclose([point.x for point in trail.points[-2:]], [0.28, 0.29], atol=1e-6)
    assert trail.colors[0].a < trail.colors[-1].a == 1.0


def test_a_trail_has_no_line_over_a_gap_or_a_jump(tracks) -> None:
    tracks.update(keypoints(0, [[0, 0, 1], [0, 0, 1]]), "camera")
    tracks.update(keypoints(1, [NAN, [0.5, 0, 1]], [1, 0]), "camera")
    array = tracks.update(keypoints(2, [[0.02, 0, 1], [0.51, 0, 1]]), "camera")
    assert {number: len(trail.points) for number, trail in of(array, "trails").items()} == {1: 2}


def test_no_empty_trail_is_ever_sent_and_one_that_ran_out_is_deleted_once(tracks) -> None:
    deleted = []
    for i in range(12):
        place = [0.001 * i, 0, 1] if i < 4 else NAN
        array = tracks.update(keypoints(i, [place], [0 if i < 4 else 1]), "camera")
        assert all(trail.points for trail in of(array, "trails").values())
        deleted += of(array, "trails", Marker.DELETE)
    assert deleted == [0]


def test_a_hidden_keypoint_stays_faded_where_it_was_and_then_goes(tracks) -> None:
    tracks.update(keypoints(0, [[0, 0, 1]]), "camera")
    hidden = of(tracks.update(keypoints(1, [NAN], [KeypointStatus.OCCLUDED]), "camera"), "keypoints")[0]
    assert hidden.pose.position.z == 1.0 and 0 < hidden.color.a < 1
    assert hidden.color.g == pytest.approx(COLORS[KeypointStatus.OCCLUDED][1] / 255)
    array = tracks.update(keypoints(31, [NAN], [KeypointStatus.OCCLUDED]), "camera")
    assert of(array, "keypoints") == {} and of(array, "keypoints", Marker.DELETE).keys() == {0}
    assert tracks.update(keypoints(32, [NAN], [KeypointStatus.OCCLUDED]), "camera").markers == []


def test_what_is_tracked_no_more_is_deleted_at_once(tracks) -> None:
    tracks.update(keypoints(0, [[0, 0, 1], [1, 0, 1]], ids=[3, 4]), "camera")
    array = tracks.update(keypoints(1, [[1, 0, 1]], ids=[4]), "camera")
    assert {(m.ns, m.id) for m in array.markers if m.action == Marker.DELETE} == {
        ("keypoints", 3),
        ("trails", 3),
        ("ids", 3),
    }
    assert of(array, "keypoints").keys() == {4}


def test_a_new_trial_wipes_what_a_viewer_still_shows(tracks) -> None:
    first = tracks.update(keypoints(0, [[0, 0, 1]]), "camera").markers
    assert first[0].action == Marker.DELETEALL
    assert all(m.action != Marker.DELETEALL for m in tracks.update(keypoints(1, [[0, 0, 1]]), "camera").markers)
    tracks.clear()
    again = tracks.update(keypoints(2, [[0.5, 0, 1]]), "camera")
    assert again.markers[0].action == Marker.DELETEALL and of(again, "trails") == {}


def test_no_depth_no_markers_and_no_trouble(tracks) -> None:
    tracks.update(keypoints(0, []), "camera")
    assert tracks.update(keypoints(1, [NAN, NAN]), "camera").markers == []


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 frame"):
        TrackMarkers(0, 0.01, 1.0)
    with pytest.raises(InputError, match="size > 0"):
        TrackMarkers(1, float("nan"), 1.0)

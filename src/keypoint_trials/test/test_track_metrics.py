import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keypoint_core.errors import InputError
from keypoint_trials.quality import metrics
from keypoint_trials.quality.metrics import Redetection, Reliability

SQUARE = (256, 256)


def track(errors, flagged, visible):
    """One point that stands still; the prediction is off to the right by `errors`."""
    truth = np.full((len(errors), 1, 2), 100.0)
    predicted = truth.copy()
    predicted[:, 0, 0] += errors
    return truth, np.array(visible, bool)[:, None], predicted, np.array(flagged, bool)[:, None]


def test_tap_vid_by_hand():
    # Frame 0 does not count. Errors 0.5, 3, 10 px where the truth is visible, 0 where it is hidden but flagged.
    said = track([50, 0.5, 3, 10, 0], flagged=[1, 1, 1, 0, 1], visible=[1, 1, 1, 1, 0])
    score = metrics.tap_vid(*said, SQUARE)
    assert score.delta == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    assert score.delta_avg == pytest.approx(3 / 5)
    assert score.accuracy == 2 / 4
    # 1 px: TP 1; FP: frame 2 (too far) and frame 4 (hidden): 1 / (3 + 2). 4 px: TP 2, FP frame 4: 2 / (3 + 1).
    assert score.jaccard == pytest.approx([1 / 5, 1 / 5, 2 / 4, 2 / 4, 2 / 4])
    assert score.average_jaccard == pytest.approx((0.2 + 0.2 + 1.5) / 5)


def test_thresholds_are_those_of_a_square_picture_and_exclusive():
    # 2.5 px to the right in 640 px are 1 px in 256 px, which is not less than 1.
    for error, within in ((2.5, 0), (2.49, 1)):
        assert metrics.tap_vid(*track([0, error], [1, 1], [1, 1]), (640, 480)).delta[0] == within
    truth, visible, predicted, flagged = track([0, 0], [1, 1], [1, 1])
    predicted[1, 0, 1] += 1.9  # 480 px high: 1.013 px
    assert metrics.tap_vid(truth, visible, predicted, flagged, (640, 480)).delta[:2] == (0, 1)


def test_what_is_not_there_is_not_a_number():
    score = metrics.tap_vid(*track([0, 0], [1, 0], [1, 0]), SQUARE)
    assert np.isnan(score.delta_avg) and np.isnan(score.average_jaccard) and score.accuracy == 1


finite = st.floats(-300, 300)
tracks = st.tuples(st.integers(2, 8), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(float, (*shape, 2), elements=finite),
        arrays(bool, shape),
        arrays(float, (*shape, 2), elements=finite),
        arrays(bool, shape),
    )
)


def tap_vid_by_loops(truth, visible, predicted, flagged):
    """The definition, point by point."""
    frames, points = visible.shape
    delta, jaccard = [], []
    for threshold in (1, 2, 4, 8, 16):
        within = positives = true = false = 0
        for t in range(1, frames):
            for n in range(points):
                near = ((predicted[t, n] - truth[t, n]) ** 2).sum() < threshold**2
                positives += visible[t, n]
                within += visible[t, n] and near
                true += visible[t, n] and near and flagged[t, n]
                false += flagged[t, n] and not (visible[t, n] and near)
        delta.append(within / positives if positives else np.nan)
        jaccard.append(true / (positives + false) if positives + false else np.nan)
    return delta, jaccard


@given(tracks)
def test_tap_vid_is_its_definition(said):
    score = metrics.tap_vid(*said, SQUARE)
    delta, jaccard = tap_vid_by_loops(*said)
    assert score.delta == pytest.approx(delta, nan_ok=True)
    assert score.jaccard == pytest.approx(jaccard, nan_ok=True)


@given(tracks)
def test_perfect_tracks_score_one_whatever_frame_zero_says(said):
    truth, visible, predicted, flagged = said
    predicted, flagged = np.concatenate([predicted[:1], truth[1:]]), np.concatenate([flagged[:1], visible[1:]])
    score = metrics.tap_vid(truth, visible, predicted, flagged, SQUARE)
    assert score.accuracy == 1
    assert score.delta_avg == 1 if visible[1:].any() else np.isnan(score.delta_avg)
    assert score.average_jaccard == 1 if visible[1:].any() else np.isnan(score.average_jaccard)


def stamps(frames):
    return np.arange(frames, dtype=np.int64) * 1_000_000_000 // 15


def occluded(hidden, found_after, shown=8):
    """Visible for 3 frames, hidden, shown; flagged visible again some frames after it reappears."""
    visible = [1] * 3 + [0] * hidden + [1] * shown
    flagged = [1] * 3 + [0] * (hidden + found_after) + [1] * max(0, shown - found_after)
    return *track([0.0] * len(visible), flagged, visible), stamps(len(visible))


@pytest.mark.parametrize(("found_after", "found"), [(0, 1), (4, 1), (5, 0)])
def test_found_within_five_frames(found_after, found):
    assert metrics.redetection(*occluded(10, found_after)) == Redetection(1, found, 0, 0)


def test_long_occlusions_are_counted_apart():
    assert metrics.redetection(*occluded(23, 1)) == Redetection(1, 1, 1, 1)  # 23 frames are 1.53 s
    assert metrics.redetection(*occluded(22, 1)) == Redetection(1, 1, 0, 0)


def test_found_in_the_wrong_place_is_not_found():
    truth, visible, predicted, flagged, times = occluded(10, 0)
    predicted[13:] += 3.0  # 4.2 px away
    assert metrics.redetection(truth, visible, predicted, flagged, times) == Redetection(1, 0)


def test_no_event_without_beginning_or_enough_of_an_end():
    assert metrics.redetection(*occluded(10, 0, shown=4)) == Redetection()
    flags = [0, 0, 0, 1, 1, 1, 1, 1]
    assert metrics.redetection(*track([0] * 8, flags, flags), stamps(8)) == Redetection()


def test_silent_failures_are_long_runs_only():
    # 11 frames wrong and flagged, one right, 10 frames wrong and flagged, 12 wrong but admitted.
    errors = [0] + [20] * 11 + [0] + [20] * 10 + [20] * 12
    flagged = [1] + [1] * 11 + [1] + [1] * 10 + [0] * 12
    truth, _, predicted, said = track(errors, flagged, [1] * len(errors))
    assert metrics.silent_failures(truth, predicted, said) == (11, 34)


def test_reliability_by_hand():
    truth, visible, predicted, flagged = track([0, 1, 1, 9, 1, 1], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 1])
    confidence = np.array([0.0, 0.95, 0.85, 0.85, 1.0, 0.1])[:, None]
    table = metrics.reliability(truth, visible, predicted, flagged, confidence)
    # Bin .8-.9: one of two is right at .85; bin .9-1: one of two (one is truly hidden) at .975.
    assert table.rows() == [pytest.approx((0.85, 0.5, 2)), pytest.approx((0.975, 0.5, 2))]
    assert table.error == pytest.approx((2 * 0.35 + 2 * 0.475) / 4)
    assert (table + table).error == pytest.approx(table.error)
    assert np.isnan(Reliability.empty().error)


def test_confidence_must_be_a_probability():
    said = track([0, 0], [1, 1], [1, 1])
    with pytest.raises(InputError, match=r"within 0\.\.1"):
        metrics.reliability(*said, np.array([[0.5], [np.nan]]))
    metrics.reliability(*track([0, 0], [1, 0], [1, 1]), np.array([[0.5], [np.nan]]))


def test_shapes_are_checked():
    truth, visible, predicted, flagged = track([0, 0, 0], [1, 1, 1], [1, 1, 1])
    with pytest.raises(InputError, match="T >= 2"):
        metrics.tap_vid(truth, visible[:2], predicted, flagged, SQUARE)
    predicted[1] = np.nan
    with pytest.raises(InputError, match="finite"):
        metrics.tap_vid(truth, visible, predicted, flagged, SQUARE)


@given(arrays(bool, st.integers(0, 20)))
def test_runs_cover_what_is_true(flags):
    rebuilt = np.zeros(len(flags), bool)
    for first, end in metrics.runs(flags):
        assert first < end and not rebuilt[first:end].any()
        rebuilt[first:end] = True
    assert (rebuilt == flags).all()

import pytest

from keypoint_trials.latency import measure, merge
from keypoint_trials.reader import Timing, read_trial

MS = 1_000_000


def frame(stamp, begin=0, late=0):
    """Computes 5, 2, 1 and 0 ms, with 1 ms of transport and `late` ms more before the arm."""
    yield Timing(stamp, "camera", begin, begin + 5 * MS, 0.005)
    yield Timing(stamp, "tracker", begin + 6 * MS, begin + 8 * MS, 0.002)
    yield Timing(stamp, "policy", begin + 9 * MS, begin + 10 * MS, 0.001)
    yield Timing(stamp, "arm", begin + (11 + late) * MS, begin + (12 + late) * MS, 0.0)


def test_figures_of_known_frames():
    latencies = measure([timing for stamp in range(5) for timing in frame(stamp, begin=stamp * 100 * MS)])
    table = latencies.table()
    assert table["camera"]["p50"] == 5.0 and table["tracker"]["p95"] == 2.0 and table["policy"]["p99"] == 1.0
    assert table["camera to tracker"]["p50"] == 1.0 and table["policy to arm"]["p50"] == 1.0
    assert table["capture_to_applied"] == {"p50": 12.0, "p95": 12.0, "p99": 12.0}
    assert latencies.overhead_ms() == pytest.approx(12 - 8)


def test_stages_are_matched_by_exposure_whatever_their_order():
    timings = [*frame(1), *frame(2, begin=50 * MS, late=10)]
    latencies = measure(reversed(timings))
    assert sorted(latencies.capture_to_applied) == pytest.approx([0.012, 0.022])


def test_frames_that_never_moved_the_arm_count_for_their_stages_only():
    timings = [*frame(1), *list(frame(2))[:2]]
    latencies = measure(timings)
    assert len(latencies.compute["tracker"]) == 2 and len(latencies.capture_to_applied) == 1


def test_a_stage_that_was_not_seen_gives_no_overhead():
    assert measure(list(frame(1))[:3]).overhead_ms() is None
    assert measure([]).table() == {}


def test_merge_keeps_all_frames():
    one, two = measure(frame(1)), measure(frame(1, late=10))
    assert sorted(merge([one, two]).capture_to_applied) == pytest.approx([0.012, 0.022])
    assert len(one.capture_to_applied) == 1


def test_figures_from_a_bag(tmp_path, record_trial):
    latencies = measure(read_trial(record_trial(tmp_path)).timings)
    assert latencies.table()["capture_to_applied"]["p50"] == pytest.approx(11.1)
    assert latencies.overhead_ms() == pytest.approx(3.0)

import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_training.tracks import MIN_LOCATED, NO_NOISE, NoisyTracks, TrackNoise, Traits

POINTS = np.stack(np.meshgrid(np.linspace(300, 360, 4), np.linspace(350, 400, 3)), axis=-1).reshape(-1, 2)
CLEAR = np.ones(12, dtype=bool)
FAR = np.array([0.0, 0.0])


def run(noise, frames=40, copies=200, severity=1.0, seed=0, visible=None, tool=None):
    tracks = NoisyTracks(noise, 12, np.random.default_rng(seed), copies, fixed_severity=severity)
    shown = [CLEAR if visible is None else visible(i) for i in range(frames)]
    return [tracks.step(POINTS, shown[i], FAR if tool is None else tool(i)) for i in range(frames)]


def errors(sample):
    return sample.pixels - POINTS


def only(**kept):
    return TrackNoise(**{**vars(NO_NOISE), **kept})


def test_no_noise_leaves_tracks_as_they_are():
    for sample in run(NO_NOISE):
        np.testing.assert_allclose(sample.pixels, np.broadcast_to(POINTS, sample.pixels.shape), atol=1e-4)
        assert sample.visible.all()
        assert sample.seen.all()


def test_equal_seeds_give_equal_bits_and_others_do_not():
    first, again, other = (run(TrackNoise(), seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a.visible, b.visible) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].pixels, other[0].pixels)


def test_pixel_noise_has_its_sigma_and_is_fresh_in_every_frame():
    samples = np.array([errors(sample) for sample in run(only(pixel_sigma=0.5))])
    assert samples.std() == pytest.approx(0.5, rel=0.05)
    assert abs(np.corrcoef(samples[0].ravel(), samples[1].ravel())[0, 1]) < 0.1


def test_the_first_frames_shift_is_shared_and_stays():
    samples = run(only(shift_sigma=2.0), copies=2000)
    first, last = errors(samples[0]), errors(samples[-1])
    np.testing.assert_allclose(first, last, atol=1e-3)
    np.testing.assert_allclose(first, np.broadcast_to(first[:, :1], first.shape), atol=1e-3)
    assert first[:, 0].std() == pytest.approx(2.0, rel=0.1)


def test_a_turn_keeps_the_centre():
    error = errors(run(only(turn_sigma=0.1), frames=1)[0])
    np.testing.assert_allclose(error.mean(axis=1), 0, atol=1e-3)
    assert np.abs(error).max() > 1


def test_drift_grows_with_time_and_is_flagged_visible():
    samples = run(only(drift_sigma=0.3, corrected=0.0), frames=50, copies=500)
    assert samples[-1].visible.all()
    assert errors(samples[-1]).std() == pytest.approx(0.3 * 7, rel=0.1)


def test_corrections_bound_the_drift():
    free = run(only(drift_sigma=0.3, corrected=0.0), frames=50)
    bounded = run(only(drift_sigma=0.3, corrected=0.2), frames=50)
    assert errors(bounded[-1]).std() < 0.5 * errors(free[-1]).std()


def test_missing_points_stay_lost_but_enough_are_located():
    samples = run(only(missing=0.5))
    assert samples[0].seen.mean() == pytest.approx(0.5, abs=0.05)
    assert samples[0].seen.sum(axis=1).min() >= MIN_LOCATED
    assert not any((sample.visible & ~samples[0].seen).any() for sample in samples)


def test_points_hidden_in_the_first_frame_are_never_located():
    hidden = np.arange(12) < 3
    samples = run(TrackNoise(), visible=lambda i: ~hidden if i == 0 else CLEAR)
    assert not samples[-1].seen[:, :3].any()
    assert not samples[-1].visible[:, :3].any()


def test_occluded_points_hold_their_last_pixel():
    noise = only(pixel_sigma=0.5)
    samples = run(noise, visible=lambda i: CLEAR if i < 5 else ~CLEAR)
    assert not samples[6].visible.any()
    np.testing.assert_array_equal(samples[6].pixels, samples[4].pixels)


def test_groups_are_lost_together_and_found_again():
    samples = run(only(group_loss=0.2), frames=30, copies=400)
    lost = np.array([(~sample.visible).sum(axis=1) for sample in samples])
    assert (lost[5:] >= 5).mean() > 0.15
    assert (lost[5:] == 0).mean() > 0.02


def test_a_near_tool_drags_points_along_while_they_are_flagged_visible():
    noise = only(drag_chance=0.9, corrected=0.0)
    samples = run(noise, tool=lambda i: POINTS[0] + [0.0, 2.0 * i - 20])
    error = errors(samples[-1])
    assert samples[-1].visible[:, 0].all()
    assert error[:, 0, 1].mean() > 5
    np.testing.assert_allclose(error[:, -1], 0, atol=1e-4)


def test_severity_scales_the_errors():
    mild, severe = (np.abs(errors(run(TrackNoise(), frames=1, severity=level)[0])) for level in (0.2, 1.0))
    assert np.median(mild) < 0.4 * np.median(severe)


TWO = ("plate",) * 6 + ("sushi",) * 6


def test_each_body_is_located_as_a_whole_and_apart_from_others():
    noise = only(shift_sigma=2.0)
    tracks = NoisyTracks(noise, 12, np.random.default_rng(0), 2000, fixed_severity=1.0, traits=Traits(TWO))
    error = errors(tracks.step(POINTS, CLEAR, FAR))
    for body in (error[:, :6], error[:, 6:]):
        np.testing.assert_allclose(body, np.broadcast_to(body[:, :1], body.shape), atol=1e-3)
        assert body.std() == pytest.approx(2.0, rel=0.1)
    assert abs(np.corrcoef(error[:, 0, 0], error[:, 6, 0])[0, 1]) < 0.1


def test_a_turn_keeps_the_centre_of_each_body():
    noise = only(turn_sigma=0.1)
    tracks = NoisyTracks(noise, 12, np.random.default_rng(0), 200, fixed_severity=1.0, traits=Traits(TWO))
    error = errors(tracks.step(POINTS, CLEAR, FAR))
    np.testing.assert_allclose(error[:, :6].mean(axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(error[:, 6:].mean(axis=1), 0, atol=1e-3)


def test_shared_drift_is_shared_within_a_body():
    noise = only(shared_drift_sigma=1.0, corrected=0.0)
    tracks = NoisyTracks(noise, 12, np.random.default_rng(0), 500, fixed_severity=1.0, traits=Traits(TWO))
    error = [errors(tracks.step(POINTS, CLEAR, FAR)) for _ in range(5)][-1]
    np.testing.assert_allclose(error[:, 0], error[:, 5], atol=1e-3)
    assert abs(np.corrcoef(error[:, 0, 0], error[:, 6, 0])[0, 1]) < 0.15


def test_points_of_one_named_body_are_as_without_a_name():
    named = NoisyTracks(TrackNoise(), 12, np.random.default_rng(0), 5, traits=Traits(("clock",) * 12))
    plain = NoisyTracks(TrackNoise(), 12, np.random.default_rng(0), 5)
    for _ in range(5):
        a, b = (tracks.step(POINTS, CLEAR, FAR) for tracks in (named, plain))
        assert a.pixels.tobytes() == b.pixels.tobytes() and a.visible.tobytes() == b.visible.tobytes()


def test_as_many_bodies_as_points_are_needed():
    with pytest.raises(InputError, match="12 points need as many bodies, got 2"):
        NoisyTracks(TrackNoise(), 12, np.random.default_rng(0), traits=Traits(("a", "b")))

"""The mask finds the few points that tell what the expert does, whatever the penalty weighs at the start."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from keypoint_core.errors import InputError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpSettings
from keypoint_training.atk import selection as selection_module
from keypoint_training.atk import worth as worth_module
from keypoint_training.atk.gates import Gates
from keypoint_training.atk.selection import CollapsedMaskError, Data, Multiplier, require_kept, select
from keypoint_training.atk.settings import SelectionSettings
from keypoint_training.atk.subsets import split, take_points, take_recorded_points
from keypoint_training.atk.worth import worth_keeping
from keypoint_training.episodes import Episodes
from keypoint_training.fitting import Samples, draw_batch, fit, imitation_loss
from keypoint_training.settings import FitSettings, TrainSettings

POINTS, OBJECT = 24, 8  # the first eight are on the object
TRAIN = TrainSettings(fit=FitSettings(copies=1, batch=128, learning_rate=4e-3))
BIG = replace(TRAIN.fit, batch=4000)
QUICK = SelectionSettings(
    margin=0.3, least=4, full_steps=200, mask_steps=900, learning_rate=2e-3, gate_rate=0.02, alpha_rate=0.1, check=5
)


def make_shape(points=POINTS, **changes):
    values = {
        "keypoints": points,
        "joints": 6,
        "history": 1,
        "horizon": 2,
        "dt": 1 / 15,
        "hidden": 32,
        "layers": 1,
        "focal": 80.0,
        "centre": (320.0, 240.0),
        "joint_centre": (0.0,) * 6,
        "joint_scale": (1.0,) * 6,
        "action_scale": 0.05,
        "gripper_centre": -0.6,
        "gripper_scale": 0.25,
        "gripper_input": True,
    }
    return KeypointMlpSettings(**{**values, **changes})


def make_samples(frames, seed, telling=0.0, missing=0.0):
    """An object somewhere, its points with it, all others at rest; the expert moves by where the object is.

    With `telling` it is also in a mood in each episode of 20 frames, which nobody can see; but eight points of the
    background are off by so much [px] in each episode that they tell one from another. Part of the points are missing.
    """
    rng = np.random.default_rng(seed)
    place = rng.normal(0, 1, (frames, 2))
    home = np.random.default_rng(0).uniform((0, 0), (640, 480), (POINTS, 2))
    pixels = home + rng.normal(0, 2, (frames, POINTS, 2))
    pixels[:, :OBJECT] += 60 * place[:, None]
    joints = rng.normal(0, 0.1, (frames, 6))
    goal = place.copy()
    if telling:
        episode = np.arange(frames) // 20
        goal += rng.normal(0, 0.5, (frames, 2))[episode]
        pixels[:, OBJECT : 2 * OBJECT] += rng.normal(0, telling, (frames, OBJECT, 2))[episode]
    targets = np.repeat(joints[:, None], 2, axis=1)
    targets[:, :, :2] += 0.05 * goal[:, None]
    as_float = [torch.from_numpy(x.astype(np.float32)) for x in (pixels[:, None], joints, targets)]
    tracks, joints, targets = as_float
    there = rng.random((frames, 1, POINTS, 1)) >= missing
    flags = torch.from_numpy(np.repeat(there, 2, axis=-1).astype(np.float32))
    still = torch.full((frames, 2), -0.6)
    return Samples(tracks, flags, joints, still[:, 0], targets, still, np.arange(frames))


def places():
    return np.random.default_rng(0).uniform(0, 1, (POINTS, 2)).astype(np.float32)


def run(**changes):
    data = Data(make_samples(3000, 1), make_samples(1000, 2), make_samples(600, 3))
    return select(data, make_shape(), places(), TRAIN, replace(QUICK, **changes))


@pytest.fixture(scope="module")
def found():
    """From a penalty that weighs little at the start."""
    return run(alpha=0.1)


def require_sound(found):
    assert 4 <= len(found.kept) <= OBJECT
    assert set(found.kept) <= set(range(OBJECT)), found.probabilities.round(2)
    assert found.within_margin
    assert found.checks[0].open == POINTS and found.checks[-1].open <= OBJECT + 1


def test_it_keeps_a_few_points_of_the_object(found):
    require_sound(found)


def test_a_penalty_ten_times_as_heavy_at_the_start_finds_them_as_well():
    require_sound(run(alpha=1.0))


def test_points_by_which_episodes_can_be_learnt_by_heart_are_not_kept():
    data = Data(make_samples(600, 1, 80.0), make_samples(600, 2, 80.0), make_samples(600, 3, 80.0))
    found = select(data, make_shape(), places(), TRAIN, replace(QUICK, alpha=1.0))
    assert not set(found.kept) & set(range(OBJECT, 2 * OBJECT))


def test_points_that_are_open_but_not_missed_are_dropped():
    network, _ = fit(make_samples(8000, 1, missing=0.5), make_shape(), TRAIN, 0, 800)
    test = draw_batch(make_samples(2000, 3, missing=0.5), network, replace(TRAIN, fit=BIG), np.random.default_rng(0))
    kept = worth_keeping(network, test, 0.1, 0.1, POINTS)
    assert set(range(OBJECT)) == set(kept) and (np.diff(kept) > 0).all()
    assert set(worth_keeping(network, test, 0.1, 0.1, OBJECT - 2)) < set(range(OBJECT)), "the rest would be too many"
    assert len(worth_keeping(network, test, 0.1, -1.0, OBJECT - 2)) == OBJECT - 2
    assert len(worth_keeping(network, test, 0.1, -1.0, POINTS)) == POINTS, "nothing is worth less than nothing"
    assert len(worth_keeping(network, test, 0.1, 100.0, POINTS)) == 4, (
        "a body has to be located, whatever its points are worth"
    )


def test_a_second_point_of_a_body_is_worth_keeping_for_when_the_first_is_missing(monkeypatch):
    """The loss is small wherever either of two points is seen; of the others none matters."""

    def loss(network, test, knee, mask):
        return torch.where(mask[:, :2].bool().any(dim=1), 0.1, 1.0).mean()

    monkeypatch.setattr(worth_module, "imitation_loss", loss)
    network = KeypointMlp(make_shape())
    test = draw_batch(make_samples(1000, 3), network, TRAIN, np.random.default_rng(0))
    assert {0, 1} < set(worth_keeping(network, test, 0.1, 0.1, POINTS))
    monkeypatch.setattr(worth_module, "MISSING", 0.0)
    assert not {0, 1} < set(worth_keeping(network, test, 0.1, 0.1, POINTS))


def test_what_is_spared_for_nothing_is_not_in_the_selection(monkeypatch):
    """Of twelve points that are free of penalty some are kept, and those are open ones."""
    asked = []

    def first_five(network, test, knee, worth, most):
        asked.append((network.settings.keypoints, test.pixels.shape[2], worth, most))
        return np.arange(5)

    monkeypatch.setattr(selection_module, "worth_keeping", first_five)
    found = run(least=12, alpha=1.0, worth=0.02, most=11)
    opened = np.flatnonzero(found.probabilities > 0.5)
    assert asked == [(len(opened), len(opened), 0.02, 11)] and len(opened) >= 12
    assert found.kept.tolist() == opened[:5].tolist()


def test_equal_seeds_give_equal_bits(found):
    assert run(alpha=0.1).probabilities.tobytes() == found.probabilities.tobytes()


def test_a_penalty_that_overwhelms_the_student_is_refused():
    with pytest.raises(CollapsedMaskError, match="collapsed"):
        run(alpha=300.0, gate_rate=0.5, full_steps=20, mask_steps=60)


def test_a_mask_that_collapsed_is_refused_with_the_way_out():
    with pytest.raises(CollapsedMaskError, match="collapsed: 2 of 24 points stay.*smaller margin, alpha"):
        require_kept(np.array([0.9, 0.9] + [0.1] * 22), 8)


def test_a_mask_that_dropped_nothing_is_refused():
    with pytest.raises(CollapsedMaskError, match="none of 24"):
        require_kept(np.full(24, 0.8), 8)


def test_a_sound_mask_is_the_points_above_one_half():
    chances = np.linspace(0, 1, 21)
    assert require_kept(chances, 8).tolist() == list(range(11, 21))


def test_the_multiplier_grows_with_slack_and_shrinks_without():
    multiplier = Multiplier(1e-3, full_loss=1.0, margin=0.1, rate=0.1)
    assert multiplier.update(1.0, active=True) == pytest.approx(1e-3 * np.exp(0.1))
    for _ in range(50):
        grown = multiplier.value
        multiplier.update(1.5, active=True)
    assert multiplier.value == pytest.approx(grown * np.exp(-0.1))
    assert multiplier.best == 1.0


def test_the_multiplier_waits_while_nothing_is_penalised():
    multiplier = Multiplier(1e-3, full_loss=1.0, margin=0.1, rate=0.1)
    assert multiplier.update(0.5, active=False) == 1e-3
    assert multiplier.best == 0.5, "a better student tightens the bound all the same"
    assert multiplier.update(5.0, active=False) < 1e-3


def test_gates_are_hard_forward_and_soft_backward():
    torch.manual_seed(0)
    gates = Gates(torch.from_numpy(places()), 1.0)
    np.testing.assert_allclose(gates.probabilities().detach(), torch.sigmoid(torch.tensor(1.0)), atol=1e-6)
    mask = gates.sample(4000, torch.Generator().manual_seed(0))
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(mask.mean(dim=0).detach(), gates.probabilities().detach(), atol=0.03)
    (mask[:, 0].mean() - mask[:, 1].mean()).backward()
    assert gates.out.weight.grad.abs().max() > 0


def test_the_penalty_spares_the_surest_gates_and_presses_on_open_ones():
    torch.manual_seed(0)
    gates = Gates(torch.from_numpy(places()), 1.0)
    logits = torch.linspace(-8, 8, POINTS).requires_grad_()
    gates.logits = lambda: logits
    gates.penalty(4).backward()
    assert (logits.grad[-4:] == 0).all()
    assert (logits.grad[:-4] > 0).all() and logits.grad[-5] > 0.9 * logits.grad.max(), "certainty is no shelter"
    assert gates.count() == POINTS // 2
    logits.grad = None
    gates.conceit().backward()
    assert (logits.grad[logits.abs() <= 6] == 0).all() and logits.grad[-1] > 0 > logits.grad[0]


def test_gates_take_places_in_parts_of_the_picture():
    with pytest.raises(InputError, match=r"0\.\.1"):
        Gates(torch.tensor([[320.0, 240.0]]), 1.0)


def test_a_masked_point_looks_as_if_it_had_never_been_located():
    samples, network = make_samples(50, 0), KeypointMlp(make_shape())
    batch = draw_batch(samples, network, TRAIN, np.random.default_rng(0))
    mask = torch.ones(POINTS)
    mask[3] = 0
    masked = imitation_loss(network, batch, 0.1, mask)
    batch.pixels[:, :, 3] = 77.0
    assert torch.equal(imitation_loss(network, batch, 0.1, mask), masked)
    batch.flags[:, :, 3] = 0
    assert torch.equal(imitation_loss(network, batch, 0.1), masked)
    assert not torch.equal(imitation_loss(network, batch, 0.1, torch.ones(POINTS) - mask), masked)


def make_episodes():
    lengths = np.array([3, 2, 4, 1], dtype=np.int64)
    owner = np.repeat(np.arange(4), lengths).astype(np.float32)
    number = np.arange(10, dtype=np.float32)
    pixels = np.stack([np.stack([owner, number], axis=1)] * 3, axis=1) + np.arange(3)[None, :, None] * 100
    table = np.zeros((10, 2, 6), np.float32)
    return Episodes(
        lengths, lengths > 2, pixels, pixels[..., 0] > 0, pixels[:, 0], table[:, 0], owner, table, table[:, :, 0]
    )


def test_whole_episodes_are_held_out():
    kept, held = split(make_episodes(), 0.25, np.random.default_rng(0))
    assert (len(kept), len(held)) == (3, 1)
    for part in (kept, held):
        assert part.frames == part.lengths.sum()
        owners = [part.opening[start : start + n] for start, n in zip(part.starts, part.lengths, strict=True)]
        assert all(len(set(owner)) == 1 for owner in owners)
        np.testing.assert_array_equal(part.succeeded, part.lengths > 2)
    assert not set(kept.opening) & set(held.opening)


def test_points_are_taken_in_order_with_their_flags():
    kept = np.array([2, 0])
    recorded = take_recorded_points(make_episodes(), kept)
    np.testing.assert_array_equal(recorded.pixels, make_episodes().pixels[:, kept])
    np.testing.assert_array_equal(recorded.visible, make_episodes().visible[:, kept])
    samples = make_samples(5, 0)
    samples.flags[:, :, 2] = 0
    taken = take_points(samples, kept)
    np.testing.assert_array_equal(taken.pixels, samples.pixels[:, :, [2, 0]])
    assert taken.flags[:, :, 0].max() == 0 and taken.flags[:, :, 1].min() == 1


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"held_out": 1.0}, {"gate_part": 0.0}, {"alpha": 0.0}, {"least": 3}]
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SelectionSettings(**wrong)

"""Which pixels belong to the surface that a keypoint is on."""

import numpy as np

from keypoint_core.tracking.parts import Parts, own_surface, part_at

RADIUS = 8


def thing_on_a_table() -> np.ndarray:
    """A plane that recedes by 2 mm per pixel, and a box of 30 x 40 px that is 3 cm nearer than what is behind it."""
    depth = np.repeat(np.linspace(1.0, 0.8, 100, dtype=np.float32)[:, None], 120, axis=1)
    depth[30:70, 40:70] = 0.8
    return depth


def test_a_thing_and_what_it_lies_on_are_two_parts():
    parts = Parts.of(thing_on_a_table(), (100, 120))
    thing, table = part_at(parts, np.array([[55, 50], [10, 50]], np.float32))
    assert thing != table and 0 not in (thing, table)
    assert part_at(parts, np.array([[110, 80]], np.float32))[0] == table


def test_what_lies_behind_the_outline_is_not_its_own():
    parts = Parts.of(thing_on_a_table(), (100, 120))
    middle, corner = own_surface(parts, np.array([[55, 50], [42, 32]], np.float32), RADIUS).reshape(2, 17, 17)
    assert middle.all()
    assert corner[RADIUS:, RADIUS:].all() and not corner[:, : RADIUS - 3].any() and not corner[: RADIUS - 3].any()


def test_a_point_just_off_the_outline_belongs_to_the_thing_in_front():
    parts = Parts.of(thing_on_a_table(), (100, 120))
    thing, beside, table = part_at(parts, np.array([[55, 50], [71, 50], [75, 50]], np.float32))
    assert beside == thing != table


def test_holes_and_noise_in_depth_leave_a_patch_whole():
    depth = thing_on_a_table() + np.random.default_rng(0).normal(0, 0.0015, (100, 120)).astype(np.float32)
    depth[48:51, 54:57] = np.nan
    parts = Parts.of(depth, (100, 120))
    assert own_surface(parts, np.array([[55, 49]], np.float32), RADIUS).all()


def test_without_depth_everything_is_its_own_also_at_the_border():
    parts = Parts.of(None, (100, 120))
    pixels = np.array([[0, 0], [119, 99], [50, 50]], np.float32)
    assert own_surface(parts, pixels, RADIUS).all()
    assert (part_at(parts, pixels) == 0).all()
    assert (part_at(Parts.of(thing_on_a_table(), (100, 120)), pixels) > 0).all()

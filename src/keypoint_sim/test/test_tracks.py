"""Exact tracks of any surface point that is picked by pixel: on every part of every task, on the arm, on the table."""

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keypoint_core.errors import InputError
from keypoint_sim.gallery_pictures import watch
from keypoint_sim.gym.keypoints import spread_keypoints, visible_regions
from keypoint_sim.objects import clock
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks import TASKS
from keypoint_sim.truth import TOLERANCE, Projector, SurfacePoints, cast_rays
from keypoint_sim.world import World


@pytest.fixture(scope="module", params=list(TASKS))
def any_world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.close()


def in_world(world: World, optical: np.ndarray) -> np.ndarray:
    """Points [N, 3] of the optical frame in the world."""
    return optical @ world.camera_pose[:3, :3].T + world.camera_pose[:3, 3]


def pick_on(world: World, bodies: tuple[str, ...], count: int = 5) -> SurfacePoints:
    """Some points of the reference view that lie on one of these bodies."""
    k = world.camera.intrinsics
    v, u = np.mgrid[2 : k.height : 6, 2 : k.width : 6]
    pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
    found = pixels[np.isin(world.attach(pixels).bodies, bodies)]
    assert len(found) >= count, f"the reference view shows none of {bodies}"
    return world.attach(found[:: len(found) // count][:count])


def descendants(world: World, root: str) -> tuple[str, ...]:
    """A body and all that hang on it."""
    model, found = world.model, {int(world.model.body(root).id)}
    found |= {body for body in range(model.nbody) if int(model.body_rootid[body]) in found}
    return tuple(model.body(body).name for body in sorted(found))


def test_every_region_can_be_picked_on_the_reference_view(any_world: World) -> None:
    assert len(visible_regions(any_world)) == len(any_world.task.regions)


def test_points_keep_their_place_on_their_bodies(any_world: World) -> None:
    world = any_world
    points = world.attach(spread_keypoints(world, 60))
    assert set(points.bodies) <= set(world.task.bodies)
    for seed in range(3):
        world.reset(seed)
        pixels, visible, optical = world.tracks(points)
        bodies = [world.data.body(name) for name in points.bodies]
        expected = [
            body.xpos + Rotation.from_quat(np.roll(body.xquat, -1)).apply(local)
            for body, local in zip(bodies, points.local, strict=True)
        ]
        np.testing.assert_allclose(in_world(world, optical), expected, atol=1e-9)
        projected = optical @ world.camera.intrinsics.matrix.T
        np.testing.assert_allclose(pixels, projected[:, :2] / projected[:, 2:], atol=1e-9)
        assert visible.mean() > 0.4


def test_a_point_on_a_moving_part_moves_with_it(world: World) -> None:
    button = pick_on(world, (clock.BUTTON_BODY,))
    case = pick_on(world, (clock.BODY,))
    before = [in_world(world, world.tracks(points)[2]) for points in (button, case)]
    world.data.joint(clock.BUTTON_JOINT).qpos[0] = -clock.TRAVEL
    mujoco.mj_kinematics(world.model, world.data)
    after = [in_world(world, world.tracks(points)[2]) for points in (button, case)]
    np.testing.assert_allclose(after[0] - before[0], [[0, 0, -clock.TRAVEL]] * 5, atol=1e-9)
    np.testing.assert_allclose(after[1], before[1], atol=1e-9)


@pytest.mark.parametrize("robot", ROBOTS)
def test_points_on_the_arm_follow_its_joints(robot: str) -> None:
    world = World(robot=robot)
    points = pick_on(world, descendants(world, world.robot.base_body))
    before = in_world(world, world.tracks(points)[2])
    first = world.model.joint(world.arm.joint_names[0])
    world.data.qpos[first.qposadr[0]] += 0.3
    mujoco.mj_kinematics(world.model, world.data)
    after = in_world(world, world.tracks(points)[2])
    about = world.data.joint(world.arm.joint_names[0])
    turned = Rotation.from_rotvec(0.3 * about.xaxis).apply(before - about.xanchor) + about.xanchor
    moved = np.array([name != world.robot.base_body for name in points.bodies])
    assert moved.any()
    np.testing.assert_allclose(after[moved], turned[moved], atol=1e-9)
    np.testing.assert_allclose(after[~moved], before[~moved], atol=1e-9)
    world.close()


def test_the_arm_hides_what_it_is_in_front_of(world: World) -> None:
    """The tool is brought onto the line from the camera to a point of the table."""
    tool = world.data.site("tcp").xpos
    eye = world.camera_pose[:3, 3]
    behind = eye + (tool - eye) * (eye[2] / (eye[2] - tool[2]))
    points = SurfacePoints(("world", "world"), np.array([[*behind[:2], 0.0], [0.6, 0.3, 0.0]]))
    _, visible, _ = world.tracks(points)
    assert visible.tolist() == [False, True]


def test_distractors_hide_what_they_stand_on_and_are_never_picked(world: World) -> None:
    table = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 61), np.linspace(-0.4, 0.4, 81), [0.0]), axis=-1).reshape(-1, 3)
    points, pixels = SurfacePoints(("world",) * len(table), table), np.random.default_rng(0).uniform(0, 479, (300, 2))
    picked = world.attach(pixels)
    _, free, _ = world.tracks(points)
    world.reset(0, "ro")
    np.testing.assert_array_equal(world.attach(pixels).local, picked.local)
    _, beside, _ = world.tracks(points)
    hidden = table[free & ~beside]
    stand = [world.data.body(name).xpos[:2] for name in world.regions()["distractors"]]
    assert len(stand) >= 3
    for place in stand:
        assert np.linalg.norm(hidden[:, :2] - place, axis=1).min() < 0.02
    far = np.min([np.linalg.norm(table[:, :2] - place, axis=1) for place in stand], axis=0) > 0.45
    assert (free == beside)[far].all()


def test_tracks_are_those_of_the_camera_where_it_was_moved_to(world: World) -> None:
    anywhere = np.random.default_rng(0).uniform((5, 5), (634, 474), (400, 2))
    points = world.attach(np.vstack([spread_keypoints(world, 60), anywhere]))
    pixels, visible, _ = world.tracks(points)
    for seed in range(4):
        world.reset(seed, "camera", poses=[world.reset(0).pose])
        moved, seen, _ = world.tracks(points)
        assert 3 < np.abs(moved - pixels).mean() < 150 and (seen != visible).any()
        fresh = Projector(world.model, points, world.camera.intrinsics)
        np.testing.assert_array_equal(fresh.project(world.data, world.camera_pose)[1], seen)
    world.reset(0)
    np.testing.assert_array_equal(world.tracks(points)[0], pixels)


@pytest.mark.parametrize("condition", ["nudge", "occluder"])
def test_tracks_follow_a_pushed_object_and_a_passing_hand(world: World, condition: str) -> None:
    points = world.attach(spread_keypoints(world, 20))
    world.reset(1, condition)
    start, least = world.tracks(points)[0], 1.0
    for _ in watch(world):
        pixels, visible, optical = world.tracks(points)
        least = min(least, float(visible.mean()))
        bodies = [world.data.body(name) for name in points.bodies]
        expected = [b.xpos + b.xmat.reshape(3, 3) @ local for b, local in zip(bodies, points.local, strict=True)]
        np.testing.assert_allclose(in_world(world, optical), expected, atol=1e-9)
    moved = np.abs(pixels - start).mean()
    assert moved > 5 if condition == "nudge" else (moved < 2 and least == 0.0)


def test_visibility_is_what_plain_rays_say_whatever_moves(any_world: World) -> None:
    """What is kept for bodies at rest must never be stale: for points on objects, arm, distractors' ground and table."""
    world = any_world
    anywhere = np.random.default_rng(0).uniform((5, 5), (634, 474), (80, 2))
    points = world.attach(np.vstack([spread_keypoints(world, 60), anywhere]))
    assert any(name in descendants(world, world.robot.base_body) for name in points.bodies)
    size = np.array([world.camera.width, world.camera.height]) - 0.5
    for seed, condition in ((1, "ro+nudge+occluder"), (2, "rp"), (3, "camera")):
        world.reset(seed, condition)
        for shot, _ in enumerate(watch(world)):
            if shot % 2:  # not asked at every frame
                continue
            pixels, visible, optical = world.tracks(points)
            rays = optical @ world.camera_pose[:3, :3].T
            distances, _ = cast_rays(world.model, world.data, world.camera_pose[:3, 3], rays)
            length = np.linalg.norm(rays, axis=1)
            clear = (distances < 0) | (distances * length > length - TOLERANCE)
            inside = ((pixels > -0.5) & (pixels < size)).all(axis=1)
            np.testing.assert_array_equal(visible, clear & inside & (optical[:, 2] > 0))


def test_a_point_out_of_the_image_is_not_visible_but_has_its_pixel(world: World) -> None:
    points = SurfacePoints(("world", "world"), np.array([[0.5, 0.9, 0.0], [2.0, 0.0, 0.0]]))
    pixels, visible, optical = world.tracks(points)
    assert not visible.any() and np.isfinite(pixels).all()
    assert pixels[0, 0] > world.camera.width and optical[1, 2] < 0


def test_a_pixel_that_shows_nothing_is_refused(world: World) -> None:
    with pytest.raises(InputError, match=r"no surface lies at pixel \[1000000.0, -1000000.0\]"):
        world.attach(np.array([[1e6, -1e6]]))

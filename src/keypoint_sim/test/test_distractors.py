"""Distractors: at rest, out of the way, varied; and things from files."""

from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest

from keypoint_core.errors import InputError
from keypoint_core.types import ArmCommand
from keypoint_sim.disturbances import DisturbanceSettings
from keypoint_sim.disturbances.clearance import LANE, LOW, Clearance, distances_to_segments
from keypoint_sim.disturbances.files import find_objects, read_parts, scale_of
from keypoint_sim.disturbances.mesh_tools import thinned
from keypoint_sim.disturbances.shapes import ball, cuboid
from keypoint_sim.disturbances.solid import Skin, things_mjcf
from keypoint_sim.disturbances.things import THINGS, Thing
from keypoint_sim.experts import play
from keypoint_sim.robots import load_robot
from keypoint_sim.scene import build_model
from keypoint_sim.tasks.base import Outcome, move
from keypoint_sim.truth import SurfacePoints, cast_rays
from keypoint_sim.world import World


def poses_of(world: World) -> np.ndarray:
    """[N, 7] of the distractors."""
    return np.array([world.data.joint(name).qpos for name in world.regions()["distractors"]])


def let_stand(world: World, seconds: float) -> None:
    hold = ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home)
    for _ in range(round(seconds * 100)):
        world.step(hold)


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in vertices] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
    path.write_text("\n".join(lines) + "\n")


def write_stl(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Binary STL."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("extra", "<u2")])
    data = np.zeros(len(faces), record)
    data["corners"] = vertices[faces]
    path.write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + data.tobytes())


MJCF = """
<mujoco>
  <asset><material name="green" rgba="0.1 0.7 0.2 1"/></asset>
  <worldbody>
    <body name="lamp">
      <geom type="cylinder" size="0.04 0.01" pos="0 0 0.01" material="green"/>
      <body name="head" pos="0 0 0.02">
        <joint type="hinge" axis="0 1 0"/>
        <geom type="capsule" size="0.008" fromto="0 0 0 0 0 0.08" rgba="0.8 0.1 0.1 1"/>
        <geom type="box" size="0.02 0.02 0.01" pos="0 0 0.09" rgba="0.8 0.1 0.1 1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """A folder with a box in mm as OBJ, a ball as STL, a lamp as MJCF."""
    box = cuboid((60.0, 40.0, 90.0), Skin())
    write_obj(tmp_path / "box.obj", box.vertices, box.faces)
    sphere = ball(0.03, Skin(), segments=10)
    write_stl(tmp_path / "ball.stl", sphere.vertices, sphere.faces)
    (tmp_path / "lamp.xml").write_text(MJCF)
    return tmp_path


@pytest.fixture(scope="module")
def crowded() -> Iterator[World]:
    world = World(disturbances=DisturbanceSettings(distractor_count=(6, 6)))
    yield world
    world.close()


def test_three_to_six_distractors_of_many_kinds(world: World) -> None:
    counts, kinds = [], set()
    for seed in range(25):
        world.reset(seed, "ro")
        found = world._scenario.distractors
        counts.append(len(found))
        kinds |= {standing.thing.kind for standing in found}
        assert world.regions()["distractors"] == tuple(f"distractor{i}" for i in range(len(found)))
    assert min(counts) == 3 and max(counts) == 6
    assert len(kinds) > 0.8 * len(list(THINGS))


def test_they_stand_at_rest_and_touch_only_the_table(crowded: World) -> None:
    for seed in range(6):
        crowded.reset(seed, "ro")
        assert all(crowded.data.contact.dist > -1e-4)
        before = poses_of(crowded)
        np.testing.assert_allclose(before[:, 2], 0.0, atol=1e-9)
        assert (crowded.data.qvel == 0).all()
        let_stand(crowded, 0.6)
        after = poses_of(crowded)
        assert np.abs(after[:, :3] - before[:, :3]).max() < 5e-4
        cosines = np.abs((after[:, 3:] * before[:, 3:]).sum(axis=1))
        assert np.rad2deg(2 * np.arccos(np.clip(cosines, -1, 1))).max() < 0.5


def test_every_own_thing_comes_to_rest_where_it_is_put() -> None:
    for kind in THINGS:
        solid = Thing(kind, 3).make()
        points = np.vstack([mesh.vertices for mesh in solid.meshes])
        assert 0.015 < solid.radius < 0.13 and solid.height < 0.25 and solid.mass > 0, kind
        assert points[:, 2].min() == pytest.approx(0.0, abs=1.5e-3) and np.isfinite(points).all(), kind
        assert np.hypot(*points[:, :2].T).max() <= solid.radius + 1e-6, kind


def test_own_things_stand_still_for_long() -> None:
    """Also after seconds; contacts that are lost in rounding kick a thing away only once in a while."""
    named = [(f"{kind}_{seed}", Thing(kind, seed).make()) for kind in THINGS for seed in range(2)]
    model = build_model(load_robot("hebi_chopsticks"), things_mjcf(named))
    cylinders = model.geom_type == mujoco.mjtGeom.mjGEOM_CYLINDER
    assert not (model.geom_contype[cylinders] & 4).any()  # see `post`
    data, arm = mujoco.MjData(model), load_robot("hebi_chopsticks").description()
    data.qpos[:6] = data.ctrl[:6] = arm.home
    for i, (name, _) in enumerate(named):
        move(data.joint(name).qpos, (-0.9 + 0.35 * (i // 7), -1.2 + 0.35 * (i % 7)), 0.7 * i)
    start = np.array([data.joint(name).qpos for name, _ in named])
    mujoco.mj_step(model, data, 3000)
    moved = np.abs(np.array([data.joint(name).qpos for name, _ in named]) - start).max(axis=1)
    assert [name for (name, _), shift in zip(named, moved, strict=True) if shift > 5e-4] == []


def test_they_keep_out_of_the_way(crowded: World) -> None:
    for seed in range(12):
        info = crowded.reset(seed, "ro")
        circles = crowded.task.keep_out(np.array(info.poses))
        tool, target = crowded.data.site(crowded.robot.tcp_site).xpos[:2], crowded.task.target(crowded.data)[:2]
        for standing in crowded._scenario.distractors:
            place, solid = np.array([[standing.x, standing.y]]), standing.thing.make()
            gaps = np.linalg.norm(place - circles[:, :2], axis=1) - circles[:, 2]
            assert gaps.min() >= solid.radius
            if solid.height > LOW:
                assert distances_to_segments(place, tool[None], target[None])[0, 0] > LANE + solid.radius
        spots = np.array([[s.x, s.y, s.thing.make().radius] for s in crowded._scenario.distractors])
        for i, (x, y, radius) in enumerate(spots):
            others = np.delete(spots, i, axis=0)
            assert (np.hypot(others[:, 0] - x, others[:, 1] - y) > others[:, 2] + radius).all()


def test_they_hide_nothing_of_the_task_object(crowded: World) -> None:
    pixels = np.random.default_rng(0).uniform((5, 5), (634, 474), (6000, 2))
    points = crowded.attach(pixels)
    keep = np.array([body in crowded.task.bodies for body in points.bodies])
    on_task = SurfacePoints(tuple(np.array(points.bodies)[keep]), points.local[keep])
    assert len(on_task) > 100
    far = np.array([[0.34, 0.0, 0.0]])  # there is most room before it
    for seed in range(12):
        crowded.reset(seed, "rp", far)
        _, alone, _ = crowded.tracks(on_task)
        crowded.reset(seed, "ro", far)
        _, among, _ = crowded.tracks(on_task)
        np.testing.assert_array_equal(among, alone)


def test_what_is_flat_may_stand_where_what_is_tall_would_hide_the_object(crowded: World) -> None:
    poses = np.array([[0.34, 0.0, 0.0]])
    clearance = Clearance(crowded._survey(0, poses))
    before, beside = np.array([[0.56, 0.0]]), np.array([[0.50, 0.25]])
    assert clearance.free(before, 0.03, 0.004)[0] and not clearance.free(before, 0.03, 0.12)[0]
    assert clearance.free(beside, 0.03, 0.12)[0]


def test_they_are_seen_by_rays_and_in_the_picture(crowded: World) -> None:
    crowded.reset(3, "ro")
    camera = crowded.camera_pose
    for name in crowded.regions()["distractors"]:
        body = crowded.data.body(name)
        # A ring of rays about the middle: a mug or a roll may be hollow.
        aims = body.xipos + np.array([[0, 0, 0], [0.012, 0, 0], [0, 0.03, 0], [0, -0.03, 0], [0.02, 0, -0.01]])
        _, geoms = cast_rays(crowded.model, crowded.data, camera[:3, 3], aims - camera[:3, 3])
        assert (crowded.model.geom_bodyid[geoms] == body.id).any(), name


def test_the_expert_succeeds_among_them(crowded: World) -> None:
    for seed in range(5):
        crowded.reset(seed, "ro")
        before = poses_of(crowded)
        assert play(crowded, crowded.expert()).outcome == Outcome.SUCCESS
        assert np.abs(poses_of(crowded) - before).max() < 5e-3


def test_addresses_survive_a_change_of_the_distractors(world: World) -> None:
    world.reset(2, "rp")
    plain, expert, points = world.model, world.expert(), world.attach(np.array([[318.0, 350.0]]))
    chunk, tracks = expert.act(), world.tracks(points)
    site = world.model.site(world.robot.tcp_site).id
    world.reset(2, "ro")
    assert world.model is not plain and world.model.nq > plain.nq
    assert world.model.site(world.robot.tcp_site).id == site
    for i in range(plain.nbody):
        assert world.model.body(i).name == plain.body(i).name
    np.testing.assert_array_equal(world.model.jnt_qposadr[: plain.njnt], plain.jnt_qposadr)
    np.testing.assert_array_equal(world.model.geom_bodyid[: plain.ngeom], plain.geom_bodyid)
    np.testing.assert_allclose(expert.act().positions, chunk.positions, atol=1e-9)
    np.testing.assert_allclose(world.tracks(points)[0], tracks[0], atol=1e-9)
    first = world.model
    world.reset(2, "ro")
    assert world.model is first
    world.reset(2, "rp")
    assert world.model is plain


def test_a_snapshot_outlives_its_scene(world: World) -> None:
    world.reset(1, "ro")
    snapshot, picture = world.snapshot(), world.capture()
    world.reset(6, "ro")
    world.capture()
    np.testing.assert_array_equal(world.capture(snapshot).color, picture.color)


def test_files_become_distractors(objects: Path) -> None:
    settings = DisturbanceSettings(objects_dir=str(objects), file_object_share=1.0)
    world = World(disturbances=settings)
    names: set[str] = set()
    for seed in range(4):
        world.reset(seed, "ro")
        names |= {Path(standing.thing.path).name for standing in world._scenario.distractors}
        before = poses_of(world)
        let_stand(world, 0.5)
        assert np.abs(poses_of(world)[:, :3] - before[:, :3]).max() < 2e-4
    assert names == {"box.obj", "ball.stl", "lamp.xml"}
    colors = world.model.mat_rgba[[i for i in range(world.model.nmat) if "distractor" in world.model.mat(i).name]]
    assert len(colors)


def test_colours_of_an_mjcf_file_are_kept_and_its_joints_stay(objects: Path) -> None:
    found = read_parts(str(objects / "lamp.xml"))
    assert [color for _, _, color in found.parts] == [pytest.approx((0.1, 0.7, 0.2)), pytest.approx((0.8, 0.1, 0.1))]
    assert np.ptp(found.hull[:, 2]) == pytest.approx(0.12, abs=0.005)


@pytest.mark.parametrize(
    ("extent", "expected"), [(0.08, 0.08), (90.0, 0.09), (0.5, 0.16), (2000.0, 0.16), (0.004, 0.03), (5.0, 0.03)]
)
def test_sizes_become_sane(extent: float, expected: float) -> None:
    assert extent * scale_of(extent) == pytest.approx(expected)


def test_millimetres_are_recognised_and_things_lie_on_the_table(objects: Path) -> None:
    hull = read_parts(str(objects / "box.obj")).hull
    assert sorted(np.ptp(hull, axis=0)) == pytest.approx([0.04, 0.06, 0.09], abs=1e-4)
    assert hull[:, 2].min() == pytest.approx(0.0, abs=5e-4)


def test_fine_meshes_are_thinned_out() -> None:
    sphere = ball(0.05, Skin(), segments=220)
    vertices, faces = thinned(sphere.vertices, sphere.faces, 8000)
    assert len(sphere.faces) > 40_000 and 1000 < len(faces) <= 8000
    assert np.ptp(vertices, axis=0) == pytest.approx([0.1, 0.1, 0.1], rel=0.05)


def write_flat(path: Path) -> None:
    write_obj(path, np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0]]), np.array([[0, 1, 2], [1, 3, 2]]))


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("torn.stl", lambda path: path.write_bytes(b"not a mesh at all"), "cannot be used: .*STL"),
        ("empty.obj", lambda path: path.write_text("# nothing\n"), "cannot be used: "),
        ("flat.obj", write_flat, "cannot be used: "),
        ("broken.xml", lambda path: path.write_text("<mujoco><worldbody></mujoco>"), "cannot be used: XML"),
        (
            "bare.xml",
            lambda path: path.write_text("<mujoco><worldbody/></mujoco>"),
            "cannot be used: it has no surface",
        ),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, name: str, write, reason: str) -> None:
    write(tmp_path / name)
    with pytest.raises(InputError, match=f"{name} {reason}"):
        World(disturbances=DisturbanceSettings(objects_dir=str(tmp_path)))


def test_a_bad_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no object"):
        find_objects(str(tmp_path))
    with pytest.raises(InputError, match="objects_dir must be a folder"):
        find_objects(str(tmp_path / "missing"))


def test_physics_without_distractors_is_that_of_the_plain_scene(world: World) -> None:
    """Building scenes with distractors in between leaves no trace."""
    outcomes = []
    for detour in (None, "ro"):
        if detour:
            world.reset(8, detour)
        world.reset(5, "rp")
        play(world, world.expert())
        outcomes.append(world.data.qpos.copy())
    np.testing.assert_array_equal(*outcomes)
    assert world.model.opt.timestep == 0.002 and isinstance(world.model, mujoco.MjModel)

"""Conditions, textures, lights and camera: what each changes, what it leaves alone, what can be set from outside."""

import hashlib
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from keypoint_core.errors import InputError, UnknownNameError
from keypoint_core.types import ArmCommand
from keypoint_sim.disturbances import PRESETS, DisturbanceSettings, Scenario, parse_condition
from keypoint_sim.disturbances.flashing_light import DIMMEST
from keypoint_sim.disturbances.lights import color_of_temperature
from keypoint_sim.textures import FAMILIES, TEXTURES, Texture
from keypoint_sim.world import World

EVERYTHING = "light+moving_light+flashing_light+camera+occluder+nudge"


def scenario(world: World, seed: int, condition: str) -> Scenario:
    world.reset(seed, condition)
    return world._scenario


def hold(world: World, seconds: float) -> None:
    command = ArmCommand(world.arm.home, np.zeros(len(world.arm.home)), world.arm.gripper_home)
    while world.stamp * 1e-9 < seconds:
        world.step(command)


def fingerprint(world: World) -> str:
    """Hash of two pictures and the state of a scene with every disturbance at once."""
    digest = hashlib.sha256()
    for seconds in (0.0, 1.2):
        if not seconds:
            world.reset(12, EVERYTHING)
        hold(world, seconds)
        frame = world.capture()
        for part in (frame.color, frame.depth, world.data.qpos, world.camera_pose):
            digest.update(part.tobytes())
    return digest.hexdigest()


def test_everything_at_once_is_the_same_in_any_process(shared_world: World) -> None:
    shared_world.reset(3, "ro")
    here = fingerprint(shared_world)
    script = "import sys; sys.path.insert(0, sys.argv[1]);"
    script += "from test_disturbances import fingerprint, World; print(fingerprint(World()))"
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == here


def test_presets_are_cumulative_and_names_combine_in_any_case() -> None:
    assert PRESETS["light"] == ("pose", "textures", "distractors", "lights")
    for less, more in (("rp", "rb"), ("rb", "ro"), ("ro", "light")):
        assert set(PRESETS[less]) < set(PRESETS[more])
    assert parse_condition("Nudge + RB") == parse_condition("textures+pose+nudge") == ("pose", "textures", "nudge")


def test_unknown_condition_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="unknown condition 'fog'; known: .*nudge.*occluder.*ro"):
        parse_condition("rp+fog")


def test_each_disturbance_changes_what_it_should_and_nothing_else(world: World) -> None:
    poses, base = world.reset(7, "rp").poses, world._scenario
    stand = world.camera_pose.copy()
    changed = {
        "rp": set(),
        "textures": {"table", "wall"},
        "distractors": {"distractors"},
        "lights": {"lights", "ambient"},
        "moving_light": {"light_changes"},
        "flashing_light": {"light_changes"},
        "camera": {"camera"},
        "occluder": {"events"},
        "nudge": {"events"},
        "bump": {"events"},
    }
    for name, expected in changed.items():
        assert world.reset(7, name).poses == poses
        now = world._scenario
        found = {f.name for f in fields(Scenario) if f.name not in ("look", "camera")}
        found = {name for name in found if getattr(now, name) != getattr(base, name)}
        found |= {f.name for f in fields(now.look) if getattr(now.look, f.name) != getattr(base.look, f.name)}
        found |= {"camera"} if not np.array_equal(world.camera_pose, stand) else set()
        assert found == expected, name


def test_a_disturbance_draws_the_same_whatever_else_is_on(world: World) -> None:
    alone = {name: scenario(world, 11, name) for name in ("textures", "distractors", "lights", "nudge")}
    together = scenario(world, 11, "light+nudge+camera+moving_light")
    assert together.look.table == alone["textures"].look.table
    assert together.look.lights == alone["lights"].look.lights
    assert together.distractors == alone["distractors"].distractors
    assert together.events[0].when == alone["nudge"].events[0].when


def test_conditions_differ_in_the_picture(world: World) -> None:
    """Over seeds: the table's colour with rb, edges with ro, brightness with light."""
    table, edges, brightness = {}, {}, {}
    for condition in PRESETS:
        frames = []
        for seed in range(4):
            world.reset(seed, condition)
            frames.append(world.capture().color)
        table[condition] = np.std([f[380:, :90].mean(axis=(0, 1)) for f in frames], axis=0).mean()
        brightness[condition] = np.std([f.mean() for f in frames])
        edges[condition] = [f.copy() for f in frames]
    assert table["rp"] < 1.5 < 8 < table["rb"]
    assert brightness["light"] > 2 * brightness["rp"]
    differs = [
        (np.abs(a.astype(int) - b) > 25).any(axis=2).mean() for a, b in zip(edges["rb"], edges["ro"], strict=True)
    ]
    assert all(0.004 < share < 0.3 for share in differs)


def test_the_bank_of_textures_is_large_and_varied() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family]
    assert len(kinds) == len(set(kinds)) >= 30 and set(kinds) <= set(TEXTURES)
    pictures = [Texture(kind, seed).draw() for kind in kinds for seed in (0, 1)]
    assert all(p.shape == (512, 512, 3) and p.dtype == np.uint8 and 8 < p.mean() < 247 for p in pictures)
    small = np.stack([cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA).ravel().astype(float) for p in pictures])
    apart = np.abs(small[:, None] - small[None]).mean(axis=2) + 1e3 * np.eye(len(small))
    assert apart.min() > 0.5


def test_lights_keep_the_picture_usable_and_vary_in_number(world: World) -> None:
    counts, darkest = set(), 255.0
    for seed in range(60):
        look = scenario(world, seed, "lights").look
        total = sum(light.intensity for light in look.lights)
        assert total + 1e-9 >= 0.3 and total <= 1.7 + 1e-9
        for light in look.lights:
            assert (
                np.linalg.norm(light.direction) == pytest.approx(1.0) and light.direction[0] <= 0 > light.direction[2]
            )
        counts.add(len(look.lights))
        if total < 0.42:
            darkest = min(darkest, float(world.capture().color.mean()))
    assert counts == {1, 2, 3}
    assert darkest > 20


def test_colour_temperature_goes_from_warm_to_cold() -> None:
    warm, cold = color_of_temperature(2700), color_of_temperature(7500)
    assert warm[0] == 1.0 > warm[2] and cold[2] > warm[2] and max(cold) == 1.0


def test_light_ranges_come_from_outside(world: World) -> None:
    settings = DisturbanceSettings(light_intensity=(0.9, 0.9), light_count=(2, 2), light_height=(60.0, 60.0))
    other = World(disturbances=settings)
    for seed in range(3):
        lights = scenario(other, seed, "lights").look.lights
        assert len(lights) == 2 and sum(light.intensity for light in lights) == pytest.approx(0.9)
        assert all(light.direction[2] == pytest.approx(-np.sin(np.deg2rad(60))) for light in lights)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"light_intensity": (1.7, 0.3)}, "light_intensity.*least, most"),
        ({"light_count": (0, 3)}, "light_count.*1 .. 3"),
        ({"distractor_count": (3, 6, 9)}, "distractor_count.*two numbers"),
        ({"photo_share": float("nan")}, "photo_share"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DisturbanceSettings(**values)


def test_moving_and_flashing_lights_change_during_a_trial_and_stay_plain(world: World) -> None:
    moving, flashing = scenario(world, 5, "lights+moving_light"), scenario(world, 5, "lights+flashing_light")
    times = np.linspace(0, 6, 61)
    directions = np.array([moving.look_at(t).lights[0].direction for t in times])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    assert moving.look_at(0.0).lights[0].direction == pytest.approx(moving.look.lights[0].direction)
    assert all(moving.look_at(t).lights[1:] == moving.look.lights[1:] for t in times)
    assert np.ptp(directions, axis=0).max() > 0.3 and (directions[:, 0] <= 0).all()
    totals = np.array([sum(light.intensity for light in flashing.look_at(t).lights) for t in times])
    assert totals.max() / totals.min() > 1.15 and totals.min() >= DIMMEST - 1e-9
    hold(world, 0.0)
    assert world.snapshot().look == flashing.look_at(0.0)
    hold(world, 0.4)
    assert world.snapshot().look == flashing.look_at(0.4) != flashing.look_at(0.0)


def test_the_camera_is_off_by_at_most_three_centimetres_and_degrees(world: World) -> None:
    world.reset(0, "rp")
    stand = world.camera_pose.copy()
    shifts, turns = [], []
    for seed in range(60):
        pose = scenario(world, seed, "camera").camera
        assert pose is not None and np.array_equal(world.camera_pose, pose)
        shifts.append(np.linalg.norm(pose[:3, 3] - stand[:3, 3]))
        cosine = (np.trace(pose[:3, :3].T @ stand[:3, :3]) - 1) / 2
        turns.append(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    assert 0.02 < max(shifts) <= 0.03 and 2 < max(turns) <= 3.0
    assert np.ptp(shifts) > 0.01


def test_the_moved_camera_is_that_of_pictures_and_of_truth(world: World) -> None:
    points = world.attach(np.array([[318.0, 350.0]]))
    world.reset(4, "rp")
    straight, _, _ = world.tracks(points)
    picture = world.capture().color
    world.reset(4, "camera")
    moved, _, _ = world.tracks(points)
    shift = np.round(moved - straight)[0].astype(int)
    assert np.abs(shift).max() >= 3
    (u, v), (a, b) = np.round(straight[0]).astype(int), np.round(straight[0]).astype(int) + shift
    before, after = picture[v - 12 : v + 13, u - 12 : u + 13], world.capture().color[b - 20 : b + 21, a - 20 : a + 21]
    score = cv2.matchTemplate(after, before, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(score.argmax(), score.shape)
    assert score.max() > 0.8 and abs(row - 8) <= 2 and abs(column - 8) <= 2
    np.testing.assert_array_equal(world.reference().world_to_camera, World().reference().world_to_camera)


def test_photographs_from_a_folder(tmp_path: Path) -> None:
    red = np.zeros((60, 90, 3), np.uint8)
    red[..., 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), red)
    cv2.imwrite(str(tmp_path / "also_red.JPG"), red)
    world = World(disturbances=DisturbanceSettings(textures_dir=str(tmp_path), photo_share=1.0))
    names = {Path(scenario(world, seed, "rb").look.table.path).name for seed in range(12)}
    assert names == {"red.png", "also_red.JPG"}
    table = world.capture().color[400:, :100].mean(axis=(0, 1))
    assert table[0] > 4 * table[1] and table[0] > 4 * table[2]
    mixed = World(disturbances=DisturbanceSettings(textures_dir=str(tmp_path)))
    kinds = [scenario(mixed, seed, "rb").look.table.kind == "photo" for seed in range(30)]
    assert 5 < sum(kinds) < 25
    world.close()


def test_a_bad_picture_folder_is_named_with_the_reason(tmp_path: Path) -> None:
    def build() -> World:
        return World(disturbances=DisturbanceSettings(textures_dir=str(tmp_path / "pictures")))

    with pytest.raises(InputError, match="textures_dir must be a folder"):
        build()
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        build()
    (tmp_path / "pictures" / "broken.png").write_bytes(b"\x89PNG not really")
    with pytest.raises(InputError, match="broken.png cannot be read: not a whole PNG or JPEG"):
        build()

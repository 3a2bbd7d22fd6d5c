from collections.abc import Iterator
from dataclasses import replace

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64, Intrinsics
from keypoint_sim.depth import DepthNoise
from keypoint_sim.disturbances.look import NOMINAL
from keypoint_sim.rendering import Renderer, View, make_gl_context
from keypoint_sim.robots import load_robot
from keypoint_sim.scene import build_model
from keypoint_sim.sensor import Picture, RgbdSensor, SensorNoise

K = Intrinsics(320, 240, 300.0, 300.0, 159.5, 119.5)
EYE = np.array([0.45, 0.0, 0.8])  # looks straight down
TOP = 0.1  # of the boxes [m]
BOXES = """
<mujoco><worldbody>
  <geom name="glass" type="box" size="0.06 0.06 0.05" pos="0.45 0.1 0.05" rgba="0.7 0.9 0.9 0.3"/>
  <geom name="solid" type="box" size="0.06 0.06 0.05" pos="0.45 -0.2 0.05" rgba="0.7 0.9 0.9 1"/>
  <geom name="inside" type="box" size="0.02 0.02 0.02" pos="0.45 0.1 0.02" rgba="0.8 0.1 0.1 1"/>
</worldbody></mujoco>"""
GLASS_ONLY = DepthNoise(axial=0, step=0, edge_loss=0, edge_mixed=0, dark_loss=0, baseline=0, minimum=0, maximum=0)
INNER = (slice(100, 141), slice(177, 218))  # of the pane, away from its rim
BESIDE = (slice(102, 108), slice(180, 186))  # nothing in the pane but the table below
SOLID = (slice(100, 141), slice(54, 95))  # of the solid box
RED = (slice(115, 126), slice(193, 203))  # the red box in it


def downward() -> Float64:
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    pose[:3, 3] = EYE
    return pose


def draw(document: str) -> Picture:
    model = build_model(load_robot("hebi_chopsticks"), document)
    gl = make_gl_context(K.width, K.height)
    renderer = Renderer(model, K, gl)
    picture = renderer.draw(View(mujoco.MjData(model).qpos, np.zeros((0, 7)), NOMINAL, downward()))
    renderer.close()
    gl.free()
    return picture


@pytest.fixture(scope="module")
def boxes() -> Iterator[Picture]:
    yield draw(BOXES)


def measure(picture: Picture, seed: int = 0, tick: int = 0, noise: DepthNoise = GLASS_ONLY) -> Float32:
    return RgbdSensor(K, SensorNoise(color=None, depth=noise)).expose(picture, seed, tick)[1]


def test_one_depth_sees_through_glass_and_the_other_stops_at_it(boxes: Picture) -> None:
    np.testing.assert_allclose(boxes.nearest[INNER], EYE[2] - TOP, atol=1e-4)
    np.testing.assert_allclose(boxes.depth[RED], EYE[2] - 0.04, atol=1e-4)
    np.testing.assert_allclose(boxes.depth[BESIDE], EYE[2], atol=1e-4)
    np.testing.assert_allclose(boxes.depth[SOLID], EYE[2] - TOP, atol=1e-4)
    assert (boxes.nearest[:, :160] == boxes.depth[:, :160]).all()
    inside, beside = (boxes.color[where].mean(axis=(0, 1)) for where in (RED, BESIDE))
    assert inside[0] - inside[2] > 1.5 * (beside[0] - beside[2]), "what lies in the glass is seen in colour"


def test_without_glass_there_is_no_second_pass() -> None:
    picture = draw(BOXES.replace("0.9 0.3", "0.9 1"))
    assert picture.nearest is picture.depth


def test_geoms_for_contact_only_do_not_count_as_glass() -> None:
    picture = draw(BOXES.replace('name="glass"', 'name="glass" group="3"'))
    assert picture.nearest is picture.depth and (picture.depth[BESIDE] > 0.79).all()


def test_objects_with_cube_textures_are_drawn() -> None:
    asset = (
        '<asset><texture name="paint" type="cube" builtin="flat" rgb1="0 0 1" width="32" height="192"/>'
        '<material name="paint" texture="paint"/></asset><worldbody>'
    )
    document = BOXES.replace("<worldbody>", asset).replace('name="solid"', 'name="solid" material="paint"')
    red, _, blue = draw(document).color[SOLID].mean(axis=(0, 1))
    assert blue > 3 * red


def shares(picture: Picture, noise: DepthNoise, seeds: int = 40) -> tuple[float, float, float]:
    """Parts of the pane that are lost, seen through, and hit."""
    behind, front = picture.depth[INNER], picture.nearest[INNER]
    lost, through = [], []
    for seed in range(seeds):
        depth = measure(picture, seed, seed, noise)[INNER]
        lost.append(np.isnan(depth).mean())
        through.append((depth == behind).mean())
        assert (np.isnan(depth) | (depth == behind) | (depth == front)).all()
    return float(np.mean(lost)), float(np.mean(through)), 1 - float(np.mean(lost)) - float(np.mean(through))


@pytest.mark.parametrize(("lost", "through"), [(0.4, 0.4), (0.2, 0.1), (0.0, 0.5), (0.5, 0.5)])
def test_glass_is_lost_seen_through_and_hit_in_the_parts_asked_for(boxes: Picture, lost: float, through: float) -> None:
    noise = replace(GLASS_ONLY, glass_lost=lost, glass_through=through)
    assert shares(boxes, noise) == pytest.approx((lost, through, 1 - lost - through), abs=0.08)


@pytest.mark.parametrize(("lost", "through"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_whole_part_is_whole(boxes: Picture, lost: float, through: float) -> None:
    noise = replace(GLASS_ONLY, glass_lost=lost, glass_through=through)
    assert shares(boxes, noise, 3) == (lost, through, 1 - lost - through)


def test_glass_fails_in_patches_not_in_single_pixels(boxes: Picture) -> None:
    def changes(mask: NDArray[np.bool_]) -> float:
        return float((mask[:, 1:] != mask[:, :-1]).mean())

    masks = [np.isnan(measure(boxes, seed)[INNER]) for seed in range(10)]
    part = float(np.mean(masks))
    assert np.mean([changes(mask) for mask in masks]) < 0.5 * 2 * part * (1 - part)


def test_patches_stay_from_frame_to_frame_and_change_over_seconds_and_scenes(boxes: Picture) -> None:
    def differ(first: tuple[int, int], second: tuple[int, int]) -> float:
        masks = [np.isnan(measure(boxes, *key)[INNER]) for key in (first, second)]
        return float((masks[0] != masks[1]).mean())

    soon = np.mean([differ((seed, 100), (seed, 107)) for seed in range(10)])
    late = np.mean([differ((seed, 100), (seed, 1300)) for seed in range(10)])
    other = np.mean([differ((seed, 100), (seed + 20, 100)) for seed in range(10)])
    assert soon < 0.5 * late and soon < 0.5 * other
    np.testing.assert_array_equal(measure(boxes, 3, 5), measure(boxes, 3, 5))


def test_all_failures_together_leave_the_solid_box_measured(boxes: Picture) -> None:
    depth = measure(boxes, noise=DepthNoise())
    assert np.nanmedian(depth[SOLID]) == pytest.approx(EYE[2] - TOP, abs=1e-3) and np.isnan(depth[SOLID]).mean() < 0.01

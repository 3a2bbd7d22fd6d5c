import hashlib
import subprocess
import sys
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import Float32, Intrinsics
from keypoint_sim.color import ColorNoise
from keypoint_sim.depth import DepthNoise
from keypoint_sim.sensor import Picture, RgbdSensor, SensorNoise

K = Intrinsics(200, 160, 607.0, 607.0, 99.5, 79.5)
NO_COLOR = ColorNoise(
    blur=0,
    vignetting=0,
    darkest=0,
    exposure_drift=0,
    white_balance_drift=0,
    read_noise=0,
    shot_noise=0,
    jpeg_quality=0,
)
NO_DEPTH = DepthNoise(
    axial=0,
    step=0,
    edge_loss=0,
    edge_mixed=0,
    dark_loss=0,
    baseline=0,
    minimum=0,
    maximum=0,
    glass_lost=0,
    glass_through=0,
)
ALL_DEPTH = ("axial", "step", "edge_loss", "edge_mixed", "dark_loss", "baseline", "minimum", "maximum", "glass_lost")


def flat(distance: float, level: int = 128) -> Picture:
    depth = np.full((K.height, K.width), distance, np.float32)
    return Picture(np.full((K.height, K.width, 3), level, np.uint8), depth, depth)


def scene() -> Picture:
    """A thing in the middle, nearer than the ground; a far and a near strip; a pane of glass; a black corner."""
    depth = np.full((K.height, K.width), 1.2, np.float32)
    depth[40:100, 60:120] = 0.8
    depth[:, 190:] = 5.0
    depth[150:, :30] = 0.3
    nearest = depth.copy()
    nearest[110:140, 50:150] = 0.9
    color = np.random.default_rng(0).integers(60, 200, (K.height, K.width, 3), dtype=np.uint8)
    color[:20, :20] = 2
    return Picture(cv2.GaussianBlur(color, (9, 9), 3), depth, nearest)


def expose(
    picture: Picture, noise: SensorNoise | None, seed: int = 0, tick: int = 0
) -> tuple[NDArray[np.uint8], Float32]:
    return RgbdSensor(K, noise).expose(picture, seed, tick)


def depth_of(picture: Picture, **changes: float) -> Float32:
    return expose(picture, SensorNoise(color=None, depth=replace(NO_DEPTH, **changes)))[1]


def color_of(picture: Picture, seed: int = 0, tick: int = 0, **changes: float) -> NDArray[np.uint8]:
    return expose(picture, SensorNoise(color=replace(NO_COLOR, **changes), depth=None), seed, tick)[0]


@pytest.mark.parametrize("noise", [None, SensorNoise(None, None), SensorNoise(NO_COLOR, replace(NO_DEPTH))])
def test_a_sensor_without_failures_gives_the_picture_itself(noise: SensorNoise | None) -> None:
    picture = scene()
    color, depth = expose(picture, noise)
    np.testing.assert_array_equal(color, picture.color)
    np.testing.assert_array_equal(depth, picture.nearest)


@pytest.mark.parametrize("name", [item.name for item in fields(ColorNoise)])
def test_each_failure_of_colour_can_be_switched_alone(name: str) -> None:
    picture = scene()
    if name == "darkest":
        picture = replace(picture, color=picture.color // 4)
    assert (color_of(picture, **{name: getattr(ColorNoise(), name)}) != picture.color).any()
    others = {item.name: getattr(ColorNoise(), item.name) for item in fields(ColorNoise) if item.name != name}
    assert (color_of(picture, **others) != color_of(picture, **others, **{name: getattr(ColorNoise(), name)})).any()


@pytest.mark.parametrize("name", ALL_DEPTH)
def test_each_failure_of_depth_can_be_switched_alone(name: str) -> None:
    picture = scene()
    exact = replace(picture, depth=picture.depth + 1e-4, nearest=picture.nearest + 1e-4)  # between two millimetres
    measured = depth_of(exact, **{name: getattr(DepthNoise(), name)})
    assert not np.array_equal(measured, exact.nearest, equal_nan=True)


def test_depth_noise_grows_with_the_square_of_the_distance() -> None:
    spread = [float(np.std(depth_of(flat(z), axial=0.0015) - z)) for z in (0.7, 1.4, 2.8)]
    assert spread[0] == pytest.approx(0.0015 * 0.49, rel=0.05)
    assert spread[1] / spread[0] == pytest.approx(4.0, rel=0.01)
    assert spread[2] / spread[0] == pytest.approx(16.0, rel=0.01)


def test_depth_comes_in_whole_millimetres() -> None:
    depth = depth_of(flat(1.2345), axial=0.0015, step=0.001)
    np.testing.assert_allclose(depth * 1000, np.round(depth * 1000), atol=1e-3)
    assert len(np.unique(depth)) > 4


def test_depth_ends_at_the_working_range() -> None:
    holes = np.isnan(depth_of(scene(), minimum=0.5, maximum=3.86))
    assert holes[:, 190:].all() and holes[150:, :30].all()
    holes[:, 190:] = holes[150:, :30] = False
    assert not holes.any()


def test_edges_and_only_edges_lose_pixels() -> None:
    holes = np.isnan(depth_of(replace(scene(), nearest=scene().depth), edge_loss=0.6))
    edge = np.zeros_like(holes)
    edge[39:101, 59:121], edge[41:99, 61:119] = True, False
    edge[:, 189:191] = edge[149:151, :31] = edge[149:, 29:31] = True
    assert holes[edge].mean() == pytest.approx(0.6, abs=0.06)
    assert not holes[~edge].any()


def test_flying_pixels_lie_between_the_two_surfaces_of_an_edge() -> None:
    picture = replace(scene(), nearest=scene().depth)
    moved = depth_of(picture, edge_mixed=0.5) != picture.depth
    edge = np.zeros_like(moved)
    edge[39:101, 59:121], edge[41:99, 61:119] = True, False
    assert moved[edge].mean() == pytest.approx(0.5, abs=0.08)
    values = depth_of(picture, edge_mixed=0.5)[edge]
    assert (values >= 0.8).all() and (values <= 1.2).all() and np.std(values[(values > 0.82) & (values < 1.18)]) > 0.05


def test_what_stands_out_hides_the_ground_on_its_right_from_the_depth_camera() -> None:
    holes = np.isnan(depth_of(replace(scene(), nearest=scene().depth), baseline=0.032))
    shadow = 607 * 0.032 * (1 / 0.8 - 1 / 1.2)
    rows = holes[45:95, 120:180]
    assert rows.sum(axis=1) == pytest.approx(shadow, abs=1)
    assert (rows == rows[0]).all() and rows[0, 0] and not holes[45:95, :120].any() and not holes[:35, :180].any()


def test_grazing_surfaces_lose_pixels_and_frontal_ones_none() -> None:
    def lost(angle: float) -> float:
        rows = np.arange(K.height, dtype=np.float32)[:, None] * np.ones(K.width, np.float32)
        depth = 1.0 + np.tan(angle) * rows / K.fx * 1.0
        picture = replace(flat(1.0), depth=depth.astype(np.float32), nearest=depth.astype(np.float32))
        measured = depth_of(picture, edge_loss=0.6)
        return float(np.isnan(measured)[:20].mean())

    assert lost(1.1) == 0.0
    assert 0.02 < lost(1.32) < 0.5
    assert lost(1.45) == pytest.approx(0.6, abs=0.03)


def test_black_surfaces_lose_pixels_whatever_the_light_of_the_room() -> None:
    picture = scene()
    for light in (0.3, 1.0):
        color = (picture.color * light).astype(np.uint8)
        holes = np.isnan(depth_of(replace(picture, color=color), dark_loss=0.4))
        assert 0.2 < holes[:20, :20].mean() < 0.45 and not holes[20:, 20:].any()


def test_a_dark_picture_is_raised_with_its_noise_and_a_bright_one_left() -> None:
    for level, raised in ((90, 90), (40, 60), (30, 60), (10, 25)):
        assert color_of(flat(1.0, level), darkest=60).mean() == pytest.approx(raised)
    plain = color_of(flat(1.0, 60), read_noise=2, darkest=60).std()
    assert color_of(flat(1.0, 30), read_noise=2, darkest=60).std() == pytest.approx(2 * plain, rel=0.05)


def test_read_noise_is_even_and_shot_noise_grows_with_the_light() -> None:
    def spread(level: int, **changes: float) -> float:
        return float(np.std(color_of(flat(1.0, level), **changes).astype(float)))

    assert spread(40, read_noise=3) == pytest.approx(3, rel=0.05) and spread(200, read_noise=3) == pytest.approx(
        3, rel=0.05
    )
    assert spread(200, shot_noise=4) / spread(50, shot_noise=4) == pytest.approx(2.0, rel=0.1)


def test_exposure_and_white_balance_really_drift_and_slowly() -> None:
    picture = flat(1.0, 200)

    def means(**changes: float) -> NDArray[np.float64]:
        sensor = RgbdSensor(K, SensorNoise(color=replace(NO_COLOR, **changes), depth=None))
        return np.array([sensor.expose(picture, 3, tick)[0].mean(axis=(0, 1)) for tick in range(0, 2000, 7)])

    exposure, balance = means(exposure_drift=0.05), means(white_balance_drift=0.05)
    assert np.ptp(exposure[:, 1]) / 200 > 0.05 and np.ptp(exposure[:, 1] - exposure[:, 0]) <= 1
    assert np.ptp(balance[:, 1]) == 0 and np.ptp(balance[:, 0]) / 200 > 0.04 and np.ptp(balance[:, 2]) / 200 > 0.04
    assert np.ptp(balance[:, 0] - balance[:, 2]) / 200 > 0.04
    assert np.abs(np.diff(exposure, axis=0)).max() <= 3 and np.abs(np.diff(balance, axis=0)).max() <= 3
    assert np.abs(exposure - 200).max() <= 0.05 * 200 + 1


def test_corners_are_a_little_darker() -> None:
    color = color_of(flat(1.0, 200), vignetting=0.3)
    assert color[79, 99, 0] == 200
    assert color[0, 0, 0] == pytest.approx(200 * (1 - 0.3 * (99.5**2 + 79.5**2) / 607**2), abs=1)


def test_jpeg_changes_the_picture_a_little() -> None:
    picture = scene()
    fine, coarse = (cv2.PSNR(color_of(picture, jpeg_quality=quality), picture.color) for quality in (90, 20))
    assert coarse < fine < 60 and fine > 35
    red = np.zeros((K.height, K.width, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(color_of(replace(picture, color=red), jpeg_quality=90).astype(int) - red).max() <= 4


def test_noise_differs_between_frames_and_scenes_but_not_between_repeats() -> None:
    sensor, picture = RgbdSensor(K, SensorNoise()), scene()
    first, again, later, other = (sensor.expose(picture, *key) for key in ((3, 0), (3, 0), (3, 7), (4, 0)))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    for different in (later, other):
        assert (first[0] != different[0]).mean() > 0.3
        assert (first[1] != different[1]).mean() > 0.3


def test_every_process_draws_the_same_noise() -> None:
    script = (
        "import sys, hashlib; sys.path.insert(0, {!r})\nimport test_sensor as t\nprint(t.fingerprint())\n"
    ).format(str(__import__("pathlib").Path(__file__).parent))
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == fingerprint(), result.stderr


def fingerprint() -> str:
    color, depth = expose(scene(), SensorNoise(), 5, 11)
    return hashlib.sha256(color.tobytes() + depth.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ColorNoise(jpeg_quality=101), "jpeg_quality"),
        (lambda: ColorNoise(exposure_drift=1.0), "exposure_drift"),
        (lambda: DepthNoise(grazing_angle=1.5, edge_angle=1.4), "grazing_angle"),
        (lambda: DepthNoise(edge_loss=1.2), "edge_loss must be within 0..1"),
        (lambda: DepthNoise(glass_lost=0.6, glass_through=0.6), "at most 1 together"),
    ],
)
def test_impossible_failures_are_refused(make: type, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()

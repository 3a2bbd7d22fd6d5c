import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keypoint_core.types import ArmCommand, Frame
from keypoint_sim.errors import SimulationError
from keypoint_sim.objects import clock
from keypoint_sim.rendering import make_gl_context
from keypoint_sim.sensor import RgbdSensor
from keypoint_sim.settings import CameraSettings, SensorNoise
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_a_snapshot_is_drawn_in_another_thread_while_physics_goes_on(world: World) -> None:
    expected = world.capture()
    snapshot = world.snapshot()
    away = ArmCommand(world.arm.home + 0.1, np.zeros(6))
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(world.capture, snapshot)
        for _ in range(30):
            world.step(away)
        frame: Frame = pending.result()
    np.testing.assert_array_equal(frame.color, expected.color)
    np.testing.assert_array_equal(frame.depth, expected.depth)
    assert frame.stamp == 0 and world.capture().stamp == 300_000_000


def test_reference_is_another_picture_than_deployment(world: World) -> None:
    reference = world.reference()
    deployed = world.capture()
    assert not np.allclose(np.linalg.inv(reference.world_to_camera), world.camera_pose, atol=1e-3)
    assert np.abs(reference.frame.color.astype(float) - deployed.color).mean() > 10
    np.testing.assert_array_equal(world.reference().frame.color, reference.frame.color)


def test_exact_tracks_agree_with_rendered_depth() -> None:
    world = World(camera=CameraSettings(noise=None))
    pixels = np.random.default_rng(1).uniform((5, 60), (634, 474), (400, 2))
    on_clock = np.random.default_rng(2).uniform((270, 320), (370, 410), (150, 2))
    points = world.attach(np.vstack([pixels, on_clock]))
    agree, seen = 0, 0
    for seed in range(4):
        world.reset(seed)
        for _ in range(40):
            world.step(ArmCommand(world.arm.home + 0.05, np.zeros(6)))
        depth = world.capture().depth
        where, visible, xyz = world.tracks(points)
        u, v = np.round(where[visible]).astype(int).T
        smooth = depth[v, u] / xyz[visible, 2]
        agree += int((np.abs(smooth - 1) < 0.01).sum())
        seen += int(visible.sum())
    world.close()
    assert seen > 1200
    assert agree / seen > 0.97  # the rest lies within a pixel of an edge


def test_hidden_points_are_told_from_visible_ones(world: World) -> None:
    front = [[clock.DEPTH / 2 - 0.001, 0, 0.062]]
    back = [[-clock.DEPTH / 2, 0, 0.062]]
    for seed in range(5):
        world.reset(seed)
        _, visible, _ = world.tracks(SurfacePoints((clock.BODY,) * 2, np.array(front + back)))
        assert visible.tolist() == [True, False]


def test_the_button_is_red_where_the_tracks_say(world: World) -> None:
    top = SurfacePoints((clock.BUTTON_BODY,), np.array([[0, 0, clock.BUTTON_HEIGHT / 2]]))
    for seed in range(5):
        world.reset(seed)
        (pixel,), (visible,), _ = world.tracks(top)
        red, green, blue = world.capture().color[round(pixel[1]), round(pixel[0])].astype(int)
        assert visible and red > 2 * green and red > 2 * blue


def test_clock_stays_in_view_over_all_poses(world: World) -> None:
    corners = np.array([[x, y, z] for x in (-0.028, 0.028) for y in (-0.066, 0.066) for z in (0.0, clock.BUTTON_REST)])
    points = SurfacePoints((clock.BODY,) * len(corners), corners)
    for seed in range(100):
        world.reset(seed)
        pixels, _, _ = world.tracks(points)
        assert (pixels > 5).all() and (pixels < (634, 474)).all(), f"seed {seed}"


def test_pixels_picked_on_the_reference_come_back(world: World) -> None:
    reference, k = world.reference(), world.camera.intrinsics
    pixels = np.array([[318.0, 350.0], [100.0, 400.0], [330.5, 300.25]])
    points = world.attach(pixels)
    data, _ = world._reference_state()
    for pixel, body, local in zip(pixels, points.bodies, points.local, strict=True):
        world_point = data.body(body).xmat.reshape(3, 3) @ local + data.body(body).xpos
        x, y, z = reference.world_to_camera[:3, :3] @ world_point + reference.world_to_camera[:3, 3]
        np.testing.assert_allclose([k.fx * x / z + k.cx, k.fy * y / z + k.cy], pixel, atol=1e-6)
    assert points.bodies[0] == clock.BODY and points.bodies[1] == "world"


def test_depth_noise_grows_with_the_square_of_the_distance() -> None:
    sensor = RgbdSensor(200, 200, SensorNoise())
    color = np.zeros((200, 200, 3), np.uint8)
    spread = []
    for distance in (0.7, 2.1):
        _, depth = sensor.expose(color, np.full((200, 200), distance, np.float32), 0, 0)
        spread.append(float(np.nanstd(depth)))
    assert spread[1] / spread[0] == pytest.approx(9.0, rel=0.15)


def test_depth_has_holes_at_edges_and_outside_its_range_only() -> None:
    scene = np.full((100, 200), 1.0, np.float32)
    scene[:, 100:150], scene[:, 150:] = 0.8, 5.0
    _, depth = RgbdSensor(200, 100, SensorNoise()).expose(np.zeros((100, 200, 3), np.uint8), scene, 0, 0)
    holes = np.isnan(depth)
    assert 0.3 < holes[:, 99:101].mean() < 0.9
    assert not holes[:, :98].any() and holes[:, 150:].all()


def test_noise_differs_between_frames_but_not_between_repeats() -> None:
    sensor = RgbdSensor(64, 48, SensorNoise())
    color, depth = np.full((48, 64, 3), 120, np.uint8), np.ones((48, 64), np.float32)
    first, again, later = (sensor.expose(color, depth, 3, tick)[0] for tick in (0, 0, 7))
    np.testing.assert_array_equal(first, again)
    assert (first != later).mean() > 0.3


def test_missing_opengl_gives_the_exact_command() -> None:
    script = (
        "import ctypes.util\n"
        "ctypes.util.find_library = lambda name: None\n"
        "loader = ctypes.CDLL.__init__\n"
        "def refuse(self, name, *args, **kwargs):\n"
        "    if name and 'OSMesa' in str(name): raise OSError(f'{name}: cannot open shared object file')\n"
        "    return loader(self, name, *args, **kwargs)\n"
        "ctypes.CDLL.__init__ = refuse\n"
        "from keypoint_sim.world import World\n"
        "world = World()\n"
        "world.reset(1)\n"
        "world.capture()\n"
    )
    result = run(script, MUJOCO_GL="osmesa")
    assert "SimulationError" in result.stderr and "apt-get install libosmesa6" in result.stderr


def test_unknown_opengl_back_end_lists_the_known() -> None:
    with pytest.raises(SimulationError, match="known: osmesa, egl"):
        make_gl_context(64, 48, "metal")


def test_physics_opens_neither_ros_nor_opengl() -> None:
    script = (
        "import pkgutil, importlib, sys, keypoint_sim\n"
        "for module in pkgutil.walk_packages(keypoint_sim.__path__, 'keypoint_sim.'):\n"
        "    if not module.name.endswith('sim_node'): importlib.import_module(module.name)\n"
        "world = keypoint_sim.world.World()\n"
        "world.expert().act()\n"
        "print([name for name in ('rclpy', 'OpenGL', 'hebi') if name in sys.modules])\n"
    )
    result = run(script)
    assert result.stdout.strip() == "[]", result.stderr

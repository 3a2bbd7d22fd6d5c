import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from keypoint_core.errors import InputError
from keypoint_core.types import ArmCommand, Frame
from keypoint_sim.camera import SnapshotCamera
from keypoint_sim.disturbances.look import NOMINAL, Light, Look
from keypoint_sim.errors import SimulationError
from keypoint_sim.objects import clock
from keypoint_sim.rendering import make_gl_context
from keypoint_sim.settings import CameraSettings
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
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


def test_a_region_is_the_same_part_of_the_full_image() -> None:
    """To a few levels: the two are rasterised on different grids of tiles."""
    whole = World(camera=CameraSettings(0, 0, 1280, 720, noise=None))
    part = World(camera=CameraSettings(400, 200, 500, 300, noise=None))
    full, region = whole.capture(), part.capture()
    whole.close()
    part.close()
    assert region.color.shape == (300, 500, 3) and region.intrinsics.cx == full.intrinsics.cx - 400
    cut = full.color[200:500, 400:900].astype(int)
    assert (np.abs(cut - region.color).max(axis=2) <= 3).mean() > 0.99
    assert (np.abs(full.depth[200:500, 400:900] - region.depth) < 1e-3).mean() > 0.995


@pytest.mark.parametrize(
    ("x", "y", "width", "height"), [(-1, 0, 640, 480), (641, 0, 640, 480), (0, 241, 640, 480), (0, 0, 0, 480)]
)
def test_a_region_outside_the_image_is_refused(x: int, y: int, width: int, height: int) -> None:
    with pytest.raises(InputError, match="within its 1280x720 image, got"):
        CameraSettings(x, y, width, height)


def test_every_key_light_is_drawn_and_only_those_of_the_look(world: World) -> None:
    key = Light()
    other = Light(direction=(0.3, -0.5, -0.81), intensity=0.6, color=(0.4, 0.6, 1.0))
    third = Light(direction=(-0.6, -0.3, -0.74), intensity=0.5, color=(1.0, 0.6, 0.4))
    looks = [replace(NOMINAL, lights=lights) for lights in ((key,), (key, other), (key, other, third), (key,))]
    looks.append(replace(NOMINAL, lights=(replace(key, intensity=0.0),), ambient=(0.0, 0.0, 0.0)))
    one, two, three, again, dark = pictures(world, *looks)
    np.testing.assert_array_equal(one, again)
    assert (two - one).mean(axis=(0, 1))[2] > 10 > 5 > (two - one).min()
    assert (two - one).mean(axis=(0, 1))[2] > (two - one).mean(axis=(0, 1))[0]
    assert (three - two).mean(axis=(0, 1))[0] > (three - two).mean(axis=(0, 1))[2] > 2
    assert dark.max() <= 1


def test_shadows_can_be_switched_off(world: World) -> None:
    shadowless = replace(NOMINAL, lights=(replace(NOMINAL.lights[0], shadow=False),))
    with_shadow, without = pictures(world, NOMINAL, shadowless)
    brighter = without[240:] - with_shadow[240:] > 20
    assert 0.003 < brighter.any(axis=2).mean() < 0.2


def test_models_drawn_in_turn_share_a_context_and_leave_nothing_behind() -> None:
    worlds = [World("clock_button"), World("clock_button")]
    camera = SnapshotCamera(CameraSettings(600, 400, 64, 48))
    alone = camera.capture(worlds[0].snapshot())
    sizes = []
    for _ in range(50):
        camera.capture(replace(worlds[1].snapshot(), model=deepcopy(worlds[1].model)))
        sizes.append(resident())
    np.testing.assert_array_equal(camera.capture(worlds[0].snapshot()).color, alone.color)
    camera.close()
    assert sizes[-1] - sizes[10] < 60.0, "textures and shadow map of one model alone are 8 MiB"


def test_a_closed_camera_gives_its_context_back() -> None:
    """In a process of its own: how much memory threads that come and go hold back depends on what ran before."""
    script = (
        "import os\n"
        "from pathlib import Path\n"
        "from keypoint_sim.camera import SnapshotCamera\n"
        "from keypoint_sim.settings import CameraSettings\n"
        "from keypoint_sim.world import World\n"
        "world = World()\n"
        "for _ in range(12):\n"
        "    camera = SnapshotCamera(CameraSettings(600, 400, 64, 48))\n"
        "    camera.capture(world.snapshot())\n"
        "    camera.close()\n"
        "    print(int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    sizes = [float(line) for line in result.stdout.split()]
    assert len(sizes) == 12 and sizes[-1] - sizes[4] < 40.0


def pictures(world: World, *looks: Look) -> list[NDArray[np.int16]]:
    """Colour of the world's present state in other looks, without failures of the sensor, all by one camera."""
    camera = SnapshotCamera(replace(world.camera, noise=None))
    frames = [camera.capture(replace(world.snapshot(), look=look)) for look in looks]
    camera.close()
    return [frame.color.astype(np.int16) for frame in frames]


def resident() -> float:
    """Memory of this process [MiB]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


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

"""The camera on its stand: where it looks, and taking pictures of snapshots in a thread of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.geometry.pose import Pose
from keypoint_core.types import Float64, Frame
from keypoint_sim.disturbances.look import Look
from keypoint_sim.rendering import Renderer, View, make_gl_context
from keypoint_sim.sensor import RgbdSensor
from keypoint_sim.settings import CameraSettings

MODELS = 2  # renderers that are kept: of the plain scene, and of the one with the newest distractors


@dataclass(frozen=True)
class Snapshot:
    """All that a picture needs, copied, so that physics may go on.

    Attributes:
        stamp: exposure [ns].
        seed, tick: choose the sensor's noise.
        model: of the scene that the state belongs to; it is never changed.
        qpos: generalised positions of the whole model.
        mocap: [M, 7] positions [m] and quaternions of the bodies that are moved by hand.
        look: textures and light.
        camera: optical frame in the world [4, 4].
    """

    stamp: int
    seed: int
    tick: int
    model: mujoco.MjModel
    qpos: Float64
    mocap: Float64
    look: Look
    camera: Float64


def look_at(position: tuple[float, float, float], target: tuple[float, float, float]) -> Float64:
    """Pose [4, 4] in the world of an optical frame (x right, y down, z forward) that is level."""
    forward = np.subtract(target, position)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = position
    return pose


def jitter(pose: Float64, rng: np.random.Generator, distance: float = 0.02, degrees: float = 1.5) -> Float64:
    """The pose [4, 4], moved and turned a little: each axis evenly within +-distance [m] and +-degrees."""
    moved = pose.copy()
    turn = Rotation.from_rotvec(np.deg2rad(rng.uniform(-degrees, degrees, 3))).as_matrix()
    moved[:3, :3] = pose[:3, :3] @ turn
    moved[:3, 3] += rng.uniform(-distance, distance, 3)
    return moved


def calibrated(
    pose: Float64,
    base: tuple[float, float, float],
    rng: np.random.Generator,
    distance: float = 0.002,
    degrees: float = 0.15,
) -> Pose:
    """What a calibration makes of a camera's pose: in the arm's base frame, a little wrong.

    Args:
        pose: [4, 4] true optical frame in the world.
        base: of the arm in the world [m], axes parallel to the world's.
        rng: chooses the error.
        distance, degrees: length of the error in position [m] and in angle, in a random direction; what hand-eye
            calibration with a good board leaves.
    """
    directions = rng.normal(size=(2, 3))
    shift, axis = directions / np.linalg.norm(directions, axis=1)[:, None]
    found = pose.copy()
    found[:3, 3] += shift * distance - np.array(base)
    found[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(axis * np.deg2rad(degrees)).as_matrix()
    return Pose.from_matrix(found)


class SnapshotCamera:
    """Draws snapshots and adds the sensor's failures.

    An OpenGL context belongs to one thread. This camera has a thread for it, so that pictures may be asked for from
    any other. It keeps a renderer for each of the models that it drew last, in that context: changing distractors means
    another model, whose first picture takes a few milliseconds more.
    """

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._sensor = RgbdSensor(settings.intrinsics, settings.noise)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="renderer")
        self._gl: Any = None
        self._renderers: dict[int, tuple[mujoco.MjModel, Renderer]] = {}

    def capture(self, snapshot: Snapshot, exact_depth: bool = False) -> Frame:
        """The frame of a snapshot; blocks until it is drawn.

        Args:
            snapshot: to draw.
            exact_depth: the depth is that of the first surface, glass or not, without the sensor's failures.

        Raises:
            SimulationError: no OpenGL library is installed; the message holds the exact command.
        """
        return self._thread.submit(self._capture, snapshot, exact_depth).result()

    def close(self) -> None:
        """Frees the OpenGL context and ends the thread."""
        self._thread.submit(self._free).result()
        self._thread.shutdown()

    def _free(self) -> None:
        for _, renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        if self._gl is not None:
            self._gl.free()
            self._gl = None

    def _renderer(self, model: mujoco.MjModel) -> Renderer:
        """The renderer of a model; the one that was not used for longest makes room for a new one."""
        key, size = id(model), self._settings.intrinsics
        if self._gl is None:
            self._gl = make_gl_context(size.width, size.height)
        if key not in self._renderers and len(self._renderers) >= MODELS:
            _, oldest = self._renderers.pop(next(iter(self._renderers)))
            oldest.close()
        found = self._renderers.pop(key, None) or (model, Renderer(model, size, self._gl))
        self._renderers[key] = found
        return found[1]

    def _capture(self, snapshot: Snapshot, exact_depth: bool) -> Frame:
        renderer = self._renderer(snapshot.model)
        picture = renderer.draw(View(snapshot.qpos, snapshot.mocap, snapshot.look, snapshot.camera))
        color, depth = self._sensor.expose(picture, snapshot.seed, snapshot.tick)
        if exact_depth:
            depth = picture.nearest
        return Frame(snapshot.stamp, color, depth, self._settings.intrinsics)

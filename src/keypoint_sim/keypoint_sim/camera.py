"""The camera on its stand: where it looks, and taking pictures of snapshots in a thread of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from keypoint_core.types import Float64, Frame
from keypoint_sim.disturbances import Look
from keypoint_sim.rendering import Renderer, View
from keypoint_sim.sensor import RgbdSensor
from keypoint_sim.settings import CameraSettings


@dataclass(frozen=True)
class Snapshot:
    """All that a picture needs, copied, so that physics may go on.

    Attributes:
        stamp: exposure [ns].
        seed, tick: choose the sensor's noise.
        qpos: generalised positions of the whole model.
        mocap: [M, 7] positions [m] and quaternions of the bodies that are moved by hand.
        look: textures and light.
        camera: optical frame in the world [4, 4].
    """

    stamp: int
    seed: int
    tick: int
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


class SnapshotCamera:
    """Draws snapshots and adds the sensor's failures.

    An OpenGL context belongs to one thread. This camera has a thread for it, so that pictures may be asked for from
    any other.
    """

    def __init__(self, model: mujoco.MjModel, settings: CameraSettings) -> None:
        self._settings = settings
        noise = settings.noise
        self._sensor = RgbdSensor(settings.width, settings.height, noise) if noise else None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="renderer")
        self._renderer: Renderer = self._thread.submit(Renderer, model, settings.intrinsics).result()

    def capture(self, snapshot: Snapshot) -> Frame:
        """The frame of a snapshot; blocks until it is drawn."""
        return self._thread.submit(self._capture, snapshot).result()

    def close(self) -> None:
        """Frees the OpenGL context and ends the thread."""
        self._thread.submit(self._renderer.close).result()
        self._thread.shutdown()

    def _capture(self, snapshot: Snapshot) -> Frame:
        color, depth = self._renderer.draw(View(snapshot.qpos, snapshot.mocap, snapshot.look, snapshot.camera))
        if self._sensor:
            color, depth = self._sensor.expose(color, depth, snapshot.seed, snapshot.tick)
        return Frame(snapshot.stamp, color, depth, self._settings.intrinsics)

"""A small ray-cast scene for the perception tests: a textured box on a textured table, with exact depth and truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.correspondence.reference import Reference
from keypoint_core.geometry import camera
from keypoint_core.types import Frame, Intrinsics

INTRINSICS = Intrinsics(640, 480, 607.0, 607.0, 319.5, 239.5)
HALF = np.array([0.075, 0.03, 0.065])  # of the box [m]


@dataclass(frozen=True)
class Pose:
    """Of the box on the table."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def matrix(self) -> np.ndarray:
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        pose = np.eye(4)
        pose[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
        pose[:3, 3] = [self.x, self.y, HALF[2]]
        return pose


def texture(seed: int, size: int = 160, shapes: int = 60) -> np.ndarray:
    """[size, size, 3] float32: overlapping discs and bars in random colours."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    image = np.full((size, size, 3), rng.uniform(60, 200, 3), np.float32)
    for _ in range(shapes):
        colour = rng.uniform(20, 235, 3).tolist()
        centre = tuple(int(c) for c in rng.integers(0, size, 2))
        if rng.random() < 0.5:
            cv2.circle(image, centre, int(rng.integers(3, size // 10)), colour, -1)
        else:
            corner = (centre[0] + int(rng.integers(4, size // 5)), centre[1] + int(rng.integers(3, size // 12)))
            cv2.rectangle(image, centre, corner, colour, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


class BoxScene:
    """Renders the box with a camera 0.9 m away, in front and above."""

    pose = Pose
    source = __file__

    def __init__(self) -> None:
        eye, target = np.array([0.0, -0.65, 0.62]), np.array([0.0, 0.0, 0.03])
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        self.camera_from_world = np.eye(4)
        self.camera_from_world[:3, :3], self.camera_from_world[:3, 3] = rotation, -rotation @ eye
        self.world_from_camera = np.linalg.inv(self.camera_from_world)
        v, u = np.mgrid[0:480, 0:640]
        self._rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1), INTRINSICS)
        self._faces = [texture(10 + i) for i in range(6)]
        self._tables: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def render(
        self, pose: Pose, *, light: int | None = None, table: int = 1, stamp: int = 0, occluder: float = 0.0
    ) -> Frame:
        """A frame; `light` seeds brightness, direction, colour cast and noise; None is plain light."""
        image, depth = self._table(table)
        self._box(image, depth, pose, self._light(light))
        rng = np.random.default_rng(np.random.SeedSequence([light or 0, 2]))
        if light is not None:
            image *= rng.uniform(0.5, 1.2) * rng.uniform(0.85, 1.1, 3)
            image *= np.linspace(rng.uniform(0.6, 1.2), 1.0, 640)[None, :, None]
            image += rng.normal(0, 3, image.shape)
        color = np.clip(image, 0, 255).astype(np.uint8)
        if occluder > 0:
            self._occlude(color, depth, pose, occluder)
        return Frame(stamp, color, depth, INTRINSICS)

    def pixels(self, pose: Pose, local: np.ndarray) -> np.ndarray:
        """Where points [N, 3] of the box's frame are seen."""
        return camera.project(camera.transform(self.camera_from_world @ pose.matrix(), local), INTRINSICS)

    def local(self, frame: Frame, pose: Pose, pixels: np.ndarray) -> np.ndarray:
        """Points [N, 3] in the box's frame behind pixels [N, 2] of a frame rendered at that pose."""
        depth = frame.depth[np.round(pixels[:, 1]).astype(int), np.round(pixels[:, 0]).astype(int)]
        points = camera.deproject(pixels, depth, INTRINSICS)
        return camera.transform(np.linalg.inv(self.camera_from_world @ pose.matrix()), points)

    def mask(self, pose: Pose) -> np.ndarray:
        """[H, W] bool: the box."""
        image, depth = self._table(1)
        bare = depth.copy()
        self._box(image, depth, pose, np.array([0.0, 0.0, 1.0]))
        return depth != bare

    def reference(self, n: int = 12) -> tuple[Reference, np.ndarray]:
        """The box at the origin with n keypoints, and these in the box's frame [n, 3]."""
        frame = self.render(Pose())
        pixels = spread_corners(frame.color, self.mask(Pose()), n)
        reference = Reference(frame.color, frame.depth, INTRINSICS, np.arange(n, dtype=np.int32), pixels)
        return reference, self.local(frame, Pose(), pixels)

    def _table(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Colour and depth of the bare table."""
        if seed not in self._tables:
            rays, origin = self._rays @ self.world_from_camera[:3, :3].T, self.world_from_camera[:3, 3]
            depth = -origin[2] / rays[:, 2]
            hit = origin + rays * depth[:, None]
            where = ((hit[:, :2] + 1.0) * 400).astype(np.float32).reshape(480, 640, 2)
            image = cv2.remap(texture(seed, 800, 900), where[..., 0], where[..., 1], cv2.INTER_LINEAR)
            self._tables[seed] = image, depth.astype(np.float32).reshape(480, 640)
        image, depth = self._tables[seed]
        return image.copy(), depth.copy()

    def _box(self, image: np.ndarray, depth: np.ndarray, pose: Pose, sun: np.ndarray) -> None:
        local_from_camera = np.linalg.inv(self.camera_from_world @ pose.matrix())
        rays, origin = self._rays @ local_from_camera[:3, :3].T, local_from_camera[:3, 3]
        slabs = np.stack([(-HALF - origin) / rays, (HALF - origin) / rays])
        near = slabs.min(axis=0)
        axis, enter, leave = near.argmax(axis=1), near.max(axis=1), slabs.max(axis=0).min(axis=1)
        on = np.flatnonzero((enter < leave) & (enter < depth.ravel()))
        hit = origin + rays[on] * enter[on, None]
        normals = -np.sign(rays[on, axis[on]])
        for face in range(6):
            a, sign = face // 2, 1 - 2 * (face % 2)
            chosen = on[(axis[on] == a) & (normals == sign)]
            if len(chosen) == 0:
                continue
            b, c = [i for i in range(3) if i != a]
            point = hit[np.searchsorted(on, chosen)]
            uv = ((point[:, [b, c]] / HALF[[b, c]] + 1) * 79.5).astype(np.float32)
            normal = pose.matrix()[:3, a] * sign
            shade = 0.45 + 0.55 * max(0.0, float(normal @ sun))
            sampled = cv2.remap(self._faces[face], uv[:, :1], uv[:, 1:], cv2.INTER_LINEAR)[:, 0]
            image.reshape(-1, 3)[chosen] = sampled * shade
            depth.ravel()[chosen] = enter[chosen]

    def _occlude(self, color: np.ndarray, depth: np.ndarray, pose: Pose, share: float) -> None:
        """A grey sheet in front of the left part of the box."""
        corners = self.pixels(pose, np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * HALF)
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        area = (
            slice(max(0, int(top) - 5), int(bottom) + 5),
            slice(max(0, int(left) - 5), int(left + share * (right - left))),
        )
        color[area], depth[area] = 128, 0.5

    @staticmethod
    def _light(seed: int | None) -> np.ndarray:
        rng = np.random.default_rng(np.random.SeedSequence([seed or 0, 1]))
        sun = np.array([0.2, -0.6, 0.8]) if seed is None else np.array([rng.uniform(-1, 1), rng.uniform(-1, 0.2), 0.8])
        return sun / np.linalg.norm(sun)


@pytest.fixture(scope="session")
def scene() -> BoxScene:
    return BoxScene()

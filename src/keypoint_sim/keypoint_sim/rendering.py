"""Draws the scene: colour and depth in one pass, through MuJoCo's own OpenGL renderer without a screen."""

from __future__ import annotations

import copy
import importlib
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import Float32, Float64, Intrinsics
from keypoint_sim import GL_BACKEND
from keypoint_sim.disturbances import Light, Look
from keypoint_sim.errors import SimulationError
from keypoint_sim.scene import COLLISION_GROUP, FILL_LIGHT, KEY_LIGHT, TABLE_TEXTURE, WALL_TEXTURE, set_texture

NEAR, FAR = 0.05, 8.0  # [m]
BACKENDS = {"osmesa": "mujoco.osmesa", "egl": "mujoco.egl", "glfw": "mujoco.glfw"}
GL_FIX = "install a software renderer with 'apt-get install libosmesa6' and set MUJOCO_GL=osmesa"


@dataclass(frozen=True)
class View:
    """A picture to draw: the whole state, how it looks, and from where.

    Attributes:
        qpos: generalised positions of the model.
        mocap: [M, 7] positions [m] and quaternions of the bodies that are moved by hand.
        look: textures and light.
        camera: optical frame in the world [4, 4].
    """

    qpos: Float64
    mocap: Float64
    look: Look
    camera: Float64


def make_gl_context(width: int, height: int, backend: str = GL_BACKEND) -> Any:
    """An off-screen OpenGL context of one of `BACKENDS`, by default the one MUJOCO_GL names, else OSMesa.

    Raises:
        SimulationError: the back end is unknown or its library is not installed; the message holds the exact command.
    """
    if backend not in BACKENDS:
        raise SimulationError(f"unknown OpenGL back end MUJOCO_GL={backend}; known: {', '.join(BACKENDS)}")
    try:
        return importlib.import_module(BACKENDS[backend]).GLContext(width, height)
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise SimulationError(f"no OpenGL for rendering with MUJOCO_GL={backend} ({error}): {GL_FIX}") from error


class Renderer:
    """One OpenGL context with the scene in it. Everything must be called from the thread that made it.

    Args:
        model: copied, for light and textures are changed in it.
        intrinsics: of the camera, without distortion.
    """

    def __init__(self, model: mujoco.MjModel, intrinsics: Intrinsics) -> None:
        self._gl = make_gl_context(intrinsics.width, intrinsics.height)
        self._gl.make_current()
        self._model = copy.copy(model)
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = intrinsics.width, intrinsics.height
        self._data = mujoco.MjData(self._model)
        self._intrinsics = intrinsics
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(self._model, maxgeom=500)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GROUP] = 0
        self._options.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._look: Look | None = None
        self._rect = mujoco.MjrRect(0, 0, intrinsics.width, intrinsics.height)
        size = (intrinsics.height, intrinsics.width)
        self._color = np.empty((*size, 3), dtype=np.uint8)
        self._depth = np.empty(size, dtype=np.float32)

    def draw(self, view: View) -> tuple[NDArray[np.uint8], Float32]:
        """Colour [H, W, 3] uint8 RGB and depth along the optical axis [H, W] float32 [m], both exact."""
        self._gl.make_current()
        if view.look != self._look:
            self._apply(view.look)
        self._data.qpos[:] = view.qpos
        self._data.mocap_pos[:], self._data.mocap_quat[:] = view.mocap[:, :3], view.mocap[:, 3:]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        catch = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, self._data, self._options, None, self._camera, catch, self._scene)
        self._aim(view.camera)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._color, self._depth, self._rect, self._context)
        depth = NEAR * FAR / (FAR - self._depth[::-1] * np.float32(FAR - NEAR))
        return self._color[::-1].copy(), depth.astype(np.float32)

    def close(self) -> None:
        """Frees the context; safe to call once."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def _aim(self, camera: Float64) -> None:
        """Sets the view frustum exactly: pixel (0, 0) is the CENTRE of the top-left pixel."""
        k = self._intrinsics
        left, right = (-0.5 - k.cx) / k.fx, (k.width - 0.5 - k.cx) / k.fx
        for eye in self._scene.camera:
            eye.pos[:] = camera[:3, 3]
            eye.forward[:] = camera[:3, 2]
            eye.up[:] = -camera[:3, 1]
            eye.frustum_near, eye.frustum_far = NEAR, FAR
            eye.frustum_center = NEAR * (left + right) / 2
            eye.frustum_width = NEAR * (right - left) / 2
            eye.frustum_top = NEAR * (k.cy + 0.5) / k.fy
            eye.frustum_bottom = -NEAR * (k.height - 0.5 - k.cy) / k.fy

    def _apply(self, look: Look) -> None:
        for name, texture in ((TABLE_TEXTURE, look.table), (WALL_TEXTURE, look.wall)):
            mujoco.mjr_uploadTexture(self._model, self._context, set_texture(self._model, name, texture.draw()))
        self._apply_light(look.light)
        self._look = look

    def _apply_light(self, light: Light) -> None:
        model, white = self._model, np.array(light.color) * light.intensity
        direction = np.array(light.direction)
        model.light_dir[KEY_LIGHT] = direction
        model.light_pos[KEY_LIGHT] = np.array([0.2, 0.0, 0.1]) - 2.0 * direction
        model.light_diffuse[KEY_LIGHT] = 0.55 * white
        model.light_specular[KEY_LIGHT] = 0.25 * white
        model.light_ambient[KEY_LIGHT] = 0.0
        model.light_diffuse[FILL_LIGHT] = 0.24 * white
        model.light_specular[FILL_LIGHT] = 0.0
        model.light_ambient[FILL_LIGHT] = 0.30 * white

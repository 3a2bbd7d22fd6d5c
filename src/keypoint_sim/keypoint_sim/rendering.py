"""Draws the scene through MuJoCo's own OpenGL renderer, without a screen.

Colour and depth come from one pass; that depth sees through glass. Where there is glass a second, cheap pass follows,
MuJoCo's segmentation, whose depth stops at it.
"""

from __future__ import annotations

import copy
import importlib
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from keypoint_core.types import Float32, Float64, Intrinsics
from keypoint_sim import GL_BACKEND
from keypoint_sim.disturbances.look import Light, Look
from keypoint_sim.errors import SimulationError
from keypoint_sim.scene import COLLISION_GROUP, FILL_LIGHT, KEY_LIGHTS, TABLE_TEXTURE, WALL_TEXTURE, set_texture
from keypoint_sim.sensor import Picture

NEAR, FAR = 0.05, 8.0  # [m]
LIT = (0.45, 0.0, 0.05)  # middle of what key lights cast shadows on [m]; beyond 1.1 m around it there are specks
SPARE_GEOMS = 50  # that a scene may have beside the model's
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


def filter_textures(context: mujoco.MjrContext) -> None:
    """Samples one mipmap instead of two between which MuJoCo interpolates.

    No pixel changes by more than a few levels, and a picture takes an eighth less time.
    """
    opengl = importlib.import_module("OpenGL.GL")  # not at the top: it opens the library, which physics does not need
    for texture, kind in zip(context.texture[: context.ntexture], context.textureType, strict=False):
        target = opengl.GL_TEXTURE_2D if kind == mujoco.mjtTexture.mjTEXTURE_2D else opengl.GL_TEXTURE_CUBE_MAP
        opengl.glBindTexture(target, int(texture))
        opengl.glTexParameteri(target, opengl.GL_TEXTURE_MIN_FILTER, opengl.GL_LINEAR_MIPMAP_NEAREST)


class Renderer:
    """One scene in an OpenGL context. Everything must be called from the thread that made the context.

    A context compiles its shaders once, for all scenes that are drawn in it one after the other or in turn.

    Args:
        model: copied, for light and textures are changed in it.
        intrinsics: of the camera, without distortion.
        gl: the context, of `make_gl_context`.
    """

    def __init__(self, model: mujoco.MjModel, intrinsics: Intrinsics, gl: Any) -> None:
        self._gl = gl
        self._gl.make_current()
        self._model = copy.copy(model)
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = intrinsics.width, intrinsics.height
        self._data = mujoco.MjData(self._model)
        self._intrinsics = intrinsics
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_50)
        self._scene = mujoco.MjvScene(self._model, maxgeom=model.ngeom + SPARE_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GROUP] = 0
        self._options.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._update()
        drawn = self._scene.geoms[: self._scene.ngeom]
        self._solid = [i for i, geom in enumerate(drawn) if not 0 < geom.rgba[3] < 1]
        self._glass = len(self._solid) < len(drawn)
        self._look: Look | None = None
        self._rect = mujoco.MjrRect(0, 0, intrinsics.width, intrinsics.height)
        size = (intrinsics.height, intrinsics.width)
        self._color = np.empty((*size, 3), dtype=np.uint8)
        self._depth = np.empty(size, dtype=np.float32)

    def draw(self, view: View) -> Picture:
        """What a perfect camera sees."""
        self._gl.make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        if view.look != self._look:
            self._apply(view.look)
        self._pose(view)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(self._color, self._depth, self._rect, self._context)
        depth = nearest = self._metres()
        if self._glass:
            nearest = np.minimum(depth, self._draw_glass())
        return Picture(self._color[::-1].copy(), depth, nearest)

    def close(self) -> None:
        """Frees the scene, not the context."""
        self._gl.make_current()
        self._context.free()

    def _pose(self, view: View) -> None:
        self._data.qpos[:] = view.qpos
        self._data.mocap_pos[:], self._data.mocap_quat[:] = view.mocap[:, :3], view.mocap[:, 3:]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._update()
        self._aim(view.camera)

    def _update(self) -> None:
        catch = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, self._data, self._options, None, self._camera, catch, self._scene)

    def _draw_glass(self) -> Float32:
        """Depth [H, W] of glass alone [m]; the segmentation pass draws it like everything else that has a segment."""
        for index in self._solid:
            self._scene.geoms[index].segid = -1
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 1
        mujoco.mjr_render(self._rect, self._scene, self._context)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 0
        mujoco.mjr_readPixels(None, self._depth, self._rect, self._context)
        return self._metres()

    def _metres(self) -> Float32:
        """Depth along the optical axis [H, W] [m], top row first, of what the depth buffer holds."""
        return np.float32(NEAR * FAR) / (np.float32(FAR) - self._depth[::-1] * np.float32(FAR - NEAR))

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
        shown = self._look
        if shown is None or (shown.table, shown.wall) != (look.table, look.wall):
            for name, texture in ((TABLE_TEXTURE, look.table), (WALL_TEXTURE, look.wall)):
                mujoco.mjr_uploadTexture(self._model, self._context, set_texture(self._model, name, texture.draw()))
            filter_textures(self._context)
        self._apply_lights(look)
        self._look = look

    def _apply_lights(self, look: Look) -> None:
        self._model.light_active[list(KEY_LIGHTS)] = False
        for index, light in zip(KEY_LIGHTS, look.lights, strict=False):
            self._apply_key(index, light)
        self._model.light_diffuse[FILL_LIGHT] = 0.24 * np.array(look.ambient)
        self._model.light_specular[FILL_LIGHT] = 0.0
        self._model.light_ambient[FILL_LIGHT] = 0.30 * np.array(look.ambient)

    def _apply_key(self, index: int, light: Light) -> None:
        model, direction = self._model, np.array(light.direction)
        white = np.array(light.color) * light.intensity
        model.light_active[index], model.light_castshadow[index] = True, light.shadow
        model.light_dir[index] = direction
        model.light_pos[index] = np.array(LIT) - 2.0 * direction
        model.light_diffuse[index] = 0.55 * white
        model.light_specular[index] = 0.25 * white
        model.light_ambient[index] = 0.0

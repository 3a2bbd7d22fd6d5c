"""The simulated world: arm, RGB-D camera, tasks, experts and disturbances. Only `sim_node` imports ROS.

MuJoCo loads the OpenGL library of MUJOCO_GL when it is imported. Physics needs none, so it is imported here without;
`rendering` opens the library when the first picture is asked for.
"""

import os
import sys

GL_BACKEND = os.environ.get("MUJOCO_GL", "").lower() or "osmesa"

if "mujoco" not in sys.modules:
    _chosen = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    import mujoco  # noqa: F401

    if _chosen is None:
        del os.environ["MUJOCO_GL"]
    else:
        os.environ["MUJOCO_GL"] = _chosen

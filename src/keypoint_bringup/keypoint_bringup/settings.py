"""Where configuration and checkpoints lie, and the environment that every process of the graph needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from keypoint_core.errors import UnknownNameError

# ROS's discovery range per KEYPOINT_NETWORK. With SYSTEM_DEFAULT the DDS profile alone decides; the other ranges would
# override its transports.
DISCOVERY_RANGES = {"local": "SYSTEM_DEFAULT", "lan": "SUBNET"}


def share_folder() -> Path:
    """Where this package installed launch, config and models."""
    return Path(get_package_share_directory("keypoint_bringup"))


def config_folder() -> Path:
    """`$KEYPOINT_CONFIG_DIR`, else the installed configuration."""
    return Path(os.environ.get("KEYPOINT_CONFIG_DIR") or share_folder() / "config")


def graph_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that every process of the graph needs, as tools/env.sh makes them.

    Without them a node would listen on every network interface, which is ROS's default. So KEYPOINT_NETWORK alone
    decides about the network, whatever else is set; the other settings keep what `environ` gives.

    Raises:
        UnknownNameError: KEYPOINT_NETWORK is neither local nor lan.
    """
    network = environ.get("KEYPOINT_NETWORK", "local")
    if network not in DISCOVERY_RANGES:
        raise UnknownNameError("KEYPOINT_NETWORK", network, list(DISCOVERY_RANGES))
    profile = str(config_folder() / "dds" / f"{network}.xml")
    settings = {
        "KEYPOINT_NETWORK": network,
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": DISCOVERY_RANGES[network],
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
    }
    if environ.get("ROS_DISTRO") == "jazzy":
        settings["FASTRTPS_DEFAULT_PROFILES_FILE"] = profile  # Fast DDS 2 knows only this name
    defaults = {
        "KEYPOINT_CONFIG_DIR": str(config_folder()),
        "KEYPOINT_MODELS_DIR": str(share_folder() / "models"),
        "MUJOCO_GL": "osmesa",
        "OMP_NUM_THREADS": "1",  # idle threads of the linear algebra spin, and nodes wait for each other's
    }
    return settings | {name: environ.get(name, value) for name, value in defaults.items()}

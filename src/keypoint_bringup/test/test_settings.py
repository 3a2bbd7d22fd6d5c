import os
import subprocess
from pathlib import Path

import pytest

from keypoint_bringup.settings import graph_environment, share_folder
from keypoint_core.errors import UnknownNameError

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("network", ["local", "lan"])
def test_the_shell_and_python_agree(network: str):
    clean = {name: os.environ[name] for name in ("PATH", "HOME")} | {"KEYPOINT_NETWORK": network}
    script = f". {REPOSITORY}/tools/env.sh && env -0"
    output = subprocess.run(["bash", "-c", script], env=clean, capture_output=True, text=True, check=True).stdout
    shell = dict(entry.split("=", 1) for entry in output.split("\0") if entry)
    given = clean | {"KEYPOINT_CONFIG_DIR": f"{REPOSITORY}/config", "KEYPOINT_MODELS_DIR": f"{REPOSITORY}/models"}
    expected = graph_environment(given)
    # Each finds the profile by its own way to the configuration.
    assert Path(shell["FASTDDS_DEFAULT_PROFILES_FILE"]).samefile(expected.pop("FASTDDS_DEFAULT_PROFILES_FILE"))
    assert {name: shell[name] for name in expected} == expected


def test_the_environment_is_safe_without_any_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KEYPOINT_CONFIG_DIR", raising=False)
    settings = graph_environment({})
    assert settings["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
    profile = Path(settings["FASTDDS_DEFAULT_PROFILES_FILE"])
    assert profile == share_folder() / "config/dds/local.xml"
    assert profile.is_file()


def test_what_is_given_wins_except_about_the_network():
    settings = graph_environment({"MUJOCO_GL": "egl", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"})
    assert settings["MUJOCO_GL"] == "egl" and settings["OMP_NUM_THREADS"] == "1"
    assert settings["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"


def test_threads_of_linear_algebra_may_be_given():
    assert graph_environment({"OMP_NUM_THREADS": "4"})["OMP_NUM_THREADS"] == "4"


def test_unknown_network_lists_the_known():
    with pytest.raises(UnknownNameError, match="unknown KEYPOINT_NETWORK 'wan'; known: lan, local"):
        graph_environment({"KEYPOINT_NETWORK": "wan"})

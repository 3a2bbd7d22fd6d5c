"""A ROS package made of small scripts, so that starting and stopping can be tested without the real nodes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from keypoint_bringup.graph import NodeSpec

# Prints its arguments, then waits for SIGINT; the name given decides how it takes it.
SCRIPT = """#!{python} -S
import signal, sys
print("arguments", *sys.argv[1:], flush=True)
if "__node:=stubborn" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
if "__node:=failing" in sys.argv:
    sys.exit(3)
try:
    while True:
        signal.pause()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes specs of nodes that only wait."""
    prefix = tmp_path / "prefix"
    marker = prefix / "share/ament_index/resource_index/packages/waiting"
    executable = prefix / "lib/waiting/sleeper"
    for path in (marker, executable):
        path.parent.mkdir(parents=True)
    marker.touch()
    executable.write_text(SCRIPT.format(python=sys.executable))
    executable.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}:{os.environ['AMENT_PREFIX_PATH']}")

    def make(name: str, **settings: object) -> NodeSpec:
        return NodeSpec("waiting", "sleeper", name, **settings)

    return make

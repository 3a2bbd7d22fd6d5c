"""Where the configuration lies."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """`$KEYPOINT_CONFIG_DIR`, which tools/env.sh sets, else `config` in the current directory."""
    return Path(os.environ.get("KEYPOINT_CONFIG_DIR", "config"))

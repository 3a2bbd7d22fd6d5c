"""Where commands print."""

from __future__ import annotations

import sys

from rich.console import Console

_WIDTH = 112  # of output that goes into a file or a pipe, where no terminal says it [columns]


def make_console() -> Console:
    """A console as wide as the terminal, or wide enough for the tables where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)

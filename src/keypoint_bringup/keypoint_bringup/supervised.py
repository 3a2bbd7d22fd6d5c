"""supervisord that ends, and stops its processes, when the program that started it is gone, however that ended."""

from __future__ import annotations

import os
import signal
import sys
import threading

from supervisor.supervisord import main


def _stop_at_end_of_input() -> None:
    # The starter holds the other end of stdin, writes nothing, and the kernel closes it even after kill -9.
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    main()

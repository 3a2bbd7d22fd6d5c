"""Takes messages from any thread to the recorder's own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from keypoint_trials.recording import FLUSH_EVERY, Recorder, RecorderStatus

SMALL = 100_000  # bytes; the last tenth of the queue is left to such messages, which reports need most


class RecorderThread:
    """Feeds a recorder from a queue that is bounded in bytes; messages beyond that are dropped and counted.

    Args:
        recorder: used by this thread only, except its status.
        capacity: of the queue [bytes].
    """

    def __init__(self, recorder: Recorder, capacity: int) -> None:
        self._recorder = recorder
        self._capacity = capacity
        self._queue: deque[tuple[str, int, bytes]] = deque()
        self._queued = self._dropped = 0
        self._running = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def status(self) -> RecorderStatus:
        """Of the recorder and the queue."""
        status = replace(self._recorder.status, dropped=self._dropped, queued=self._queued)
        if self._running and self._thread is not None and not self._thread.is_alive():
            return replace(status, error="the writing thread failed; its traceback is in the log")
        return status

    def start(self) -> None:
        """Begins to write; also again after `stop`."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, name: str, stamp: int, data: bytes) -> None:
        """Queues one message; never blocks."""
        with self._wake:
            limit = self._capacity if len(data) < SMALL else self._capacity * 9 // 10
            if self._queued + len(data) > limit:
                self._dropped += 1
                return
            self._queue.append((name, stamp, data))
            self._queued += len(data)
            self._wake.notify()

    def stop(self) -> None:
        """Writes what is queued and ends the open bag; safe to call twice and before `start`."""
        with self._wake:
            self._running = False
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _take(self) -> Sequence[tuple[str, int, bytes]]:
        """The next message, after FLUSH_EVERY at the latest."""
        with self._wake:
            if not self._queue and self._running:
                self._wake.wait(FLUSH_EVERY)
            if not self._queue:
                return []
            item = self._queue.popleft()
            self._queued -= len(item[2])
            return [item]

    def _run(self) -> None:
        while True:
            items = self._take()
            for name, stamp, data in items:
                self._recorder.handle(name, stamp, data)
            self._recorder.tick()
            if not items and not self._running:
                break
        self._recorder.close()

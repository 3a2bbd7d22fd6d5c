"""Slow work off the executor: one thread, one slot."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestWorker(Generic[T]):
    """Runs `work` on the newest item; items that come while it is busy replace each other.

    Args:
        name: of the thread.
        work: called with one item at a time; what it raises goes to `failed`.
        failed: called with the exception.
        dropped: called for every item that was replaced.
        capacity: how many items may wait; the oldest is dropped.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], None],
        failed: Callable[[Exception], None],
        dropped: Callable[[], None] = lambda: None,
        capacity: int = 1,
    ) -> None:
        self._work, self._failed, self._dropped = work, failed, dropped
        self._slot: queue.Queue[T | None] = queue.Queue(capacity)
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: T) -> None:
        """Hands over an item without waiting; nothing happens once closed."""
        with self._lock:
            if not self._closed:
                self._put(item)

    def close(self) -> None:
        """Ends the thread after the item at hand; safe to call twice."""
        with self._lock:
            if not self._closed:
                self._put(None)
            self._closed = True
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _put(self, item: T | None) -> None:
        while True:
            try:
                self._slot.put_nowait(item)
                return
            except queue.Full:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            self._slot.get_nowait()
            self._dropped()
        except queue.Empty:
            return

    def _run(self) -> None:
        while (item := self._slot.get()) is not None:
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001 - handed on, whatever it is: the thread must live
                self._failed(error)

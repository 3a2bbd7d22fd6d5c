"""Slow work beside the executor: the newest item counts, and the thread outlives its errors."""

from __future__ import annotations

import threading

import pytest

from keypoint_ros.worker import LatestWorker

PATIENCE = 5.0


class Work:
    """Work that goes on only when told to."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.errors: list[Exception] = []
        self.dropped = 0
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, item: object) -> None:
        self.begun.release()
        assert self.go_on.acquire(timeout=PATIENCE)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)

    def drop(self) -> None:
        self.dropped += 1

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE)


@pytest.fixture
def work():
    return Work()


def make(work: Work, **settings: int) -> LatestWorker:
    return LatestWorker("test", work, work.errors.append, work.drop, **settings)


def finish(worker: LatestWorker, work: Work, items: int) -> None:
    for _ in range(items):
        work.go_on.release()
    worker.close()


def test_what_waits_is_replaced_by_what_is_newer(work: Work) -> None:
    worker = make(work)
    worker.submit(1)
    work.wait_begun()
    for item in (2, 3, 4):
        worker.submit(item)
    work.go_on.release()
    work.wait_begun()
    finish(worker, work, 1)
    assert work.done == [1, 4] and work.dropped == 2


def test_with_more_places_the_oldest_goes(work: Work) -> None:
    worker = make(work, capacity=2)
    worker.submit(1)
    work.wait_begun()
    for item in (2, 3, 4):
        worker.submit(item)
    for _ in range(2):
        work.go_on.release()
        work.wait_begun()
    finish(worker, work, 1)
    assert work.done == [1, 3, 4] and work.dropped == 1


def test_an_error_is_handed_on_and_the_thread_lives(work: Work) -> None:
    worker, error = make(work), ValueError("bad luck")
    worker.submit(error)
    work.wait_begun()
    work.go_on.release()
    worker.submit(2)
    work.wait_begun()
    finish(worker, work, 1)
    assert work.errors == [error] and work.done == [2]


def test_closing_lets_the_item_at_hand_finish(work: Work) -> None:
    worker = make(work)
    worker.submit(1)
    work.wait_begun()
    finish(worker, work, 1)
    worker.close()
    assert work.done == [1]


def test_what_comes_after_closing_is_ignored(work: Work) -> None:
    """An item handed over while the thread still works must not push out the end."""
    worker = make(work)
    worker.submit(1)
    work.wait_begun()
    closing = threading.Thread(target=worker.close, daemon=True)
    closing.start()
    while not worker._closed:
        closing.join(0.001)
    worker.submit(2)
    work.go_on.release()
    closing.join(PATIENCE)
    assert not closing.is_alive() and work.done == [1]


def test_work_may_close_its_own_worker() -> None:
    workers: list[LatestWorker] = []
    done = threading.Event()

    def close_it(_: object) -> None:
        workers[0].close()
        done.set()

    workers.append(LatestWorker("test", close_it, lambda error: None))
    workers[0].submit(1)
    assert done.wait(PATIENCE)

"""Service calls from worker threads, with a time limit; never from a callback."""

from __future__ import annotations

import threading
import time
from typing import Any
from weakref import WeakSet

from rclpy.client import Client

from keypoint_core.errors import KeypointError

_ASK_AGAIN = 1.0  # [s], of a server that never answered this client
_ANSWERED: WeakSet[Client] = WeakSet()  # whose last call was answered


class ServiceCallError(KeypointError):
    """A service is not there, or did not answer in time."""


def call(client: Client, request: Any, timeout: float) -> Any:
    """Calls and waits for the answer; the node must be spun by another thread.

    A server that has only just been found may drop its first answer, because it has not found its client yet. So the
    request is sent again every second, or after half the time to a server that has answered this client before: what is
    called here must be harmless to ask twice.

    Args:
        client: of the service.
        request: its request message.
        timeout: for finding the service and for its answer together [s].

    Raises:
        ServiceCallError: with the service's name and what did not happen.
    """
    deadline = time.monotonic() + timeout
    if not client.wait_for_service(timeout_sec=timeout):
        raise ServiceCallError(f"service {client.srv_name} is not there after {timeout:g} s; is its node running?")
    again = timeout / 2 if client in _ANSWERED else _ASK_AGAIN
    answered = threading.Event()
    futures = []
    try:
        while not futures or time.monotonic() < deadline:
            futures.append(client.call_async(request))
            futures[-1].add_done_callback(lambda _: answered.set())
            if answered.wait(min(again, max(0.1, deadline - time.monotonic()))):
                _ANSWERED.add(client)
                return next(future.result() for future in futures if future.done())
    finally:
        for future in futures:
            client.remove_pending_request(future)
    _ANSWERED.discard(client)
    raise ServiceCallError(f"service {client.srv_name} did not answer within {timeout:g} s")

"""Service calls from worker threads, with a time limit; never from a callback."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.client import Client

from keypoint_core.errors import KeypointError


class ServiceCallError(KeypointError):
    """A service is not there, or did not answer in time."""


def call(client: Client, request: Any, timeout: float) -> Any:
    """Calls and waits for the answer; the node must be spun by another thread.

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
    answered = threading.Event()
    future = client.call_async(request)
    future.add_done_callback(lambda _: answered.set())
    if not answered.wait(max(0.1, deadline - time.monotonic())):
        client.remove_pending_request(future)
        raise ServiceCallError(f"service {client.srv_name} did not answer within {timeout:g} s")
    return future.result()

"""Service calls end: with an answer, or with words."""

from __future__ import annotations

import threading
import time

import pytest
from std_srvs.srv import Trigger

from keypoint_ros.services import ServiceCallError, call


def test_a_call_is_answered(ros) -> None:
    server, client = ros.start().node("server"), ros.node("client")
    server.create_service(Trigger, "work", lambda request, response: Trigger.Response(success=True, message="done"))
    ros.spin_in_thread()
    assert call(client.create_client(Trigger, "work"), Trigger.Request(), 5.0).message == "done"


def test_a_service_that_is_not_there_is_named(ros) -> None:
    client = ros.start().node("client").create_client(Trigger, "absent")
    ros.spin_in_thread()
    began = time.monotonic()
    with pytest.raises(ServiceCallError, match=r"service absent is not there after 0.2 s; is its node running\?"):
        call(client, Trigger.Request(), 0.2)
    assert time.monotonic() - began < 2.0


def test_a_service_that_does_not_answer_is_named(ros) -> None:
    """Its node is there, and nobody serves its callbacks."""
    client = ros.start().node("client").create_client(Trigger, "mute")
    server = ros.node("server")
    server.create_service(Trigger, "mute", lambda request, response: response)
    ros.executor.remove_node(server)
    ros.spin_in_thread()
    with pytest.raises(ServiceCallError, match="service mute did not answer within 0.5 s"):
        call(client, Trigger.Request(), 0.5)
    assert not client._pending_requests


def test_a_server_that_answered_before_is_given_half_the_time_before_it_is_asked_again(ros, monkeypatch) -> None:
    server, client = ros.start().node("server"), ros.node("client")
    asked: list[float] = []

    def work(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        asked.append(time.monotonic())
        if len(asked) == 2:
            time.sleep(0.3)  # longer than a new server is given
        return response

    server.create_service(Trigger, "work", work)
    ros.spin_in_thread()
    caller = client.create_client(Trigger, "work")
    call(caller, Trigger.Request(), 10.0)
    monkeypatch.setattr("keypoint_ros.services._ASK_AGAIN", 0.05)
    call(caller, Trigger.Request(), 10.0)
    call(caller, Trigger.Request(), 10.0)  # what had been sent again would be served before this
    assert len(asked) == 3


def test_several_threads_may_call(ros) -> None:
    server, client = ros.start().node("server"), ros.node("client")
    server.create_service(Trigger, "work", lambda request, response: Trigger.Response(success=True))
    ros.spin_in_thread()
    caller, answers = client.create_client(Trigger, "work"), []
    threads = [
        threading.Thread(target=lambda: answers.append(call(caller, Trigger.Request(), 5.0).success)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert answers == [True] * 4

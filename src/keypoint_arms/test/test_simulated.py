"""The simulated driver: one answer per tick, however often the simulation asks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

from keypoint_interfaces.msg import SimCommand, SimFeedback  # noqa: E402

from keypoint_arms import ARMS  # noqa: E402
from keypoint_arms.simulated import SimulatedArm, SimulatedArmParameters  # noqa: E402
from keypoint_core.arms.description import load_arm  # noqa: E402
from keypoint_core.errors import ArmError, UnknownNameError  # noqa: E402
from keypoint_core.types import ArmCommand, ArmMode  # noqa: E402
from keypoint_ros.conversions import from_stamp, to_header, to_stamp  # noqa: E402

ARM = load_arm("hebi_chopsticks")


class Wire:
    """Takes the place of the publisher."""

    def __init__(self) -> None:
        self.sent: list[SimCommand] = []

    def publish(self, message: SimCommand) -> None:
        self.sent.append(message)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[rclpy.node.Node]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + (os.getpid() + 50) % 99))
    rclpy.init()
    node = rclpy.create_node("driver")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def arm(node) -> SimulatedArm:
    arm = SimulatedArm(node, ARM, SimulatedArmParameters(connect_timeout=0.1, feedback_timeout=0.1))
    arm._publisher = Wire()
    arm.connect()
    return arm


def feedback(tick: int, awaits: int = 0, joints: int = 6) -> SimFeedback:
    message = SimFeedback(header=to_header(1000 + tick, "base"), tick=tick, gripper=-0.3, awaits=to_stamp(awaits))
    message.position = message.velocity = message.effort = [0.1 * i for i in range(joints)]
    return message


def command(value: float = 0.0, observation: int = 0, mode: ArmMode = ArmMode.FOLLOW) -> ArmCommand:
    return ArmCommand(np.full(6, value), np.zeros(6), -0.4, observation, mode)


def test_feedback_comes_as_a_state(arm: SimulatedArm) -> None:
    arm._receive(feedback(1, awaits=77))
    state = arm.read()
    assert (state.stamp, state.gripper, state.awaits) == (1001, -0.3, 77)
    np.testing.assert_allclose(state.position, 0.1 * np.arange(6))


def test_a_command_answers_the_tick_it_was_made_for(arm: SimulatedArm) -> None:
    arm._receive(feedback(8))
    arm.read()
    arm.write(command(0.5, observation=33))
    sent = arm._publisher.sent[0]
    assert (sent.tick, sent.mode, from_stamp(sent.observation), sent.gripper) == (8, ArmMode.FOLLOW, 33, -0.4)
    assert list(sent.position) == [0.5] * 6 and from_stamp(sent.header.stamp) == 1008


@pytest.mark.parametrize("awaits", [0, 33])
def test_a_repeated_tick_gets_the_same_answer_and_is_not_handed_out(arm: SimulatedArm, awaits: int) -> None:
    arm._receive(feedback(1, awaits))
    arm.read()
    arm.write(command(0.5, observation=33))
    for _ in range(3):
        arm._receive(feedback(1, awaits))
    arm._receive(feedback(2))
    assert arm.read().stamp == 1002
    assert [sent.tick for sent in arm._publisher.sent] == [1] * 4
    assert len({tuple(sent.position) for sent in arm._publisher.sent}) == 1


def test_a_tick_without_its_awaited_command_is_handed_out_again(arm: SimulatedArm) -> None:
    arm._receive(feedback(1, awaits=33))
    arm.read()
    arm.write(command(observation=0))
    arm._receive(feedback(1, awaits=33))
    assert arm.read().awaits == 33


def test_a_simulation_that_starts_anew_is_heard(arm: SimulatedArm) -> None:
    arm._receive(feedback(500))
    arm.read()
    arm.write(command())
    arm._receive(feedback(1))
    assert arm.read().stamp == 1001


def test_silence_is_an_error_with_its_limit(arm: SimulatedArm) -> None:
    with pytest.raises(ArmError, match="no feedback from the simulation for 0.1 s"):
        arm.read()


def test_another_robot_is_refused_with_both_counts(arm: SimulatedArm) -> None:
    arm._receive(feedback(1, joints=7))
    with pytest.raises(ArmError, match="has 7 joints, 'hebi_chopsticks' has 6"):
        arm.read()


def test_close_wakes_a_reader_and_connect_starts_anew(arm: SimulatedArm) -> None:
    arm.close()
    with pytest.raises(ArmError, match="closed"):
        arm.read()
    arm.close()
    arm.connect()
    arm._receive(feedback(3))
    assert arm.read().stamp == 1003


def test_a_full_inbox_keeps_the_newest(arm: SimulatedArm) -> None:
    for tick in range(1, 200):
        arm._receive(feedback(tick))
    stamps = []
    while not arm._inbox.empty():
        stamps.append(arm.read().stamp)
    assert stamps[-1] == 1199 and len(stamps) == 64


def test_nothing_is_sent_before_the_first_feedback(arm: SimulatedArm) -> None:
    arm.write(command())
    assert arm._publisher.sent == []


def test_an_unknown_driver_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="arm driver 'ur'.*simulated"):
        ARMS.load("ur")

"""A simulation node small enough to read: it plays robot and clock for the arm node, in the test's own process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

from keypoint_interfaces.msg import ArmState, SimCommand, SimFeedback, StageTiming  # noqa: E402
from keypoint_interfaces.srv import Engage  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from keypoint_arms.arm_node import ArmNode  # noqa: E402
from keypoint_core.arms.description import load_arm  # noqa: E402
from keypoint_core.types import ActionChunk  # noqa: E402
from keypoint_ros.conversions import to_header, to_stamp, to_trajectory  # noqa: E402
from keypoint_ros.qos import SUBSCRIBE_STREAM_LOSSLESS, command  # noqa: E402

ARM = load_arm("hebi_chopsticks")
TICK = 10_000_000  # [ns]


class ArmBench:
    """The arm node, a robot that goes exactly where it is told, and everything the arm says."""

    def __init__(self, *parameters: str, paced: bool = True) -> None:
        words = [word for parameter in parameters for word in ("-p", parameter)]
        lockstep = "use_sim_time:=true" in parameters
        rclpy.init(args=["--ros-args", *words] if words else None)
        self.executor = SingleThreadedExecutor()
        self.node = rclpy.create_node("bench", use_global_arguments=False)
        self.position, self.gripper, self.tick, self.silent = ARM.home.tolist(), -0.4, 0, False
        self.commands: list[SimCommand] = []
        self.states: list[ArmState] = []
        self.joints: list[JointState] = []
        self.timings: list[StageTiming] = []
        subscribe, lossless = self.node.create_subscription, SUBSCRIBE_STREAM_LOSSLESS
        subscribe(SimCommand, "sim/command", self._on_command, lossless)
        subscribe(ArmState, "arm/state", self.states.append, lossless)
        subscribe(JointState, "joint_states", self.joints.append, lossless)
        subscribe(StageTiming, "timing", self.timings.append, 30)
        self.feedback = self.node.create_publisher(SimFeedback, "sim/feedback", SUBSCRIBE_STREAM_LOSSLESS)
        self.actions = self.node.create_publisher(JointTrajectory, "policy/action", command(lockstep))
        self.arm = ArmNode()
        for node in (self.node, self.arm):
            self.executor.add_node(node)
        assert self.arm.start()
        self.spin_until(lambda: self.feedback.get_subscription_count() and self.actions.get_subscription_count())
        self.spin_until(lambda: self.arm._arm_states.get_subscription_count())
        if paced:
            self.node.create_timer(TICK * 1e-9, self.send_feedback)
            self.spin_until(lambda: self.states)

    def _on_command(self, command: SimCommand) -> None:
        self.commands.append(command)
        self.position = list(command.position)
        self.gripper = command.gripper

    def send_feedback(self, stamp: int | None = None, awaits: int = 0, tick: int | None = None) -> None:
        if self.silent:
            return
        self.tick += 1
        message = SimFeedback(header=to_header(time.time_ns() if stamp is None else stamp, "base"))
        message.tick = self.tick if tick is None else tick
        message.position, message.velocity, message.effort = self.position, [0.0] * 6, [0.0] * 6
        message.gripper, message.awaits = self.gripper, to_stamp(awaits)
        self.feedback.publish(message)

    def spin_until(self, predicate: Callable[[], object], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, "timed out"
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind: type, name: str, **fields: Any) -> Any:
        client = self.node.create_client(kind, f"arm/{name}")
        self.spin_until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self.spin_until(future.done)
        self.node.destroy_client(client)
        return future.result()

    def engage(self, commander: str = "policy") -> Engage.Response:
        return self.call(Engage, "engage", commander=commander)

    def trigger(self, name: str) -> Trigger.Response:
        return self.call(Trigger, name)

    def act(self, target: Any, commander: str = "policy", stamp: int | None = None, dt: float = 1 / 15) -> int:
        """Sends eight targets at one posture and returns their stamp."""
        stamp = time.time_ns() if stamp is None else stamp
        chunk = ActionChunk(stamp, dt, np.tile(np.asarray(target, dtype=np.float64), (8, 1)), np.full(8, -0.4))
        self.actions.publish(to_trajectory(chunk, ARM.joint_names, "chopsticks", commander))
        return stamp

    def next_state(
        self, predicate: Callable[[ArmState], object] = lambda state: True, since: int | None = None
    ) -> ArmState:
        """The first state from now on, or from the one with that number on, of which this is so."""
        begin = len(self.states) if since is None else since
        found: list[ArmState] = []

        def look() -> bool:
            found.extend(state for state in self.states[begin:] if not found and predicate(state))
            return bool(found)

        self.spin_until(look)
        return found[0]

    def close(self) -> None:
        self.arm.close()
        self.executor.shutdown()
        self.arm.destroy_node()
        self.node.destroy_node()
        rclpy.try_shutdown()
        gc.collect()  # a participant that is left talks to all that come after it


@pytest.fixture
def start_arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ArmBench]]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + (os.getpid() + 50) % 99))
    benches: list[ArmBench] = []

    def start(*parameters: str, paced: bool = True) -> ArmBench:
        benches.append(ArmBench(*parameters, paced=paced))
        return benches[-1]

    yield start
    for bench in benches:
        bench.close()

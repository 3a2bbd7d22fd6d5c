"""`ros2 launch` starts the graph, and Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from keypoint_bringup.graph import SystemOptions, sim_graph
from keypoint_bringup.system import unused_domain_id

WAIT = 60  # [s]


@pytest.mark.ros2cli
def test_ros2_launch_starts_and_stops_the_simulated_robot():
    domain = unused_domain_id()
    # Without autostart the nodes need no checkpoint.
    command = ["ros2", "launch", "keypoint_bringup", "sim_robot.launch.py", "autostart:=false"]
    environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("onlooker", context=context)
    executor = SingleThreadedExecutor(context=context)
    wanted = {spec.name for spec in sim_graph(SystemOptions())}
    with subprocess.Popen(command, env=environment, start_new_session=True) as launch:
        try:
            deadline = time.monotonic() + WAIT
            while wanted - set(node.get_node_names()):
                assert launch.poll() is None, "ros2 launch ended by itself"
                assert time.monotonic() < deadline, f"missing after {WAIT} s: {wanted - set(node.get_node_names())}"
                rclpy.spin_once(node, timeout_sec=0.1, executor=executor)
        finally:
            launch.send_signal(signal.SIGINT)
            launch.wait(WAIT)
            executor.shutdown()
            node.destroy_node()
            rclpy.shutdown(context=context)
    with pytest.raises(ProcessLookupError):  # nothing of its session is left
        os.killpg(launch.pid, 0)

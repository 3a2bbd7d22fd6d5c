"""The simulated robot: ros2 launch keypoint_bringup sim_robot.launch.py task:=clock_button mode:=lockstep."""

from keypoint_bringup.launching import system_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return system_launch("sim_robot")

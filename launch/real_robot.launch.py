"""The real robot: ros2 launch keypoint_bringup real_robot.launch.py task:=clock_button robot:=hebi."""

from keypoint_bringup.launching import system_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return system_launch("real_robot")

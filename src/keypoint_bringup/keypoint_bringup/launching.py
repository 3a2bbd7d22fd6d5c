"""The graph for `ros2 launch`: launch arguments from SystemOptions, launch_ros nodes from NodeSpecs."""

from __future__ import annotations

import os
from dataclasses import fields
from functools import partial

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from keypoint_bringup.graph import NodeSpec, SystemOptions, build_graph, parse_options
from keypoint_bringup.settings import graph_environment
from launch import LaunchContext, LaunchDescription


def system_launch(graph: str) -> LaunchDescription:
    """Declares every option as a launch argument and starts the graph of that name."""
    arguments = [
        DeclareLaunchArgument(
            option.name, default_value=_text(option.default), description=option.metadata["description"]
        )
        for option in fields(SystemOptions)
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=partial(_start, graph))])


def _start(graph: str, context: LaunchContext) -> list[SetEnvironmentVariable | Node]:
    texts = {option.name: LaunchConfiguration(option.name).perform(context) for option in fields(SystemOptions)}
    environment = [SetEnvironmentVariable(*item) for item in graph_environment(os.environ).items()]
    return [*environment, *map(launch_node, build_graph(graph, parse_options(texts)))]


def launch_node(spec: NodeSpec) -> Node:
    """One node as a launch_ros action."""
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[dict(spec.parameters)] if spec.parameters else [],
        remappings=list(spec.remappings),
        arguments=list(spec.arguments),
        output="screen",
    )


def _text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value

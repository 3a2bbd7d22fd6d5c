"""ROS parameters from a dataclass: declared with description and range, read back as an instance."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from keypoint_core.errors import InputError
from keypoint_core.parameters import ParameterInfo, check_parameters, parameter_infos

T = TypeVar("T")


def declare_parameters(node: Node, cls: type[T]) -> T:
    """Declares every field of `cls` on the node and returns the values given from outside.

    Raises:
        InputError: a value has the wrong type, or lies outside its range or choices.
    """
    infos = parameter_infos(cls)
    values: dict[str, Any] = {}
    for item in fields(cls):  # type: ignore[arg-type]
        default: Any = item.default
        ros_default = list(default) if isinstance(default, tuple) else default
        try:
            value = node.declare_parameter(item.name, ros_default, _descriptor(infos[item.name], default)).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise InputError(
                f"{node.get_name()}: parameter '{item.name}' ({infos[item.name].text}): {error}"
            ) from error
        values[item.name] = tuple(value) if isinstance(default, tuple) else value
    parameters = cls(**values)
    check_parameters(parameters)
    return parameters


def _descriptor(info: ParameterInfo, default: Any) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=info.text, read_only=True)
    if info.choices:
        descriptor.additional_constraints = f"one of {', '.join(info.choices)}"
    if info.minimum is None or info.maximum is None or isinstance(default, (bool, tuple, str)):
        return descriptor
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(info.minimum), to_value=int(info.maximum), step=0)]
    else:
        span = FloatingPointRange(from_value=float(info.minimum), to_value=float(info.maximum), step=0.0)
        descriptor.floating_point_range = [span]
    return descriptor

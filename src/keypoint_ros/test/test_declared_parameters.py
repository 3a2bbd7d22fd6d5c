"""Parameters of a node from a dataclass."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import rclpy
from rclpy.parameter import Parameter

from keypoint_core.errors import InputError
from keypoint_core.parameters import parameter
from keypoint_ros.parameters import declare_parameters


@dataclass(frozen=True)
class Settings:
    rate: float = parameter(10.0, "how often", unit="1/s", minimum=1.0, maximum=100.0)
    count: int = parameter(3, "how many", minimum=1, maximum=5)
    least: float = parameter(1.0, "at least", minimum=0.5)
    mode: str = parameter("slow", "how", choices=("slow", "fast"))
    box: tuple[float, ...] = parameter((0.0, 1.0), "where", unit="m")
    on: bool = parameter(False, "whether")


def test_defaults(ros) -> None:
    assert declare_parameters(ros.start().node(), Settings) == Settings()


def make(ros, *given: str) -> Settings:
    ros.start(*given)
    return declare_parameters(ros.add(rclpy.create_node("thing")), Settings)


def test_values_from_outside(ros) -> None:
    given = make(ros, "rate:=20.0", "count:=5", "mode:=fast", "box:=[1.5, 2.5, 3.5]", "on:=true")
    assert given == Settings(rate=20.0, count=5, mode="fast", box=(1.5, 2.5, 3.5), on=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("rate:=0.5", "thing: parameter 'rate'.*how often"),
        ("rate:=.nan", "'rate'"),
        ("rate:=fast", "'rate'"),
        ("rate:=5", "'rate'"),
        ("count:=6", "'count'"),
        ("count:=2.0", "'count'"),
        ("least:=0.4", "'least'"),
        ("mode:=medium", "'mode'.*slow, fast.*medium"),
        ("box:=[a, b]", "'box'"),
        ("box:=1.0", "'box'"),
        ("on:=maybe", "'on'"),
    ],
)
def test_a_wrong_type_range_or_choice_is_named(ros, given: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make(ros, given)


def test_they_are_described_and_read_only(ros) -> None:
    node = ros.start().node()
    declare_parameters(node, Settings)
    descriptor = node.describe_parameter("rate")
    assert descriptor.description == "how often [1/s]" and descriptor.read_only
    assert descriptor.floating_point_range[0].from_value == 1.0
    assert node.describe_parameter("count").integer_range[0].to_value == 5
    assert node.describe_parameter("mode").additional_constraints == "one of slow, fast"
    assert not node.set_parameters([Parameter("rate", value=5.0)])[0].successful

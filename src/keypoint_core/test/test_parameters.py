from dataclasses import dataclass
from typing import Any

import pytest

from keypoint_core.errors import InputError
from keypoint_core.parameters import check_parameters, parameter, parameter_infos


@dataclass(frozen=True)
class Settings:
    rate: float = parameter(10.0, "how often", unit="1/s", minimum=1.0, maximum=100.0)
    count: int = parameter(3, "how many", minimum=1)
    mode: str = parameter("slow", "how", choices=("slow", "fast"))
    box: tuple[float, ...] = parameter((0.0, 1.0), "where", unit="m", maximum=2.0)
    free: str = parameter("", "anything")


def test_infos_hold_description_and_unit() -> None:
    infos = parameter_infos(Settings)
    assert list(infos) == ["rate", "count", "mode", "box", "free"]
    assert infos["rate"].text == "how often [1/s]" and infos["count"].text == "how many"


@pytest.mark.parametrize(
    "values", [{}, {"rate": 1.0}, {"rate": 100.0}, {"count": 10**9}, {"box": ()}, {"mode": "fast"}]
)
def test_values_within_their_range_pass(values: dict[str, Any]) -> None:
    check_parameters(Settings(**values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate": 0.5}, r"'rate' \(how often \[1/s\]\): expected 1.0 .. 100.0, got 0.5"),
        ({"rate": 101.0}, "got 101.0"),
        ({"rate": float("nan")}, "got nan"),
        ({"count": 0}, "'count'.*got 0"),
        ({"mode": "medium"}, "'mode': expected one of slow, fast, got 'medium'"),
        ({"box": (0.0, 3.0)}, r"'box'.*got \(0.0, 3.0\)"),
        ({"box": (float("nan"),)}, "'box'"),
    ],
)
def test_a_value_outside_its_range_or_choices_is_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_parameters(Settings(**values))

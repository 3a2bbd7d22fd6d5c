import pytest

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.errors import KeypointError, MissingDependencyError, UnknownNameError
from keypoint_core.policies import POLICIES
from keypoint_core.registry import Registry
from keypoint_core.tracking import TRACKERS


@pytest.mark.parametrize("registry", [TRACKERS, CORRESPONDENCES, POLICIES], ids=lambda registry: registry.kind)
def test_an_unknown_name_lists_the_known_ones(registry: Registry) -> None:
    with pytest.raises(UnknownNameError) as caught:
        registry.load("no_such_thing")
    message = str(caught.value)
    assert message.startswith(f"unknown {registry.kind} 'no_such_thing'; known: ")
    assert list(registry) and all(name in message for name in registry)


@pytest.mark.parametrize("registry", [TRACKERS, CORRESPONDENCES, POLICIES], ids=lambda registry: registry.kind)
def test_every_back_end_loads(registry: Registry) -> None:
    assert all(isinstance(registry.load(name), type) for name in registry)


def test_a_back_end_is_loaded_when_asked_for_and_called_when_created() -> None:
    registry = Registry("thing", {"broken": "no_such_module:Thing"})
    registry.add("fraction", "fractions:Fraction")
    assert list(registry) == ["broken", "fraction"]
    assert registry.create("fraction", 1, denominator=2) == 0.5


def test_a_missing_package_is_named() -> None:
    registry = Registry("tracker", {"fancy": "no_such_package.module:Fancy"})
    with pytest.raises(MissingDependencyError, match="tracker 'fancy' needs the Python package 'no_such_package'"):
        registry.load("fancy")


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(KeypointError, match="known: none"):
        Registry("camera", {}).load("x")


def test_adding_again_replaces() -> None:
    registry = Registry("thing", {"a": "fractions:Fraction"})
    registry.add("a", "decimal:Decimal")
    assert registry.load("a").__name__ == "Decimal"

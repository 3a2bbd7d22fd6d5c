from collections.abc import Iterator

import pytest

from keypoint_sim.world import World


@pytest.fixture(scope="session")
def shared_world() -> Iterator[World]:
    """One world for all tests that reset it first; building and the OpenGL context are paid once."""
    world = World()
    yield world
    world.close()


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.reset(0)
    return shared_world

import numpy as np
import pytest
import torch

from keypoint_sim.world import World
from keypoint_training.settings import FitSettings, NetworkSettings, TrainSettings


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="session")
def pixels():
    """Points on and around the clock in the reference view, so that tests need not draw it."""
    points = [[288, 372], [367, 372], [290, 414], [365, 414], [330, 375], [302, 396], [318, 416], [352, 405]]
    return np.array(points, dtype=np.float32)


@pytest.fixture(scope="session")
def settings():
    """The smallest run that learns something."""
    return TrainSettings(
        keypoints=8,
        demonstrations=4,
        rounds=1,
        round_episodes=2,
        round_steps=150,
        final_steps=400,
        network=NetworkSettings(history=2, hidden=64, layers=2),
        fit=FitSettings(copies=2, batch=64, learning_rate=4e-3),
    )

"""Blank, frozen, resized and depthless frames are told from good ones."""

import numpy as np
import pytest

from keypoint_core.frame_health import FrameMonitor, HealthSettings
from keypoint_core.types import Frame, Intrinsics


def frame(color: np.ndarray, depth=None) -> Frame:
    height, width = color.shape[:2]
    return Frame(0, color, depth, Intrinsics(width, height, 100.0, 100.0, width / 2, height / 2))


def noise(seed: int, level: float = 120, sigma: float = 40, size=(48, 64)) -> np.ndarray:
    values = np.random.default_rng(seed).normal(level, sigma, (*size, 3))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


@pytest.fixture
def monitor() -> FrameMonitor:
    return FrameMonitor(HealthSettings(frozen_after=3))


def test_a_good_stream_gets_no_complaint(monitor):
    depth = np.ones((48, 64), np.float32)
    assert [monitor.examine(frame(noise(i), depth)).complaint for i in range(20)] == [""] * 20


@pytest.mark.parametrize("level", [0, 2, 90, 254])
def test_one_colour_and_a_covered_lens_are_blank(monitor, level):
    assert monitor.examine(frame(np.full((48, 64, 3), level, np.uint8))).blank
    covered = monitor.examine(frame(noise(1, level, 1.5)))
    assert covered.blank and "is the lens covered?" in covered.complaint


def test_a_dim_scene_is_not_blank(monitor):
    assert not monitor.examine(frame((noise(1) * 0.1).astype(np.uint8))).blank


def test_a_picture_that_repeats_is_frozen_until_it_changes(monitor):
    found = [monitor.examine(frame(noise(0).copy())) for _ in range(5)]
    assert [health.frozen for health in found] == [False, False, False, True, True]
    assert "the same 4 times" in found[-1].complaint
    assert not monitor.examine(frame(noise(1))).frozen
    assert monitor.examine(frame(noise(1))).repeats == 1


def test_another_size_is_told_once(monitor):
    monitor.examine(frame(noise(0)))
    assert "changed its size" in monitor.examine(frame(noise(0, size=(24, 32)))).complaint
    assert monitor.examine(frame(noise(1, size=(24, 32)))).complaint == ""


def test_missing_depth_is_told_and_none_at_all_is_a_choice(monitor):
    hole = np.full((48, 64), np.nan, np.float32)
    assert "0.0% of the depth" in monitor.examine(frame(noise(0), hole)).complaint
    assert monitor.examine(frame(noise(1))).complaint == ""


def test_reset_forgets(monitor):
    monitor.examine(frame(noise(0)))
    monitor.reset()
    assert monitor.examine(frame(noise(0))).repeats == 0

"""Descriptors are trained on exact correspondences, the same way however often the run is stopped."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from keypoint_core.errors import InputError
from keypoint_core.features.descriptor_card import load_descriptors
from keypoint_core.features.descriptor_network import DescriptorSettings
from keypoint_sim.world import World
from keypoint_training.descriptors import scenes as scenes_module
from keypoint_training.descriptors import train as train_module
from keypoint_training.descriptors.augment import random_crop
from keypoint_training.descriptors.fitting import Fitting
from keypoint_training.descriptors.loss import descriptor_loss, sample
from keypoint_training.descriptors.pairs import Batch, Pairs
from keypoint_training.descriptors.scenes import Scene, read_scene, task_points
from keypoint_training.descriptors.settings import Augmentation, DescriptorTraining, LossSettings
from keypoint_training.descriptors.validation import Trial, UprightSift, measure
from keypoint_training.progress import Bars
from keypoint_training.run_folder import load_settings, save_settings

PLAIN = Augmentation(
    crop=64, gain=1.0, gamma=1.0, tint=1.0, shade=0.0, noise=0.0, blur=0.31, smear=2.01, patches=0, shift=5.0
)
TINY = DescriptorTraining(
    steps=40,
    pairs=2,
    points=24,
    warm_up=5,
    average=0.9,
    network=DescriptorSettings(size=8, widths=(8, 12, 12, 16), blocks=(1, 1, 1)),
    augmentation=replace(PLAIN, turn=10.0, zoom=(0.9, 1.1)),
)


def scene(task: str, seed: int, shift: int, reference: bool = False) -> Scene:
    """Discs of a task's own, moved by some pixels over another ground."""
    rng = np.random.default_rng(sum(task.encode()))
    centres = rng.uniform(45, 95, (60, 2)) + [20, 0]
    shades = rng.integers(20, 235, (60, 3))
    ground = np.random.default_rng(seed).integers(90, 130, (140, 180, 3), dtype=np.uint8)
    picture = cv2.GaussianBlur(ground, (0, 0), 2)
    for centre, shade in zip(centres + shift, shades, strict=True):
        cv2.circle(picture, tuple(int(round(x)) for x in centre), 3, shade.tolist(), -1)
    pixels = np.round(centres + shift).astype(np.float32)
    return Scene(task, picture[None], pixels[None], np.ones((1, 60), bool), reference)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    tasks = ("clock_hand", "clock_hand_counterclockwise", "microwave_close")
    found = [scene(task, i, 4 * i) for task in tasks for i in range(3)]
    return found + [scene(task, 9, 2, reference=True) for task in tasks]


class TestCrops:
    @pytest.mark.parametrize("seed", range(6))
    def test_points_land_where_their_surroundings_do(self, seed: int) -> None:
        pixels = np.array([[60.0, 50.0], [100.0, 50.0], [80.0, 80.0], [70.0, 95.0]], np.float32)
        picture = np.zeros((140, 180, 3), np.uint8)
        for u, v in pixels.astype(int).tolist():
            cv2.circle(picture, (u, v), 4, (255, 255, 255), -1)
        rng = np.random.default_rng(seed)
        crop = random_crop(picture, pixels, np.ones(4, bool), np.array([80.0, 70.0]), PLAIN, rng)
        gray = np.where(crop.image[..., 0] > 20, crop.image[..., 0], 0).astype(float)
        assert crop.visible.any()
        for u, v in crop.pixels[crop.visible & (crop.pixels > 9).all(axis=1) & (crop.pixels < 54).all(axis=1)]:
            left, top = round(float(u)) - 7, round(float(v)) - 7
            part = gray[max(0, top) : top + 15, max(0, left) : left + 15]
            row, column = np.mgrid[0 : part.shape[0], 0 : part.shape[1]]
            centre = [(part * column).sum() / part.sum() + left, (part * row).sum() / part.sum() + top]
            np.testing.assert_allclose(centre, [u, v], atol=0.7)

    def test_covered_points_are_not_visible(self) -> None:
        pixels = np.stack(np.meshgrid(np.arange(40, 120, 3.0), np.arange(30, 110, 3.0)), axis=2).reshape(-1, 2)
        white = np.full((140, 180, 3), 255, np.uint8)
        hidden = 0
        for seed in range(12):
            rng = np.random.default_rng(seed)
            crop = random_crop(
                white,
                pixels.astype(np.float32),
                np.ones(len(pixels), bool),
                np.array([80.0, 70.0]),
                replace(PLAIN, patches=3),
                rng,
            )
            column, row = np.round(crop.pixels[crop.visible]).astype(int).T
            inside = ((crop.pixels > 1) & (crop.pixels < 62)).all(axis=1)
            hidden += int((inside & ~crop.visible).sum())
            away = (row > 3) & (row < 60) & (column > 3) & (column < 60)
            assert (crop.image[row[away], column[away]].min(axis=1) > 200).mean() > 0.9  # blur reaches over an edge
        assert hidden > 100


class TestPairs:
    def test_a_batch_is_a_function_of_its_step(self, scenes: list[Scene]) -> None:
        one, two, other = Pairs(scenes, TINY).batch(3), Pairs(scenes, TINY).batch(3), Pairs(scenes, TINY).batch(4)
        for name in Batch.__dataclass_fields__:
            assert torch.equal(getattr(one, name), getattr(two, name))
        assert not torch.equal(one.first, other.first)

    def test_points_are_matched_or_alone_never_both(self, scenes: list[Scene]) -> None:
        batches = [Pairs(scenes, TINY).batch(step) for step in range(12)]
        matched, alone = (torch.stack([getattr(b, name) for b in batches]) for name in ("matched", "alone"))
        assert not (matched & alone).any() and matched.any() and alone.any()
        pixels = torch.stack([b.pixels for b in batches])[:, :, :, :, :].permute(0, 2, 3, 1, 4)[matched]
        assert ((pixels > 0) & (pixels < 63)).all()

    def test_tasks_with_the_same_object_are_no_negatives_of_each_other(self, scenes: list[Scene]) -> None:
        batch = Pairs(scenes, replace(TINY, pairs=3)).batch(0)
        assert batch.alike.sum() == 5  # three with themselves, and the two clocks with each other


class TestLoss:
    @pytest.fixture(scope="class")
    def features(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.nn.functional.normalize(torch.randn(2, 16, 16, 16, generator=generator), dim=1)

    @staticmethod
    def batch(shift: float) -> Batch:
        cells = torch.tensor([[3, 4], [8, 8], [12, 5], [6, 11]], dtype=torch.float32)
        pixels = (cells * 4 + 1.5).expand(2, 4, 2)
        flags = torch.ones(2, 4, dtype=torch.bool)
        images = torch.zeros(2, 3, 64, 64)
        return Batch(images, images, torch.stack([pixels, pixels + shift]), flags, ~flags, torch.eye(2).bool())

    def test_features_are_sampled_at_the_centres_of_cells(self, features: torch.Tensor) -> None:
        pixels = torch.tensor([[[1.5, 1.5], [21.5, 33.5]]] * 2)
        found = sample(features, pixels)
        torch.testing.assert_close(found[1, 0], features[1, :, 0, 0])
        torch.testing.assert_close(found[0, 1], features[0, :, 8, 5])

    def test_true_matches_cost_less_than_wrong_ones(self, features: torch.Tensor) -> None:
        right, wrong = (descriptor_loss(features, features, self.batch(s), LossSettings()).item() for s in (0.0, 20.0))
        assert right < 0.7 * wrong

    def test_a_point_that_is_out_of_sight_must_resemble_nothing(self, features: torch.Tensor) -> None:
        batch = self.batch(0.0)
        lone = replace(batch, matched=batch.alone, alone=batch.matched)
        seen = descriptor_loss(features, features, lone, LossSettings()).item()
        unseen = descriptor_loss(features, features.flip(1), lone, LossSettings()).item()
        assert seen > 1.2 * unseen > 0

    def test_without_points_it_is_nothing(self, features: torch.Tensor) -> None:
        batch = self.batch(0.0)
        assert descriptor_loss(features, features, replace(batch, matched=batch.alone), LossSettings()).item() == 0.0


class TestFitting:
    def test_the_loss_falls(self, scenes: list[Scene]) -> None:
        fitting = Fitting(Pairs(scenes, TINY), TINY)
        losses = [fitting.step() for _ in range(40)]
        assert np.mean(losses[-8:]) < 0.85 * np.mean(losses[:4])

    def test_a_run_that_was_stopped_goes_on_identically(self, scenes: list[Scene], tmp_path: Path) -> None:
        straight = Fitting(Pairs(scenes, TINY), TINY)
        losses = [straight.step() for _ in range(6)]
        broken = Fitting(Pairs(scenes, TINY), TINY)
        for _ in range(3):
            broken.step()
        broken.save(tmp_path)
        resumed = Fitting(Pairs(scenes, TINY), TINY)
        resumed.load(tmp_path)
        assert resumed.done == 3
        assert [resumed.step() for _ in range(3)] == losses[3:]
        for mine, theirs in ((resumed.network, straight.network), (resumed.average, straight.average)):
            for name, value in mine.state_dict().items():
                assert torch.equal(value, theirs.state_dict()[name]), name

    def test_a_damaged_state_is_refused(self, scenes: list[Scene], tmp_path: Path) -> None:
        (tmp_path / "state.safetensors").write_bytes(b"no tensors")
        with pytest.raises(InputError, match="no training state"):
            Fitting(Pairs(scenes, TINY), TINY).load(tmp_path)

    def test_ending_earlier_leaves_the_rates_of_the_steps_done(self) -> None:
        long = DescriptorTraining(steps=10000)
        short = replace(long, steps=1000)
        assert all(long.rate(step) == short.rate(step) for step in range(801))
        assert short.rate(900) == pytest.approx(0.5 * long.learning_rate) and short.rate(1000) == 0.0


class TestRun:
    def test_settings_come_back(self, tmp_path: Path) -> None:
        save_settings(tmp_path, TINY)
        assert load_settings(tmp_path, DescriptorTraining) == TINY
        (tmp_path / "settings.json").write_text('{"seed": 1}')
        with pytest.raises(InputError, match="another version"):
            load_settings(tmp_path, DescriptorTraining)

    def test_it_ends_in_a_checkpoint_that_loads(
        self, scenes: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "runs"))
        monkeypatch.setattr(train_module, "draw_scenes", lambda *_: scenes)
        monkeypatch.setattr(train_module, "draw_trials", lambda *_: [])
        monkeypatch.setattr(train_module, "measure", lambda *_: {"all": {"points": 0}})
        options = argparse.Namespace(cache=tmp_path, device="cpu", minutes=None, output=tmp_path / "out")
        run = tmp_path / "runs"
        run.mkdir()
        settings = replace(TINY, steps=4)
        with Bars(Console(quiet=True)) as bars:
            train_module.train(run, settings, options, bars)
        network, card = load_descriptors(tmp_path / "out")
        assert network.settings == settings.network and card.training["steps"] == 4
        assert "--steps 4" in card.training["command"] and (run / "summary.json").is_file()

    def test_the_command_line(self) -> None:
        options = train_module.parse(["--cache", "x", "--minutes", "3", "--device", "cuda"])
        assert (options.cache, options.minutes, options.device) == (Path("x"), 3.0, "cuda")


class TestValidation:
    def test_what_did_not_move_is_found_where_it_was(self) -> None:
        rng = np.random.default_rng(0)
        noise = cv2.GaussianBlur(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8), (0, 0), 4)
        pixels = rng.uniform((250, 180), (400, 300), (20, 2)).astype(np.float32)
        still = Scene("t", noise[None], pixels[None], np.ones((1, 20), bool), False)
        figures = measure(UprightSift(), [Trial("t", noise, pixels, [still])])
        assert figures["all"]["within_4_px"] > 0.9 and figures["t"]["points"] > 10
        moved = replace(still, pixels=pixels[None] + 30)
        assert measure(UprightSift(), [Trial("t", noise, pixels, [moved])])["all"]["within_8_px"] < 0.1


class TestScenes:
    @pytest.mark.alone
    def test_points_are_where_their_colour_is(self, tmp_path: Path) -> None:
        """Two pictures of one scene, some work and some degrees of the camera later, and not drawn twice."""
        names = ["hebi_chopsticks-1000001"]
        scenes_module._draw_missing(tmp_path / "clock_button", "clock_button", "hebi_chopsticks", names, print)
        found = read_scene(tmp_path / "clock_button" / names[0])
        reference = read_scene(tmp_path / "clock_button" / "reference")
        assert found.color.shape == (2, 480, 640, 3) and found.task == "clock_button" and reference.reference
        assert found.visible.mean() > 0.5 and reference.visible.sum() > 100
        both = found.visible.all(axis=0)
        assert np.linalg.norm(found.pixels[0] - found.pixels[1], axis=1)[both].max() > 3
        values = []
        for color, pixels in zip(found.color, found.pixels, strict=True):
            smooth = cv2.GaussianBlur(color, (0, 0), 1.5).astype(float)
            column, row = np.round(pixels[both]).astype(int).T
            values.append(smooth[row, column])
        same = np.abs(values[0] - values[1]).mean()
        other = np.abs(values[0] - values[1][::-1]).mean()
        assert same < 0.4 * other
        before = time.perf_counter()
        scenes_module._draw_missing(tmp_path / "clock_button", "clock_button", "hebi_chopsticks", names, print)
        assert time.perf_counter() - before < 0.5

    def test_the_points_of_a_task_are_the_same_for_every_robot(self, tmp_path: Path) -> None:
        world = World("drawer_close", "franka")
        first = task_points(tmp_path, world)
        other = task_points(tmp_path, World("drawer_close", "hebi_chopsticks"))
        assert first.bodies == other.bodies and set(first.bodies) <= set(world.task.bodies)
        np.testing.assert_array_equal(first.local, other.local)

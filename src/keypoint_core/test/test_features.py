"""Dense features: a grid of descriptors is sampled and searched exactly; the encoder's checkpoint is verified."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from keypoint_core.checkpoint import CARD, sha256
from keypoint_core.errors import CheckpointError, InputError, UnknownNameError
from keypoint_core.features import FEATURES
from keypoint_core.features.descriptor_card import WEIGHTS, DescriptorCard, load_descriptors, save_descriptors
from keypoint_core.features.descriptor_network import DescriptorNetwork, DescriptorSettings
from keypoint_core.features.descriptors import DenseDescriptors
from keypoint_core.features.feature_map import FeatureMap

SMALL = DescriptorSettings(size=8, widths=(4, 8, 8, 8), blocks=(1, 1, 1))
BUDGET = 0.012  # of a crop of 320 x 240 [s]
SHIPPED = Path(__file__).parents[3] / "models" / "descriptors"


def bumps(centres: np.ndarray, shape: tuple[int, int] = (24, 30), spread: float = 1.0) -> FeatureMap:
    """One channel per centre (column, row), a Gaussian about it, over a constant one."""
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]]
    squared = (column[..., None] - centres[:, 0]) ** 2 + (row[..., None] - centres[:, 1]) ** 2
    values = np.concatenate([np.exp(squared / (-2 * spread**2)), np.full((*shape, 1), 0.2)], axis=2)
    return FeatureMap(values.astype(np.float32), 4.0, (1.5, 1.5))


@pytest.fixture
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound checkpoint with weights drawn at random."""
    torch.manual_seed(0)
    network = DescriptorNetwork(SMALL)
    network.train()(torch.rand(2, 3, 64, 64))  # so that the normalisation has something to put into the weights
    save_descriptors(tmp_path / "descriptors", network, DescriptorCard(SMALL, 0.1, {"seed": 0}))
    return tmp_path / "descriptors"


class TestFeatureMap:
    def test_sampling_is_bilinear(self) -> None:
        row, column = np.mgrid[0:7, 0:9].astype(np.float32)
        features = FeatureMap(np.stack([column, row], axis=2), 4.0, (1.5, 2.5))
        pixels = np.array([[1.5, 2.5], [9.5, 6.5], [3.5, 20.0], [33.5, 26.5]])
        np.testing.assert_allclose(features.sample(pixels), (pixels - (1.5, 2.5)) / 4.0, atol=1e-6)

    def test_beyond_the_rim_the_nearest_cell_holds(self) -> None:
        features = FeatureMap(np.arange(6, dtype=np.float32).reshape(2, 3, 1), 4.0, (1.5, 1.5))
        assert features.sample([[-50.0, -50.0], [99.0, 99.0], [0.0, 99.0]]).ravel().tolist() == [0.0, 5.0, 3.0]

    def test_a_single_cell_can_be_sampled(self) -> None:
        features = FeatureMap(np.ones((1, 1, 2), np.float32), 16.0, (7.5, 7.5))
        assert features.sample([[3.0, 9.0]]).tolist() == [[1.0, 1.0]]

    def test_the_mode_is_found_below_the_size_of_a_cell(self) -> None:
        centres = np.array([[6.3, 8.4], [20.0, 11.0], [13.75, 17.1]])
        pixels, similarity = bumps(centres).mode(np.eye(4)[:3])
        np.testing.assert_allclose(pixels, centres * 4 + 1.5, atol=0.6)
        np.testing.assert_allclose(pixels[1], [81.5, 45.5], atol=1e-4)
        assert (similarity > 0.9).all()

    def test_the_mode_is_global_not_the_mean(self) -> None:
        features = bumps(np.array([[5.0, 5.0]]))
        values = features.values.copy()
        values[:, 15:, 0] = 0.95 * values[:, :15, 0]
        pixels, _ = FeatureMap(values, 4.0, (1.5, 1.5)).mode([[1.0, 0.0]])
        np.testing.assert_allclose(pixels[0], [21.5, 21.5], atol=0.2)

    def test_at_the_rim_and_on_a_plateau_the_cell_itself_is_given(self) -> None:
        flat = FeatureMap(np.ones((5, 5, 3), np.float32), 4.0, (1.5, 1.5))
        assert flat.mode(np.ones((1, 3)))[0].tolist() == [[1.5, 1.5]]
        assert bumps(np.array([[0.0, 23.0]])).mode([[1.0, 0.0]])[0].tolist() == [[1.5, 93.5]]

    def test_cosines_are_given_as_they_are_negative_ones_as_zero(self) -> None:
        features = FeatureMap(np.array([[[2.0, 0.0], [1.0, 1.0], [-3.0, 0.0]]], np.float32), 8.0, (3.5, 3.5))
        np.testing.assert_allclose(features.similarity([[5.0, 0.0]])[0, 0], [1.0, np.sqrt(0.5), 0.0], atol=1e-6)

    def test_distances_are_those_of_descriptors_of_length_sqrt_d_over_sqrt_d(self) -> None:
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=(2, 6))
        features = FeatureMap(a.reshape(1, 1, 6).astype(np.float32), 4.0, (1.5, 1.5), temperature=0.3)
        a, b = (x / np.linalg.norm(x) * np.sqrt(6) for x in (a, b))
        squared = np.square(np.linalg.norm(a - b) / np.sqrt(6))
        np.testing.assert_allclose(features.similarity(b[None]).item(), np.exp(-squared / 0.3), rtol=1e-5)
        np.testing.assert_allclose(features.similarity(7 * a[None]).item(), 1.0, atol=1e-5)

    def test_a_crop_is_told_where_it_lies(self) -> None:
        features = bumps(np.array([[6.0, 8.0]]))
        moved = features.moved((100.0, 40.0))
        np.testing.assert_allclose(
            moved.mode([[1.0, 0.0]])[0], features.mode([[1.0, 0.0]])[0] + [100.0, 40.0], atol=1e-4
        )
        pixels = np.array([[20.0, 30.0]])
        np.testing.assert_array_equal(moved.sample(pixels + [100.0, 40.0]), features.sample(pixels))

    def test_wrong_shapes_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"\[h, w, D\] float32, got \(3, 4\) float64"):
            FeatureMap(np.zeros((3, 4)), 4.0, (0.0, 0.0))  # type: ignore[arg-type]
        features = FeatureMap(np.ones((3, 4, 5), np.float32), 4.0, (0.0, 0.0))
        with pytest.raises(InputError, match=r"\[N, 5\].*got \(1, 4\)"):
            features.mode(np.ones((1, 4)))
        with pytest.raises(InputError, match=r"finite \[N, 2\]"):
            features.sample([[np.nan, 1.0]])
        with pytest.raises(InputError, match="positive"):
            FeatureMap(np.ones((3, 4, 5), np.float32), 0.0, (0.0, 0.0))


class TestExtractor:
    def test_a_map_has_a_cell_per_four_pixels_whatever_the_size(self, folder: Path, picture: np.ndarray) -> None:
        extractor = DenseDescriptors(folder)
        for height, width in ((240, 320), (16, 16), (37, 150)):
            found = extractor.extract(picture[:height, :width])
            assert found.values.shape == (-(-height // 4), -(-width // 4), SMALL.size)
            np.testing.assert_allclose(np.linalg.norm(found.values, axis=2), 1.0, atol=1e-5)
        assert (found.scale, found.offset, found.temperature) == (4.0, (1.5, 1.5), 0.1)

    def test_descriptors_move_with_the_picture(self, folder: Path, picture: np.ndarray) -> None:
        """Pixel and cell conventions: a crop shifted by the coarsest cell sees the same, far from its rim."""
        extractor = DenseDescriptors(folder)
        pixels = np.array([[150.0, 120.0], [171.3, 130.8], [160.2, 111.1]])
        whole = extractor.extract(picture)
        part = extractor.extract(picture[16:, 32:]).moved((32.0, 16.0))
        np.testing.assert_allclose(part.sample(pixels), whole.sample(pixels), atol=2e-3)

    def test_a_pixel_is_found_at_itself(self, folder: Path, picture: np.ndarray) -> None:
        features = DenseDescriptors(folder).extract(picture)
        pixels = np.array([[41.5, 61.5], [201.5, 101.5], [100.2, 77.7]])
        found, similarity = features.mode(features.sample(pixels))
        np.testing.assert_allclose(found, pixels, atol=2.0)
        assert (similarity > 0.9).all()

    def test_fusing_changes_nothing(self, folder: Path) -> None:
        network, _ = load_descriptors(folder)
        images = torch.rand(1, 3, 48, 64)
        with torch.inference_mode():
            before = network.eval()(images)
            np.testing.assert_allclose(network.fuse()(images).numpy(), before.numpy(), atol=1e-5)

    def test_equal_images_give_equal_bits_with_any_number_of_threads(self, folder: Path, picture: np.ndarray) -> None:
        extractor, before = DenseDescriptors(folder), torch.get_num_threads()
        first = extractor.extract(picture).values
        try:
            torch.set_num_threads(2)
            np.testing.assert_array_equal(extractor.extract(picture.copy()).values, first)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((48, 64), np.uint8),
            np.zeros((48, 64, 3), np.float32),
            np.zeros((15, 64, 3), np.uint8),
            np.zeros((48, 64, 4), np.uint8),
        ],
    )
    def test_other_images_are_refused(self, folder: Path, image: np.ndarray) -> None:
        with pytest.raises(InputError, match=r"\[H, W, 3\] uint8 RGB of at least 16x16"):
            DenseDescriptors(folder).extract(image)


class TestCheckpoint:
    def test_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KEYPOINT_MODELS_DIR", str(tmp_path))
        with pytest.raises(CheckpointError, match="make train-descriptors"):
            DenseDescriptors()

    def test_altered_weights(self, folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        save_file({**weights, "head.bias": weights["head.bias"] + 1e-3}, folder / WEIGHTS)
        with pytest.raises(CheckpointError, match="SHA-256"):
            DenseDescriptors(folder)

    def test_weights_of_another_shape(self, folder: Path) -> None:
        data = yaml.safe_load((folder / CARD).read_text())
        data["network"]["size"] = 9
        (folder / CARD).write_text(yaml.safe_dump(data))
        with pytest.raises(CheckpointError, match="do not fit"):
            DenseDescriptors(folder)

    def test_a_pickle_is_never_read(self, folder: Path) -> None:
        torch.save(DescriptorNetwork(SMALL).state_dict(), folder / WEIGHTS)
        data = yaml.safe_load((folder / CARD).read_text())
        data["files"] = {WEIGHTS: sha256(folder / WEIGHTS)}
        (folder / CARD).write_text(yaml.safe_dump(data))
        with pytest.raises(CheckpointError, match="do not fit"):
            DenseDescriptors(folder)

    @pytest.mark.parametrize(
        ("change", "message"),
        [({"format": 9}, "format 9"), ({"network": {"size": 0}}, "malformed"), ({"surplus": 1}, "malformed")],
    )
    def test_a_card_that_cannot_be_read(self, folder: Path, change: dict, message: str) -> None:
        data = yaml.safe_load((folder / CARD).read_text())
        (folder / CARD).write_text(yaml.safe_dump({**data, **change}))
        with pytest.raises(CheckpointError, match=message):
            DenseDescriptors(folder)


class TestRegistry:
    def test_names(self) -> None:
        assert list(FEATURES) == ["descriptors", "dift", "dinov2"]
        with pytest.raises(UnknownNameError, match="descriptors, dift, dinov2"):
            FEATURES.create("sift")

    def test_it_is_light(self) -> None:
        code = "import sys, keypoint_core.features; print('torch' in sys.modules, 'cv2' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "False"]


class TestShipped:
    @pytest.mark.alone
    def test_it_keeps_to_its_time(self, picture: np.ndarray) -> None:
        extractor, seconds = DenseDescriptors(SHIPPED), []
        for _ in range(12):
            start = time.thread_time()
            extractor.extract(picture)
            seconds.append(time.thread_time() - start)
        assert min(seconds) < BUDGET

    def test_a_turned_and_darker_picture_is_recognised(self) -> None:
        """Textures that no training saw: a picture made of discs, turned by 30 degrees, 20 % larger, half as bright."""
        picture = discs()
        turn = cv2.getRotationMatrix2D((160, 120), 30, 1.2)
        turned = (cv2.warpAffine(picture, turn, (320, 240), borderMode=cv2.BORDER_REFLECT) * 0.5).astype(np.uint8)
        pixels = np.stack(np.meshgrid(np.linspace(100, 220, 7), np.linspace(75, 165, 6)), axis=2).reshape(-1, 2)
        extractor = DenseDescriptors(SHIPPED)
        found, _ = extractor.extract(turned).mode(extractor.extract(picture).sample(pixels))
        errors = np.linalg.norm(found - (pixels @ turn[:, :2].T + turn[:, 2]), axis=1)
        assert (errors < 8).mean() > 0.7


def discs() -> np.ndarray:
    rng = np.random.default_rng(3)
    image = np.full((240, 320, 3), 120, np.uint8)
    for _ in range(220):
        centre = tuple(int(x) for x in rng.integers(0, (320, 240)))
        cv2.circle(image, centre, int(rng.integers(3, 18)), rng.integers(20, 235, 3).tolist(), -1, cv2.LINE_AA)
    return image

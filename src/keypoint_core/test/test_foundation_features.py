"""DINOv2 and DIFT on tiny networks with random weights: geometry, equality with the libraries' own states, refusals."""

import hashlib
import json

import numpy as np
import pytest

from keypoint_core.errors import CheckpointError, InputError, MissingDependencyError
from keypoint_core.features import FEATURES
from keypoint_core.features.hub import model_folder, require
from keypoint_core.features.patch_grid import PatchGrid

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 255, (12, 16, 3)).astype(np.float32)
    import cv2

    return cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def dinov2_folder(tmp_path_factory):
    transformers = pytest.importorskip("transformers", reason="pip install -r requirements-backends.txt")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14, mlp_ratio=2
    )
    folder = tmp_path_factory.mktemp("dinov2")
    transformers.Dinov2Model(config).save_pretrained(folder, safe_serialization=True)
    return folder


def dinov2(folder, **changes):
    from keypoint_core.features.dinov2 import DinoV2, DinoV2Settings

    return DinoV2(DinoV2Settings(model=str(folder), revision="", **changes))


@pytest.fixture(scope="module")
def dift_folder(tmp_path_factory):
    diffusers = pytest.importorskip("diffusers", reason="pip install -r requirements-backends.txt")
    transformers = pytest.importorskip("transformers", reason="pip install -r requirements-backends.txt")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("dift")
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        cross_attention_dim=12,
        attention_head_dim=4,
        norm_num_groups=4,
        in_channels=4,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
    )
    unet.save_pretrained(folder / "unet", safe_serialization=True)
    vae.save_pretrained(folder / "vae", safe_serialization=True)
    diffusers.DDIMScheduler().save_pretrained(folder / "scheduler")
    words = transformers.CLIPTextConfig(
        vocab_size=4, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    transformers.CLIPTextModel(words).save_pretrained(folder / "text_encoder", safe_serialization=True)
    tokens = folder / "tokenizer"
    tokens.mkdir()
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "b</w>": 3}
    (tokens / "vocab.json").write_text(json.dumps(vocabulary))
    (tokens / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(
        str(tokens / "vocab.json"), str(tokens / "merges.txt"), model_max_length=8
    ).save_pretrained(tokens)
    return folder


def dift(folder, **changes):
    from keypoint_core.features.dift import Dift, DiftSettings

    return Dift(DiftSettings(model=str(folder), **{"ensemble": 2, "width": 128, **changes}))


class TestPatchGrid:
    """Which pixel a cell stands for."""

    @pytest.mark.parametrize("cell", [7.0, 14.0, 5.0])
    def test_a_bright_square_in_one_cell_stays_there(self, cell):
        image = np.zeros((70, 98, 3), np.uint8)
        row, column = 3, 4
        edges = np.array([row, row + 1, column, column + 1]) * cell
        top, bottom, left, right = np.ceil(edges - 0.5).astype(int)
        image[top:bottom, left:right] = 255
        grid = PatchGrid(image, cell, 14)
        cells = grid.input.reshape(grid.input.shape[0] // 14, 14, -1, 14, 3).mean(axis=(1, 3, 4))
        assert np.unravel_index(cells.argmax(), cells.shape) == (row, column)
        found = grid.feature_map(cells[..., None].astype(np.float32))
        middle = np.array([left + right - 1, top + bottom - 1]) / 2
        centre = np.array(found.offset) + np.array([column, row]) * found.scale
        np.testing.assert_allclose(centre, middle, atol=0.5)

    def test_a_ramp_keeps_its_place(self):
        """What a cell's centre stands for is where the image has the cell's mean value."""
        ramp = np.broadcast_to(np.arange(120, dtype=np.uint8)[None, :, None] * 2, (60, 120, 3)).copy()
        for cell in (7.0, 12.0):
            grid = PatchGrid(ramp, cell, 14)
            cells = grid.input.reshape(grid.input.shape[0] // 14, 14, -1, 14, 3).mean(axis=(0, 1, 3, 4))
            count = int(120 // cell)
            found = grid.feature_map(np.ones((2, len(cells), 1), np.float32))
            expected = 2 * (found.offset[0] + np.arange(count) * found.scale)
            np.testing.assert_allclose(cells[1 : count - 1], expected[1 : count - 1], atol=0.6)

    @pytest.mark.parametrize(
        "image", [np.zeros((50, 50), np.uint8), np.zeros((8, 50, 3), np.uint8), np.zeros((50, 50, 3))]
    )
    def test_other_images_are_refused(self, image):
        with pytest.raises(InputError, match="an image must be"):
            PatchGrid(image, 7.0, 14)


class TestDinoV2:
    """On a tiny network."""

    def test_equals_the_hidden_states_of_transformers(self, dinov2_folder, picture):
        import transformers

        image = picture[:84, :112]
        model = transformers.Dinov2Model.from_pretrained(dinov2_folder).eval()
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        with torch.inference_mode():
            states = model((pixels - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1), output_hidden_states=True)
        for layer, expected in ((-1, states.last_hidden_state), (1, states.hidden_states[1])):
            found = dinov2(dinov2_folder, cell=14.0, layer=layer).extract(image)
            assert (found.scale, found.offset) == (14.0, (6.5, 6.5))
            np.testing.assert_allclose(found.values.reshape(48, 16), expected[0, 1:].numpy(), atol=1e-5)

    def test_cells_cover_images_of_any_size_the_same_way_each_time(self, dinov2_folder, picture):
        network = dinov2(dinov2_folder)
        found = network.extract(picture[:51, :77])
        assert found.values.shape == (8, 11, 16)
        assert found.values.tobytes() == network.extract(picture[:51, :77]).values.tobytes()

    def test_weights_that_differ_or_unpickle_are_refused(self, dinov2_folder, tmp_path):
        digest = hashlib.sha256((dinov2_folder / "model.safetensors").read_bytes()).hexdigest()
        dinov2(dinov2_folder, sha256=digest)
        with pytest.raises(CheckpointError, match="SHA-256"):
            dinov2(dinov2_folder, sha256="0" * 64)
        (tmp_path / "config.json").write_text((dinov2_folder / "config.json").read_text())
        (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
        with pytest.raises(CheckpointError, match="safetensors"):
            dinov2(tmp_path)


class TestDift:
    """On a tiny network."""

    def test_equals_the_block_of_the_whole_network(self, dift_folder, picture):
        extractor = dift(dift_folder)
        seen = []
        pixels = torch.from_numpy(picture[:64, :128]).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            stopped = extractor.features(pixels)
            hook = extractor._unet.up_blocks[1].register_forward_hook(lambda m, i, output: seen.append(output))
            latent = extractor._vae.encode(pixels).latent_dist.mode() * extractor._vae.config.scaling_factor
            generator = torch.Generator().manual_seed(0)
            for _ in range(2):
                noise = torch.randn(latent.shape, generator=generator)
                noisy = extractor._schedule.add_noise(latent, noise, torch.tensor([261]))
                extractor._unet(noisy, 261, encoder_hidden_states=extractor._words)
            hook.remove()
        np.testing.assert_allclose(stopped.numpy(), ((seen[0] + seen[1]) / 2)[0].numpy(), atol=1e-4)

    def test_geometry_and_determinism(self, dift_folder, picture):
        extractor = dift(dift_folder)
        found = extractor.extract(picture)
        assert found.values.shape == (6, 8, 16) and found.scale == 16.0 and found.offset == (7.5, 7.5)
        assert found.values.tobytes() == extractor.extract(picture).values.tobytes()
        assert dift(dift_folder, up_block=2).extract(picture).values.shape[:2] == (12, 16)
        wide = dift(dift_folder, width=256).extract(picture)
        assert wide.values.shape[:2] == (12, 16) and wide.scale == 8.0

    def test_the_ensemble_and_the_seed_change_the_noise(self, dift_folder, picture):
        one = dift(dift_folder, ensemble=1).extract(picture).values
        assert not np.array_equal(one, dift(dift_folder, ensemble=1, seed=1).extract(picture).values)
        assert not np.array_equal(one, dift(dift_folder, ensemble=2).extract(picture).values)

    def test_what_does_not_fit_is_refused(self, dift_folder):
        with pytest.raises(InputError, match="up blocks 0..3"):
            dift(dift_folder, up_block=4)
        with pytest.raises(InputError, match="ensemble"):
            dift(dift_folder, ensemble=0)
        with pytest.raises(CheckpointError, match="SHA-256"):
            dift(dift_folder, sha256={"unet/diffusion_pytorch_model.safetensors": "0" * 64})


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(MissingDependencyError, match=r"'no_such_package' \(MIT\).*pip install this"):
        require("no_such_package", "pip install this", "MIT")


def test_missing_weights_say_where_they_come_from(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="pip install -r requirements-backends.txt")
    with pytest.raises(MissingDependencyError, match="nobody/nothing .MIT. are not on this machine.*hf download"):
        model_folder("nobody/nothing", "main", {"config.json": None}, "MIT", download=False)


@pytest.mark.parametrize("name", ["dift", "dinov2"])
def test_back_ends_exist_or_say_what_is_missing(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    try:
        extractor = FEATURES.create(name)
    except MissingDependencyError as error:
        assert "requirements-backends.txt" in str(error) or "hf download" in str(error)
        assert "Apache-2.0" in str(error) or "RAIL" in str(error)
    else:
        assert callable(extractor.extract)

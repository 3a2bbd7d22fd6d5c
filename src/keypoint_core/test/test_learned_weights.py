"""Networks of others: weights are read without running foreign code, networks run as asked, scores mean something."""

import hashlib
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from keypoint_core.errors import CheckpointError, InputError, MissingDependencyError
from keypoint_core.tracking.calibration import confidence, fit
from keypoint_core.tracking.inference import Inference, InferenceSettings
from keypoint_core.tracking.raster import from_raster, to_raster
from keypoint_core.tracking.weights import Upstream, find_weights, load_network, load_state

CPU = InferenceSettings(device="cpu")
TINY = Upstream("tiny", "MIT", "pip install tiny", "https://example.org/tiny/tiny_weights.pth")


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("import os; os.environ['TRAP'] = 'sprung'",)


class TestWeights:
    """Files are found, checked and read without executing anything."""

    @pytest.fixture
    def linear(self) -> nn.Linear:
        torch.manual_seed(0)
        return nn.Linear(3, 2)

    @pytest.mark.parametrize("form", ["safetensors", "plain", "model", "lightning", "parallel"])
    def test_forms(self, tmp_path, linear, form):
        state = linear.state_dict()
        path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
        if form == "safetensors":
            save_file(state, path)
        elif form == "lightning":
            content = {"state_dict": {f"tapnext.{k}": v for k, v in state.items()}, "epoch": 3, "lr": 0.1}
            torch.save(content, path)
        elif form == "parallel":
            torch.save({f"module.{k}": v for k, v in state.items()}, path)
        else:
            torch.save({"model": state, "total_steps": 5} if form == "model" else state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        loaded = load_network(lambda state: nn.Linear(3, 2), TINY, path, digest.upper())
        torch.testing.assert_close(loaded.weight, linear.weight)

    def test_another_hash_is_refused(self, tmp_path, linear):
        torch.save(linear.state_dict(), tmp_path / "w.pth")
        with pytest.raises(CheckpointError, match="expected SHA-256 00ff, got [0-9a-f]{64}"):
            load_state(tmp_path / "w.pth", "00ff")

    def test_an_unpinned_file_says_its_hash(self, tmp_path, linear, caplog):
        path = tmp_path / "w.pth"
        torch.save(linear.state_dict(), path)
        load_state(path)
        assert hashlib.sha256(path.read_bytes()).hexdigest() in caplog.text

    def test_code_is_not_run(self, tmp_path):
        torch.save({"weight": Trap()}, tmp_path / "w.pth")
        (tmp_path / "raw.pth").write_bytes(pickle.dumps(Trap()))
        for name in ("w.pth", "raw.pth"):
            with pytest.raises(CheckpointError, match="tensors only"):
                load_state(tmp_path / name)
        assert "TRAP" not in os.environ

    @pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
    @pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
    def test_damaged_files_are_refused(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            load_state(tmp_path / name)

    def test_another_networks_weights_are_refused(self, tmp_path, linear):
        torch.save(linear.state_dict(), tmp_path / "w.pth")
        with pytest.raises(CheckpointError, match="tiny_weights.pth"):
            load_network(lambda state: nn.Linear(4, 2), TINY, tmp_path / "w.pth", "")

    def test_where_they_are_looked_for(self, tmp_path, monkeypatch):
        with pytest.raises(MissingDependencyError, match=r"no weights at .*gone.pth.*licence: MIT"):
            find_weights(TINY, tmp_path / "gone.pth")
        monkeypatch.setenv("KEYPOINT_WEIGHTS", str(tmp_path))
        with pytest.raises(MissingDependencyError, match="https://example.org/tiny/tiny_weights.pth"):
            find_weights(TINY, "")
        (tmp_path / "tiny_weights.pth").touch()
        assert find_weights(TINY, "") == tmp_path / "tiny_weights.pth"
        (tmp_path / "tiny.safetensors").touch()
        assert find_weights(TINY, "") == tmp_path / "tiny.safetensors"


def test_the_image_and_its_pixels_are_resized_alike():
    """A dot stays under its pixel, in both conventions."""
    runner = Inference(CPU)
    color = np.zeros((120, 160, 3), np.uint8)
    color[50:52, 100:102] = 255
    dot = np.array([[100.5, 50.5]], np.float32)
    for corners in (False, True):
        image = runner.image(color, (240, 480), corners=corners)[0, 0].numpy()
        v, u = (float((np.indices(image.shape)[i] * image).sum() / image.sum()) for i in (0, 1))
        scale = np.array([479 / 159, 239 / 119])
        expected = dot[0] * scale if corners else to_raster(dot, color.shape, (240, 480))[0] - 0.5
        np.testing.assert_allclose([u, v], expected, atol=0.02)
    points = np.array([[20, 30], [80.5, 60.25], [159, 0]], np.float32)
    back = from_raster(to_raster(points, color.shape, (64, 64)), color.shape, (64, 64))
    np.testing.assert_allclose(back, points, atol=1e-4)


class TestInference:
    def test_threads_are_given_back(self):
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            with Inference(CPU).running():
                assert torch.get_num_threads() == 1 and not torch.is_grad_enabled()
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    @pytest.mark.parametrize("wrong", [{"precision": "int8"}, {"device": "cuda:7"}])
    def test_what_cannot_be_is_refused(self, wrong):
        if wrong.get("device") and torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
        with pytest.raises(InputError, match=next(iter(wrong.values()))):
            Inference(InferenceSettings(**wrong))

    def test_results_of_compiled_parts_have_memory_of_their_own(self):
        """What a CUDA graph returns is overwritten by its next run; the part here reuses its result like one."""
        part = nn.Linear(1, 1)
        reused = torch.zeros(1, 1)
        part.forward = lambda x: (reused.copy_(x), {"again": reused})
        with torch.compiler.set_stance("force_eager"):
            Inference(InferenceSettings(device="cpu", compile="default")).prepare(nn.Sequential(part), [part])
            first, rest = part(torch.ones(1, 1))
            part(torch.zeros(1, 1))
        assert first.item() == rest["again"].item() == 1.0


class TestCalibration:
    def test_a_known_map_is_found_again(self):
        rng = np.random.default_rng(0)
        score = rng.uniform(0.02, 0.98, 20000)
        correct = rng.random(20000) < confidence(score, 0.6, -0.8)
        slope, offset = fit(score, correct)
        np.testing.assert_allclose([slope, offset], [0.6, -0.8], atol=0.06)
        for low in (0.2, 0.4):  # what is said is what happens
            said = confidence(score, slope, offset)
            chosen = (said > low) & (said < low + 0.2)
            assert abs(said[chosen].mean() - correct[chosen].mean()) < 0.02

    def test_scores_that_separate_give_finite_numbers(self):
        score = np.r_[np.full(50, 0.2), np.full(50, 0.9)]
        slope, offset = fit(score, score > 0.5)
        np.testing.assert_allclose(confidence(np.array([0.2, 0.9]), slope, offset), [1 / 52, 51 / 52], atol=1e-6)

    def test_what_cannot_be_fitted_is_refused(self):
        with pytest.raises(InputError, match="20 correct and 0 wrong"):
            fit(np.full(20, 0.5), np.ones(20, bool))
        with pytest.raises(InputError, match="not better"):
            fit(np.linspace(0.1, 0.9, 40), np.arange(40) < 20)

"""Checkpoints are verified before anything in them is used; what differs is said with both values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from keypoint_core.checkpoint import (
    CARD,
    REFERENCE,
    WEIGHTS,
    Card,
    checkpoint_of_robot,
    load_checkpoint,
    require_trained,
    save_card,
    save_reference,
    sha256,
)
from keypoint_core.errors import CheckpointError, UnknownNameError
from keypoint_core.policies.keypoint_mlp import KeypointMlp, KeypointMlpPolicy, KeypointMlpSettings
from keypoint_core.types import Intrinsics

JOINTS = [f"J{i}" for i in range(1, 7)]
INTRINSICS = Intrinsics(64, 48, 60.0, 61.0, 31.5, 23.5)
SOURCES = Path(__file__).parents[2]


def settings(**changes: Any) -> KeypointMlpSettings:
    fields: dict[str, Any] = {
        "keypoints": 3,
        "joints": 6,
        "history": 2,
        "horizon": 4,
        "dt": 0.05,
        "hidden": 8,
        "layers": 1,
        "focal": 60.0,
        "centre": (31.5, 23.5),
        "joint_centre": (0.0,) * 6,
        "joint_scale": (1.0,) * 6,
        "action_scale": 0.1,
        "gripper_centre": -0.4,
        "gripper_scale": 0.2,
    }
    return KeypointMlpSettings(**{**fields, **changes})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound checkpoint, models/task/method."""
    monkeypatch.setenv("KEYPOINT_MODELS_DIR", str(tmp_path / "models"))
    folder = tmp_path / "models" / "task" / "method"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.3, 2.0, (48, 64)).astype(np.float32)
    depth[:5] = np.nan
    save_reference(folder, rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), depth)
    policy_settings = KeypointMlpPolicy(KeypointMlp(settings())).save(folder / WEIGHTS)
    card = Card(
        task="task",
        method="method",
        policy="keypoint_mlp",
        policy_settings=policy_settings,
        robot="hebi_chopsticks",
        joints=JOINTS,
        intrinsics=INTRINSICS,
        camera_pose=np.eye(4).tolist(),
        camera_rate=15.0,
        keypoint_ids=[4, 5, 9],
        keypoint_pixels=[[1.0, 2.0], [3.5, 4.0], [60.0, 40.0]],
    )
    save_card(folder, card)
    return folder


@pytest.fixture
def edit(folder: Path) -> Callable[[Callable[[dict[str, Any]], object]], None]:
    def edit(change: Callable[[dict[str, Any]], object]) -> None:
        data = yaml.safe_load((folder / CARD).read_text())
        change(data)
        (folder / CARD).write_text(yaml.safe_dump(data))

    return edit


class TestSound:
    @pytest.mark.parametrize("name", ["task/method", "models/task/method"])
    def test_it_is_found_by_its_name_and_by_its_path(
        self, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        card = load_checkpoint(name).card
        assert card.joints == JOINTS and card.intrinsics == INTRINSICS
        assert load_checkpoint(folder).card == card

    def test_the_reference_comes_back(self, folder: Path) -> None:
        reference = load_checkpoint(folder).reference()
        rng = np.random.default_rng(0)
        depth = rng.uniform(0.3, 2.0, (48, 64)).astype(np.float32)
        np.testing.assert_array_equal(reference.color, rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        assert reference.depth is not None and np.isnan(reference.depth[:5]).all()
        np.testing.assert_allclose(reference.depth[5:], depth[5:], atol=0.0006)
        assert reference.ids.tolist() == [4, 5, 9] and reference.pixels[1].tolist() == [3.5, 4.0]

    def test_the_policy_loads(self, folder: Path) -> None:
        policy = load_checkpoint(folder).load_policy()
        assert isinstance(policy, KeypointMlpPolicy) and policy.settings == settings()

    def test_distortion_survives(self, folder: Path) -> None:
        bent = replace(INTRINSICS, distortion=(0.1, 0.2, 0.0, 0.0, 0.3, 0.0, 0.0, 0.1))
        save_card(folder, replace(load_checkpoint(folder).card, intrinsics=bent))
        assert load_checkpoint(folder).card.intrinsics == bent


class TestDamaged:
    @pytest.mark.parametrize("name", [WEIGHTS, REFERENCE])
    def test_an_altered_file_is_refused_with_both_hashes(self, folder: Path, name: str) -> None:
        expected = sha256(folder / name)
        data = bytearray((folder / name).read_bytes())
        data[-1] ^= 1
        (folder / name).write_bytes(bytes(data))
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(folder)
        assert expected in str(caught.value) and sha256(folder / name) in str(caught.value)
        assert name in str(caught.value)

    def test_a_missing_file_is_named(self, folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        with pytest.raises(CheckpointError, match=re.escape(WEIGHTS)):
            load_checkpoint(folder)

    def test_a_file_without_a_hash_is_refused(self, folder: Path, edit: Callable[..., None]) -> None:
        edit(lambda data: data["files"].pop(WEIGHTS))
        with pytest.raises(CheckpointError, match=f"lacks the hash of {re.escape(WEIGHTS)}"):
            load_checkpoint(folder)

    @pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "..", ".", "", "sub/policy.safetensors"])
    def test_a_card_cannot_name_files_elsewhere(self, folder: Path, edit: Callable[..., None], name: str) -> None:
        (folder.parent / "secret").write_text("s")
        (folder / "sub").mkdir()
        (folder / "sub" / WEIGHTS).write_text("s")
        target = folder / name
        digest = sha256(target) if target.is_file() else "0"
        edit(lambda data: data["files"].update({name: digest}))
        with pytest.raises(CheckpointError, match="which is not there"):
            load_checkpoint(folder)

    @pytest.mark.parametrize(
        "text", ["", "- a\n- b\n", "{", "format: 1\n", "format: 1\ntask: [", "a: &a [*a]\n", "just words", "\x00"]
    )
    def test_a_malformed_card_is_refused_with_its_path(self, folder: Path, text: str) -> None:
        (folder / CARD).write_text(text)
        with pytest.raises(CheckpointError, match=re.escape(CARD)):
            load_checkpoint(folder)

    def test_a_card_that_is_no_text_is_refused(self, folder: Path) -> None:
        (folder / CARD).write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(CheckpointError, match="malformed"):
            load_checkpoint(folder)

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data.update(colour="red"),
            lambda data: data.pop("joints"),
            lambda data: data.pop("files"),
            lambda data: data.update(files=["policy.safetensors"]),
            lambda data: data.update(intrinsics=5),
            lambda data: data["intrinsics"].update(fx=-1.0),
            lambda data: data["intrinsics"].update(distortion=[1.0, 2.0]),
            lambda data: data["intrinsics"].pop("cy"),
        ],
    )
    def test_a_card_with_wrong_fields_is_refused(self, folder: Path, edit: Callable[..., None], change: Any) -> None:
        edit(change)
        with pytest.raises(CheckpointError, match="malformed card"):
            load_checkpoint(folder)

    def test_another_format_is_refused_with_both_numbers(self, folder: Path, edit: Callable[..., None]) -> None:
        edit(lambda data: data.update(format=9))
        with pytest.raises(CheckpointError, match="format 9, this version reads 1"):
            load_checkpoint(folder)

    def test_a_card_cannot_make_python_objects(self, folder: Path) -> None:
        (folder / CARD).write_text("format: !!python/object/apply:os.getpid []\n")
        with pytest.raises(CheckpointError, match="malformed"):
            load_checkpoint(folder)

    def test_a_reference_that_is_no_picture_is_refused(self, folder: Path) -> None:
        (folder / REFERENCE).write_bytes(b"not a picture")
        save_card(folder, load_card(folder))
        with pytest.raises(CheckpointError, match=re.escape(REFERENCE)):
            load_checkpoint(folder).reference()

    def test_an_unknown_checkpoint_lists_the_known_ones(self, folder: Path) -> None:
        with pytest.raises(CheckpointError, match=re.escape("no checkpoint 'task/other'") + ".*task/method"):
            load_checkpoint("task/other")

    def test_an_unknown_policy_lists_the_known_ones(self, folder: Path, edit: Callable[..., None]) -> None:
        edit(lambda data: data.update(policy="magic"))
        with pytest.raises(UnknownNameError, match="unknown policy 'magic'.*keypoint_mlp"):
            load_checkpoint(folder).load_policy()


def load_card(folder: Path) -> Card:
    """The card of a folder whose files were altered on purpose."""
    data = yaml.safe_load((folder / CARD).read_text())
    intrinsics = data.pop("intrinsics")
    return Card(intrinsics=Intrinsics(**{**intrinsics, "distortion": tuple(intrinsics["distortion"])}), **data)


class TestWeights:
    @pytest.mark.parametrize(
        "changes",
        [
            {"hidden": 9},
            {"layers": 2},
            {"history": 3},
            {"horizon": 5},
            {"hidden": -1},
            {"hidden": "many"},
            {"joints": 5},
            {"unheard_of": 1},
        ],
    )
    def test_weights_that_do_not_fit_the_settings_are_refused(
        self, folder: Path, edit: Callable[..., None], changes: dict[str, Any]
    ) -> None:
        edit(lambda data: data["policy_settings"].update(changes))
        with pytest.raises(CheckpointError, match="do not fit"):
            load_checkpoint(folder).load_policy()

    def test_settings_that_lack_something_are_refused(self, folder: Path, edit: Callable[..., None]) -> None:
        edit(lambda data: data["policy_settings"].pop("dt"))
        with pytest.raises(CheckpointError, match="dt"):
            load_checkpoint(folder).load_policy()

    def test_a_pickle_in_place_of_the_weights_is_refused(self, folder: Path) -> None:
        torch = pytest.importorskip("torch")
        torch.save({"a": torch.zeros(2)}, folder / WEIGHTS)
        save_card(folder, load_card(folder))
        with pytest.raises(CheckpointError, match="do not fit"):
            load_checkpoint(folder).load_policy()


class TestFit:
    def test_what_the_card_says_passes(self, folder: Path) -> None:
        checkpoint = load_checkpoint(folder)
        checkpoint.require_joints(list(JOINTS))
        checkpoint.require_camera(INTRINSICS)
        checkpoint.require_camera(replace(INTRINSICS, fx=61.0, cx=32.5))
        checkpoint.require_rate(15.0)
        checkpoint.require_rate(14.9)

    @pytest.mark.parametrize("joints", [JOINTS[:5], [*JOINTS, "J7"], JOINTS[::-1], []])
    def test_other_joints_are_refused_with_both(self, folder: Path, joints: list[str]) -> None:
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(folder).require_joints(joints)
        assert str(JOINTS) in str(caught.value) and str(joints) in str(caught.value)
        assert "6 joints" in str(caught.value) and f"has {len(joints)}" in str(caught.value)

    def test_another_image_size_is_refused_with_both(self, folder: Path) -> None:
        with pytest.raises(CheckpointError, match=r"64x48.*1280x720"):
            load_checkpoint(folder).require_camera(Intrinsics(1280, 720, 60.0, 61.0, 31.5, 23.5))

    @pytest.mark.parametrize(("name", "value"), [("fx", 50.0), ("fy", 70.0), ("cx", 28.5), ("cy", 33.5)])
    def test_other_intrinsics_are_refused_with_both(self, folder: Path, name: str, value: float) -> None:
        with pytest.raises(CheckpointError, match=f"{name} {getattr(INTRINSICS, name)} px.*{value} px"):
            load_checkpoint(folder).require_camera(replace(INTRINSICS, **{name: value}))

    @pytest.mark.parametrize("rate", [30.0, 5.0, 0.0])
    def test_another_rate_is_refused_with_both(self, folder: Path, rate: float) -> None:
        with pytest.raises(CheckpointError, match=f"15 frames/s.*runs at {rate:g}"):
            load_checkpoint(folder).require_rate(rate)


def test_nothing_in_the_stack_unpickles() -> None:
    forbidden = re.compile(
        r"import pickle|pickle\.load|torch\.load\(|allow_pickle=True|joblib|yaml\.(unsafe_|full_)?load\(|\beval\(\""
    )
    files = [path for path in SOURCES.glob("*/keypoint_*/**/*.py")]
    assert len(files) > 50
    tensors_alone = re.compile(r"torch\.load\([^()]*weights_only=True\)")  # of upstream's trackers; builds no objects
    texts = {str(path): tensors_alone.sub("", path.read_text()) for path in files}
    assert [path for path, text in texts.items() if forbidden.search(text)] == []


def test_every_robot_has_its_own() -> None:
    assert checkpoint_of_robot("task/method", "hebi") == checkpoint_of_robot("task/method", "hebi_chopsticks")
    assert checkpoint_of_robot("task/method", "hebi") == "task/method"
    assert checkpoint_of_robot("task/method", "franka") == "task/method_franka"


def test_one_that_nobody_trained_names_the_command(folder: Path, tmp_path: Path) -> None:
    require_trained("task/method", "task", "hebi_chopsticks", tmp_path / "models")
    with pytest.raises(CheckpointError, match="no checkpoint 'task/method_franka'.*make train TASK=task ROBOT=franka"):
        require_trained("task/method_franka", "task", "franka", tmp_path / "models")

"""Checkpoints: a folder with a card, weights as safetensors, and the reference view. Nothing in it can execute code.

    card.yaml  policy.safetensors  reference.png (colour)  reference_depth.png (16 bit, mm, 0 invalid)

The card states the SHA-256 of every other file; loading verifies them before anything is parsed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CheckpointError
from keypoint_core.policies import POLICIES
from keypoint_core.protocols import Policy
from keypoint_core.types import Intrinsics

FORMAT = 1
CARD = "card.yaml"
WEIGHTS = "policy.safetensors"
REFERENCE = "reference.png"
REFERENCE_DEPTH = "reference_depth.png"
_INTRINSICS_TOLERANCE = 0.03  # share; the pixels a policy was trained on move by less than its track noise


@dataclass(frozen=True)
class Card:
    """What is known about a checkpoint.

    Attributes:
        task, method: what it does and how it was trained.
        policy: name of the policy back end, and its settings.
        robot: name of the arm; joints: names of its D joints, base to tool.
        intrinsics: of the camera it was trained for.
        camera_pose: [4, 4] colour optical frame in the arm's base frame, row by row.
        camera_rate: frames per second.
        keypoint_ids, keypoint_pixels: N ids and their (u, v) in the reference view.
        licence: SPDX id of the weights.
        training: command, seed and data that made it.
        metrics: what it scores, each with command, seeds and interval.
        files: file name -> SHA-256.
    """

    task: str
    method: str
    policy: str
    policy_settings: dict[str, Any]
    robot: str
    joints: list[str]
    intrinsics: Intrinsics
    camera_pose: list[list[float]]
    camera_rate: float
    keypoint_ids: list[int]
    keypoint_pixels: list[list[float]]
    licence: str = "Apache-2.0"
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


class Checkpoint:
    """A verified checkpoint folder."""

    def __init__(self, folder: Path, card: Card) -> None:
        self.folder = folder
        self.card = card

    def reference(self) -> Reference:
        """The reference view with its keypoints."""
        color = cv2.imread(str(self.folder / REFERENCE), cv2.IMREAD_COLOR)
        depth = cv2.imread(str(self.folder / REFERENCE_DEPTH), cv2.IMREAD_UNCHANGED)
        if color is None or depth is None or depth.dtype != np.uint16:
            raise CheckpointError(f"{self.folder}: expected an 8-bit colour {REFERENCE} and a 16-bit {REFERENCE_DEPTH}")
        metres = np.where(depth > 0, depth.astype(np.float32) * np.float32(1e-3), np.float32(np.nan))
        return Reference(
            color=cv2.cvtColor(color, cv2.COLOR_BGR2RGB).astype(np.uint8),
            depth=metres.astype(np.float32),
            intrinsics=self.card.intrinsics,
            ids=np.array(self.card.keypoint_ids, dtype=np.int32),
            pixels=np.array(self.card.keypoint_pixels, dtype=np.float32).reshape(-1, 2),
        )

    def load_policy(self) -> Policy:
        """The policy with its weights."""
        policy: Policy = POLICIES.load(self.card.policy).load(self.folder / WEIGHTS, self.card.policy_settings)
        return policy

    def require_joints(self, joints: list[str]) -> None:
        """Raises CheckpointError when the arm's joints are not those of the card."""
        if joints != self.card.joints:
            raise CheckpointError(
                f"{self.folder.name}: trained for {len(self.card.joints)} joints {self.card.joints}, this arm has {len(joints)}: {joints}"
            )

    def require_camera(self, intrinsics: Intrinsics) -> None:
        """Raises CheckpointError when the camera's image size or intrinsics are not those of the card."""
        trained = self.card.intrinsics
        if (intrinsics.width, intrinsics.height) != (trained.width, trained.height):
            raise CheckpointError(
                f"{self.folder.name}: trained on {trained.width}x{trained.height} images, this camera gives "
                f"{intrinsics.width}x{intrinsics.height}; set the camera's region of interest"
            )
        for name in ("fx", "fy", "cx", "cy"):
            expected, found = getattr(trained, name), getattr(intrinsics, name)
            if abs(found - expected) > _INTRINSICS_TOLERANCE * trained.fx:
                raise CheckpointError(
                    f"{self.folder.name}: trained with {name} {expected:.1f} px, this camera has {found:.1f} px"
                )

    def require_rate(self, rate: float) -> None:
        """Raises CheckpointError when the camera's rate [1/s] is not that of the card."""
        if abs(rate - self.card.camera_rate) > 0.1 * self.card.camera_rate:
            raise CheckpointError(
                f"{self.folder.name}: trained at {self.card.camera_rate:g} frames/s, this camera runs at {rate:g}"
            )


def models_folder() -> Path:
    """`$KEYPOINT_MODELS_DIR`, else `models` in the current directory."""
    return Path(os.environ.get("KEYPOINT_MODELS_DIR", "models"))


def checkpoint_of_robot(name: str, robot: str, seed: int = 0) -> str:
    """A checkpoint's name: `<task>/<method>`, `_<robot>` behind it for others than the default, and `_seed<k>` but for 0.

    Args:
        name: `<task>/<method>`.
        robot: name of the arm.
        seed: of the training.
    """
    robot = robot_name(robot)
    return name + (f"_{robot}" if robot != DEFAULT_ROBOT else "") + (f"_seed{seed}" if seed else "")


def require_trained(name: str, task: str, robot: str, models: Path) -> None:
    """Raises CheckpointError, with the command that trains one, when the models folder lacks a task's checkpoint."""
    if not (models / name / CARD).is_file():
        raise CheckpointError(
            f"no checkpoint '{name}' in {models}: nobody has trained the task '{task}' for the robot '{robot}' yet; "
            f"run: make train TASK={task} ROBOT={robot}"
        )


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Args:
        path: of the folder; a relative one is looked for in the current directory, then in the models folder.

    Raises:
        CheckpointError: there is none (the message lists those there are), a file is missing or was altered, or the
            card is malformed.
    """
    folder = _find(Path(path))
    card = _read_card(folder / CARD)
    for name, expected in card.files.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise CheckpointError(f"{folder}: the card names the file '{name}', which is not there")
        found = sha256(folder / name)
        if found != expected:
            raise CheckpointError(f"{folder / name}: the card says SHA-256 {expected}, the file has {found}")
    missing = {WEIGHTS, REFERENCE, REFERENCE_DEPTH} - set(card.files)
    if missing:
        raise CheckpointError(f"{folder / CARD}: lacks the hash of {', '.join(sorted(missing))}")
    return Checkpoint(folder, card)


def save_card(folder: Path, card: Card) -> Card:
    """Writes the card with the hashes of the files that lie in the folder, and returns it."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix in (".safetensors", ".png"))
    data = asdict(card)
    data["files"] = {name: sha256(folder / name) for name in names}
    data["intrinsics"]["distortion"] = list(card.intrinsics.distortion)
    (folder / CARD).write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=120))
    return _read_card(folder / CARD)


def save_reference(folder: Path, color: np.ndarray[Any, Any], depth: np.ndarray[Any, Any]) -> None:
    """Writes the reference view: color [H, W, 3] uint8 RGB, depth [H, W] float32 [m], NaN invalid."""
    millimetres = np.nan_to_num(np.round(depth * 1e3), nan=0.0).clip(0, 65535).astype(np.uint16)
    cv2.imwrite(str(folder / REFERENCE), cv2.cvtColor(color, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / REFERENCE_DEPTH), millimetres)


def sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _find(path: Path) -> Path:
    for folder in (path, models_folder() / path):
        if (folder / CARD).is_file():
            return folder
    known = sorted(str(card.parent.relative_to(models_folder())) for card in models_folder().glob(f"*/*/{CARD}"))
    raise CheckpointError(
        f"no checkpoint '{path}' (no {CARD}); known in {models_folder()}: {', '.join(known) or 'none'}"
    )


def _read_card(path: Path) -> Card:
    try:
        data = yaml.safe_load(path.read_text())
        if data.get("format") != FORMAT:
            raise CheckpointError(f"{path}: format {data.get('format')}, this version reads {FORMAT}")
        intrinsics = dict(data.pop("intrinsics"))
        intrinsics["distortion"] = tuple(intrinsics.get("distortion", ()))
        data["files"] = {str(name): str(digest) for name, digest in data["files"].items()}
        return Card(intrinsics=Intrinsics(**intrinsics), **data)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: malformed card: {error}") from error

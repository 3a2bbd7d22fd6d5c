"""From a run folder to a checkpoint that deployment loads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoint_core.checkpoint import CARD, WEIGHTS, Card, save_card, save_reference
from keypoint_core.policies.image_mlp import ImageMlpPolicy
from keypoint_core.policies.keypoint_mlp import KeypointMlpPolicy
from keypoint_core.types import Float32, Float64, Frame, Intrinsics
from keypoint_sim.world import World
from keypoint_training.settings import TrainSettings


def camera_in_base(world: World) -> Float64:
    """Pose [4, 4] of the deployed camera's optical frame in the arm's base frame, whose axes are the world's."""
    pose = world.camera_pose.copy()
    pose[:3, 3] -= np.array(world.robot.base)
    return pose


@dataclass(frozen=True)
class Rig:
    """The arm and the camera that a checkpoint is made for.

    Attributes:
        joints: D names, base to tool.
        intrinsics: of the camera.
        camera_pose: [4, 4] its colour optical frame in the arm's base frame.
        camera_rate: frames per second.
    """

    joints: list[str]
    intrinsics: Intrinsics
    camera_pose: Float64
    camera_rate: float


def rig_of(world: World) -> Rig:
    """The arm and the camera of a simulated world."""
    return Rig(world.arm.joint_names, world.camera.intrinsics, camera_in_base(world), float(world.timing.camera_rate))


def export_checkpoint(
    folder: Path,
    rig: Rig,
    reference: Frame,
    pixels: Float32,
    policy: KeypointMlpPolicy | ImageMlpPolicy,
    settings: TrainSettings,
    training: dict[str, Any],
    metrics: dict[str, Any],
    method: str,
) -> Card:
    """Writes weights, reference view and card; replaces a checkpoint that is there, and no other file.

    Args:
        folder: of the checkpoint.
        rig: that it is for.
        reference: view that the keypoints were chosen on, with depth where that is known.
        pixels: [N, 2] keypoints in it; none for policies that look at pictures.
        policy: trained.
        settings: of the run.
        training, metrics: for the card.
        method: for the card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.safetensors"), *folder.glob("*.png"), *folder.glob(CARD)):
        old.unlink()
    policy_settings = policy.save(folder / WEIGHTS)
    depth = np.full(reference.color.shape[:2], np.nan) if reference.depth is None else reference.depth
    save_reference(folder, reference.color, depth)
    card = Card(
        task=settings.task,
        method=method,
        policy="keypoint_mlp" if isinstance(policy, KeypointMlpPolicy) else "image_mlp",
        policy_settings=policy_settings,
        robot=settings.robot,
        joints=rig.joints,
        intrinsics=rig.intrinsics,
        camera_pose=[[round(float(value), 6) for value in row] for row in rig.camera_pose],
        camera_rate=rig.camera_rate,
        keypoint_ids=list(range(len(pixels))),
        keypoint_pixels=[[float(u), float(v)] for u, v in pixels],
        training={**training, "settings": asdict(settings)},
        metrics=metrics,
    )
    return save_card(folder, card)

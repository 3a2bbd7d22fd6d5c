"""Demonstrations from bags: what a policy would have seen, and what the demonstrator did. Needs no ROS.

A demonstration is a bag of these topics, as the recorder writes them; who moved the arm (a person's hand, a joystick, a
script) does not matter.

    camera/color/image_raw/compressed        JPEG
    camera/color/camera_info
    camera/depth_registered/image_raw        registered to colour, of the same stamps
    joint_states                             the arm's joints by name, and the gripper's as the one other name
    policy/action                            optional: at every frame, and of its stamp, what the demonstrator wants
    trial/state                              optional: only frames in the phase ACT count
    task/status                              optional: whether it succeeded

Where there are no such actions, as when an arm is led by the hand, he wanted it to be where it was a little later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keypoint_core.types import SECOND, Float64, Frame, Intrinsics
from keypoint_trials.bag import BagError
from keypoint_trials.images import decode_jpeg
from keypoint_trials.reader import TrialBag, iterate_depth, read_trial

ACT = 5  # TrialState.PHASE_ACT
SUCCESS = 1  # TaskStatus.SUCCESS
FEWEST = 10  # frames of a demonstration


@dataclass(frozen=True)
class Demonstration:
    """F frames of one bag and what was done from each.

    Attributes:
        folder: of the bag.
        intrinsics: of the camera.
        stamps: [F] int64, exposures [ns].
        joints: [F, D] float64 [rad], measured at the exposures.
        opening: [F] float64, the gripper as measured, driver's unit; NaN without one.
        targets: [F, T, D] float64 [rad], where the arm should be afterwards, every `dt`.
        gripper: [F, T] float64, the same of the gripper.
        succeeded: as the bag says; None where it does not.
    """

    folder: Path
    intrinsics: Intrinsics
    stamps: NDArray[np.int64]
    joints: Float64
    opening: Float64
    targets: Float64
    gripper: Float64
    succeeded: bool | None
    _files: dict[int, NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def rate(self) -> float:
        """Frames per second."""
        return float(SECOND * (len(self) - 1) / (self.stamps[-1] - self.stamps[0]))

    def frames(self) -> Iterator[Frame]:
        """The F frames with colour and depth, one after another."""
        wanted = set(self.stamps.tolist())
        for stamp, depth in iterate_depth(self.folder):
            if stamp in wanted:
                yield Frame(stamp, decode_jpeg(self._files[stamp]), depth, self.intrinsics)


def read_demonstration(folder: Path, joint_names: Sequence[str], horizon: int, dt: float) -> Demonstration:
    """Reads one bag.

    Args:
        folder: of the bag.
        joint_names: D names of the arm's joints, base to tool.
        horizon: T targets from every frame.
        dt: time between them [s].

    Raises:
        BagError: it is no bag, lacks a topic or a joint, or holds fewer than FEWEST whole frames.
    """
    bag = read_trial(folder)
    intrinsics = bag.intrinsics
    if intrinsics is None:
        raise BagError(f"{folder}: no camera/color/camera_info; record it along, the policy needs to know its camera")
    moments, joints, grip = _motion(bag, joint_names)
    depths = {stamp for stamp, _ in iterate_depth(folder)}
    files = dict(zip(bag.frames.stamps.tolist(), bag.frames.files, strict=True))
    begin, end = _acting(bag)
    first, last = max(begin, int(moments[0])), min(end, int(moments[-1]))
    stamps = np.array(sorted(stamp for stamp in files if stamp in depths and first <= stamp <= last), dtype=np.int64)
    if len(stamps) < FEWEST:
        raise BagError(
            f"{folder}: {len(stamps)} frames with colour, depth and joint states in the phase ACT, {FEWEST} needed; "
            f"it holds {len(files)} colour and {len(depths)} depth images and {len(moments)} joint states"
        )
    later = stamps[:, None] + np.round((np.arange(horizon) + 1) * dt * SECOND).astype(np.int64)
    wanted = _actions(bag, stamps, len(joint_names), horizon, dt)
    if wanted is None:
        wanted = _at(later, moments, joints), _at(later, moments, grip[:, None])[..., 0]
    verdicts = [sample.outcome for sample in bag.tasks if sample.outcome]
    return Demonstration(
        folder=folder,
        intrinsics=intrinsics,
        stamps=stamps,
        joints=_at(stamps, moments, joints),
        opening=_at(stamps, moments, grip[:, None])[..., 0],
        targets=wanted[0],
        gripper=wanted[1],
        succeeded=verdicts[-1] == SUCCESS if verdicts else None,
        _files={stamp: files[stamp] for stamp in stamps.tolist()},
    )


def find_demonstrations(folder: Path) -> list[Path]:
    """Bags in a folder, by name; the folder itself where it is one. Raises BagError when there is none."""
    if (folder / "metadata.yaml").is_file():
        return [folder]
    bags = sorted(path.parent for path in folder.glob("*/metadata.yaml"))
    if not bags:
        raise BagError(f"{folder} holds no bags (folders with a metadata.yaml); record demonstrations first")
    return bags


def _motion(bag: TrialBag, joint_names: Sequence[str]) -> tuple[NDArray[np.int64], Float64, Float64]:
    """Stamps [K], joints [K, D] and gripper [K] of joint_states, in order."""
    samples = bag.joints
    missing = [name for name in joint_names if name not in samples.names]
    if missing or not len(samples.stamps):
        said = ", ".join(samples.names) or "nothing"
        raise BagError(f"{bag.folder}: joint_states lack {', '.join(missing)}; they hold {said}")
    order = np.unique(samples.stamps, return_index=True)[1]
    columns = [samples.names.index(name) for name in joint_names]
    others = [i for i, name in enumerate(samples.names) if name not in joint_names]
    joints = samples.position[order][:, columns]
    grip = samples.position[order, others[0]] if len(others) == 1 else np.full(len(order), np.nan)
    return samples.stamps[order], joints, grip


def _actions(
    bag: TrialBag, stamps: NDArray[np.int64], joints: int, horizon: int, dt: float
) -> tuple[Float64, Float64] | None:
    """Targets [F, T, D] and gripper [F, T] of the actions of those stamps; None unless every frame has a whole one."""
    chunks = {chunk.stamp: chunk for chunk in bag.actions}
    found = [chunks[stamp] for stamp in stamps.tolist() if stamp in chunks]
    fit = all(len(chunk.positions) >= horizon and abs(chunk.dt - dt) < 0.01 * dt for chunk in found)
    if len(found) < len(stamps) or not fit:
        return None
    rows = np.stack([np.column_stack([chunk.positions, chunk.gripper])[:horizon] for chunk in found])
    return rows[..., :joints], rows[..., joints]


def _acting(bag: TrialBag) -> tuple[int, int]:
    """Stamps [ns] between which the demonstrator acts: the phase ACT, or everything."""
    acting = [sample.stamp for sample in bag.states if sample.phase == ACT]
    if not acting:
        return 0, np.iinfo(np.int64).max
    after = [sample.stamp for sample in bag.states if sample.phase != ACT and sample.stamp >= acting[-1]]
    return acting[0], min(after, default=np.iinfo(np.int64).max)


def _at(when: NDArray[np.int64], moments: NDArray[np.int64], values: Float64) -> Float64:
    """[..., D] values [K, D] of those moments [K] at other times [...]; the last ones stay."""
    flat = [np.interp(when.ravel(), moments, column).reshape(when.shape) for column in values.T]
    return np.stack(flat, axis=-1)

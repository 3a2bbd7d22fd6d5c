"""Recorded episodes with their truth: what a tracker is measured on.

The scripted expert acts, so the arm comes between camera and object; frames are those of the deployed camera (15 Hz,
640x480, with the sensor's noise). An episode is a function of (task, robot, condition, seed, settings) alone. It is a
folder `<root>/<task>/<robot>/<condition>/<seed>-<settings>`, which is made once and then reused:

    episode.json    format, request, intrinsics, outcome of the expert's trial, revision that made it
    truth.npz       stamps            [T] int64         exposures [ns]
                    pixels            [T, N, 2] float64 exact (u, v), also of hidden points and beyond the image's edge
                    visible           [T, N] bool       in the image, and nothing in between
                    points            [T, N, 3] float64 in the colour optical frame [m]
                    camera_poses      [T, 4, 4] float64 colour optical frame in the world
                    bodies            [N] str           body that the point is fixed to
                    rigid             [N] int32         points of one number move as one rigid body
                    reference_pixels  [N, 2] float32    where the point was picked, in the reference view
    color/0000.png  8-bit colour, lossless
    depth/0000.png  16-bit depth [mm], 0 where invalid

A tracker is started in frame 0 on the points that are visible there (`queries`); the others are not measured.

    episode = load_episode(path)
    tracker.start(episode.frame(0), episode.pixels[0, episode.queries].astype("float32"))
    for frame in episode: ...                              # all T frames, the first one included

Units: metres, pixels in the pixel-centre convention, nanoseconds.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keypoint_core.arms.description import DEFAULT_ROBOT
from keypoint_core.errors import InputError
from keypoint_core.runs import git_revision
from keypoint_core.types import Float32, Float64, Frame, Intrinsics
from keypoint_trials.quality.points import POINTS

FORMAT = 1  # of the folder and of what a seed means; other formats are refused
RECORD, TRUTH = "episode.json", "truth.npz"


@dataclass(frozen=True)
class EpisodeSettings:
    """What is recorded.

    Attributes:
        points: that are followed.
        frames: at most.
        sheet: time that a sheet hides the object completely [s]; 0 for no sheet.
    """

    points: int = POINTS
    frames: int = 90
    sheet: float = 0.0

    def __post_init__(self) -> None:
        if self.points < 1 or self.frames < 2 or not 0 <= self.sheet <= 60:
            raise InputError(f"an episode needs points >= 1, frames >= 2 and a sheet of 0..60 s, got {self}")

    @property
    def name(self) -> str:
        """For folders."""
        return f"p{self.points}-f{self.frames}" + (f"-sheet{self.sheet:g}" if self.sheet else "")


@dataclass(frozen=True)
class EpisodeRequest:
    """All that an episode depends on."""

    task: str
    condition: str
    seed: int
    robot: str = DEFAULT_ROBOT
    settings: EpisodeSettings = field(default_factory=EpisodeSettings)

    def folder(self, root: Path) -> Path:
        """Where the episode lies below a cache's root."""
        return root / self.task / self.robot / self.condition.lower() / f"{self.seed}-{self.settings.name}"

    @property
    def title(self) -> str:
        """The condition, with the sheet where there is one."""
        return self.condition.lower() + ("+sheet" if self.settings.sheet else "")


@dataclass(frozen=True)
class Truth:
    """Everything exact about T frames and N points; shapes and units in the module's docstring."""

    stamps: NDArray[np.int64]
    pixels: Float64
    visible: NDArray[np.bool_]
    points: Float64
    camera_poses: Float64
    bodies: NDArray[np.str_]
    rigid: NDArray[np.int32]
    reference_pixels: Float32


class Episode:
    """A recorded episode; frames are read from disk when they are asked for.

    Attributes:
        path: of its folder.
        request: that made it.
        intrinsics: of the camera.
        outcome: of the expert's trial: "running", "success" or "failure".
        truth: see `Truth`; its arrays are attributes of the episode too.
    """

    def __init__(self, path: Path, request: EpisodeRequest, intrinsics: Intrinsics, outcome: str, truth: Truth) -> None:
        self.path, self.request, self.intrinsics = path, request, intrinsics
        self.outcome, self.truth = outcome, truth
        self.stamps, self.pixels, self.visible = truth.stamps, truth.pixels, truth.visible
        self.points, self.bodies, self.rigid = truth.points, truth.bodies, truth.rigid
        self.camera_poses, self.reference_pixels = truth.camera_poses, truth.reference_pixels

    def __len__(self) -> int:
        return len(self.stamps)

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(index) for index in range(len(self)))

    @property
    def queries(self) -> NDArray[np.intp]:
        """[Q] indices of the points that a tracker is started on."""
        return np.flatnonzero(self.visible[0])

    def frame(self, index: int) -> Frame:
        """One frame, as the camera gave it.

        Raises:
            InputError: its pictures are missing or damaged.
        """
        color = cv2.imread(str(self.path / "color" / f"{index:04d}.png"), cv2.IMREAD_COLOR)
        depth = cv2.imread(str(self.path / "depth" / f"{index:04d}.png"), cv2.IMREAD_UNCHANGED)
        if color is None or depth is None:
            raise InputError(f"{self.path}: frame {index} is missing or damaged; remove the folder and record it again")
        metres = np.where(depth > 0, depth.astype(np.float32) * np.float32(1e-3), np.float32(np.nan))
        rgb = np.asarray(cv2.cvtColor(color, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return Frame(int(self.stamps[index]), rgb, metres, self.intrinsics)


def load_episode(path: Path | str) -> Episode:
    """Opens a recorded episode.

    Raises:
        InputError: there is none, or of another format.
    """
    path = Path(path)
    try:
        record = json.loads((path / RECORD).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path} holds no recorded episode ({error}); make track-quality records them") from error
    if record.get("format") != FORMAT:
        raise InputError(
            f"{path} is of format {record.get('format')}, expected {FORMAT}; remove it and record it again"
        )
    request = EpisodeRequest(**{**record["request"], "settings": EpisodeSettings(**record["request"]["settings"])})
    camera = {**record["intrinsics"], "distortion": tuple(record["intrinsics"]["distortion"])}
    with np.load(path / TRUTH, allow_pickle=False) as arrays:
        truth = Truth(**{name: arrays[name] for name in Truth.__dataclass_fields__})
    return Episode(path, request, Intrinsics(**camera), record["outcome"], truth)


def find_episodes(root: Path | str) -> list[Path]:
    """The folders of all episodes below a root, in order of their names."""
    return sorted(path.parent for path in Path(root).rglob(RECORD) if not path.parent.name.startswith("."))


def save_episode(root: Path, request: EpisodeRequest, frames: Iterable[Frame], truth: Truth, outcome: str) -> Path:
    """Writes an episode; it appears under its name when it is complete, so that a killed recording leaves none."""
    folder = request.folder(root)
    draft = folder.with_name(f".{folder.name}-{os.getpid()}")
    for left in folder.parent.glob(f".{folder.name}-*"):
        if not _alive(int(left.name.rsplit("-", 1)[1])):  # of a recording that was killed
            shutil.rmtree(left)
    for name in ("color", "depth"):
        (draft / name).mkdir(parents=True)
    for index, frame in enumerate(frames):
        _write(draft / "color" / f"{index:04d}.png", np.ascontiguousarray(frame.color[..., ::-1]))
        _write(draft / "depth" / f"{index:04d}.png", millimetres(frame.depth))
    np.savez(draft / TRUTH, **vars(truth))
    record = {
        "format": FORMAT,
        "request": asdict(request),
        "intrinsics": asdict(frame.intrinsics),
        "frames": len(truth.stamps),
        "outcome": outcome,
        "git": git_revision(),
    }
    (draft / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    try:
        os.rename(draft, folder)
    except OSError:  # somebody else was faster, with the same bits
        shutil.rmtree(draft)
        load_episode(folder)
    return folder


def millimetres(depth: Float32 | None) -> NDArray[np.uint16]:
    """[H, W] uint16, 0 where invalid or beyond 65 m.

    Raises:
        InputError: there is no depth.
    """
    if depth is None:
        raise InputError("an episode is recorded with depth, this frame has none")
    value = np.nan_to_num(depth * 1e3, nan=0.0, posinf=0.0, neginf=0.0)
    return np.where((value > 0) & (value < 65535), np.round(value), 0).astype(np.uint16)


def _alive(process: int) -> bool:
    """Whether another process of that number runs."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(path: Path, image: NDArray[Any]) -> None:
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
        raise OSError(f"could not write {path}")

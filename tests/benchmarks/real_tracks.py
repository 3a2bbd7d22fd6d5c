"""Trackers on real pictures with known truth: photographs moved by a known homography, and a fixed camera's video.

The pictures are those of Debian's package opencv-doc (or any folder given); without them there is nothing to measure,
and the command says so. Photographs turn by up to 25 degrees, grow and shrink by a quarter, tilt, get lighter and
darker, with noise of 3 levels; a piece of another photograph passes in front and rests there for 2 s. In the video,
of pedestrians, the truth of whatever stands still is its own pixel; it counts as hidden while it looks different.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.errors import KeypointError, TrackingError
from keypoint_core.overlay import Trails, draw
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.tracking import TRACKERS
from keypoint_core.types import Frame, Keypoints
from keypoint_trials.console import make_console
from keypoint_trials.picture_source import PictureSource, nominal_intrinsics, read_picture
from keypoint_trials.quality.metrics import redetection, silent_failures, tap_vid
from keypoint_trials.video_report import ContactSheet

FOLDER = Path("/usr/share/doc/opencv-doc/examples/data")
PHOTOS = ("graf1.png", "home.jpg", "fruits.jpg", "aloeL.jpg", "leuvenA.jpg", "board.jpg", "stuff.jpg", "baboon.jpg")
VIDEO = "vtest.avi"
SIZE = (640, 480)
PERIOD = 1_000_000_000 // 15  # [ns]
FRAMES, POINTS = 120, 16
ALIKE = 14.0  # mean difference of a patch [levels] up to which a still point of the video is not hidden


@dataclass(frozen=True)
class Clip:
    """Frames with truth.

    Attributes:
        name: for people.
        frames: T of them.
        truth: [T, N, 2] pixels.
        visible: [T, N].
    """

    name: str
    frames: list[Frame]
    truth: np.ndarray
    visible: np.ndarray


def to_frames(pictures: list[np.ndarray]) -> list[Frame]:
    height, width = pictures[0].shape[:2]
    return [Frame(i * PERIOD, image, None, nominal_intrinsics(width, height)) for i, image in enumerate(pictures)]


def moving_photo(path: Path, other: Path, seed: int) -> Clip:
    """A photograph as a camera that moves about would see it."""
    rng = np.random.default_rng(seed)
    photo, cover = fitted(read_picture(path), 1000), fitted(read_picture(other), 400)[:260, :200]
    phases = rng.uniform(0.5, 1.5, 6) * rng.choice([-1, 1], 6)
    motions = [motion(i / 15, phases, photo.shape) for i in range(FRAMES)]
    first = cv2.warpPerspective(photo, motions[0], SIZE)
    mask = np.zeros(first.shape[:2], np.uint8)
    mask[90:390, 120:520] = 1
    start = spread_corners(first, mask, POINTS)
    pictures, truth, visible = [], [], []
    for i, matrix in enumerate(motions):
        shown = cv2.warpPerspective(photo, matrix, SIZE, flags=cv2.INTER_AREA, borderValue=(90, 90, 90))
        pixels = cv2.perspectiveTransform(start[None], matrix @ np.linalg.inv(motions[0]))[0]
        left, top = cover_place(i), 100
        seen = ((pixels >= 0) & (pixels <= [SIZE[0] - 1, SIZE[1] - 1])).all(axis=1)
        seen &= ~((pixels >= [left, top]) & (pixels < [left + cover.shape[1], top + cover.shape[0]])).all(axis=1)
        paste(shown, cover, left, top)
        light = (1 + 0.25 * np.sin(i / 15 * phases[5])) * shown + rng.normal(0, 3, shown.shape)
        pictures.append(np.clip(light, 0, 255).astype(np.uint8))
        truth.append(pixels)
        visible.append(seen)
    return Clip(path.stem, to_frames(pictures), np.array(truth), np.array(visible))


def motion(seconds: float, phases: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[3, 3] photograph to picture: none but the placing at 0 s."""
    turn, grow, tilt_u, tilt_v, shift = np.sin(seconds * phases[:5]) * [0.44, 0.25, 3e-4, 3e-4, 40.0]
    c, s = np.cos(turn) * (1 + grow), np.sin(turn) * (1 + grow)
    centre = np.array([[1, 0, -shape[1] / 2], [0, 1, -shape[0] / 2], [0, 0, 1]])
    back = np.array([[1, 0, SIZE[0] / 2 + shift], [0, 1, SIZE[1] / 2 - shift / 2], [0, 0, 1]])
    return back @ np.array([[c, -s, 0], [s, c, 0], [tilt_u, tilt_v, 1]]) @ centre


def cover_place(index: int) -> int:
    """Left edge of what passes in front: in from the left, 2 s of rest in the middle, out to the right."""
    if index < 50:
        return round(-200 + (index - 30) * 22) if index >= 30 else -1000
    return 240 if index < 80 else 240 + (index - 80) * 22


def paste(image: np.ndarray, cover: np.ndarray, left: int, top: int) -> None:
    a, b = max(0, left), min(image.shape[1], left + cover.shape[1])
    if a < b:
        image[top : top + cover.shape[0], a:b] = cover[:, a - left : b - left]


def fitted(image: np.ndarray, width: int) -> np.ndarray:
    return cv2.resize(image, (width, round(image.shape[0] * width / image.shape[1])), interpolation=cv2.INTER_AREA)


def still_video(path: Path, frames: int) -> Clip:
    """Points of a fixed camera's video that belong to what stands still."""
    pictures = [frame.color for _, frame in zip(range(frames), PictureSource(path), strict=False)]
    usual = np.median(pictures[:: max(1, frames // 40)], axis=0).astype(np.float32)
    blurred = [cv2.GaussianBlur(np.abs(image - usual).mean(axis=2), (0, 0), 4) for image in pictures]
    start = spread_corners(pictures[0], (blurred[0] < ALIKE / 2).astype(np.uint8), 2 * POINTS)
    column, row = start.round().astype(int).T
    visible = np.array([difference[row, column] < ALIKE for difference in blurred])
    return Clip(path.stem, to_frames(pictures), np.repeat(start[None], len(pictures), axis=0), visible)


def follow(tracker, clip: Clip) -> tuple[list[Keypoints], list[float]]:
    """Keypoints and processor seconds of every frame; where the tracker refuses one, those before, lost."""
    results, seconds = [tracker.start(clip.frames[0], clip.truth[0].astype(np.float32))], []
    for frame in clip.frames[1:]:
        begin = time.process_time()
        try:
            results.append(tracker.track(frame))
        except TrackingError as error:
            raise SystemExit(f"{clip.name}: {error}") from error
        seconds.append(time.process_time() - begin)
    return results, seconds


def figures(clip: Clip, results: list[Keypoints], seconds: list[float]) -> dict[str, float]:
    pixels, flags = np.array([k.pixels for k in results]), np.array([k.visible for k in results])
    scores = tap_vid(clip.truth, clip.visible, pixels, flags, clip.frames[0].color.shape[1::-1])
    found = redetection(clip.truth, clip.visible, pixels, flags, np.array([f.stamp for f in clip.frames]))
    silent, total = silent_failures(clip.truth, pixels, flags)
    both = flags[1:] & clip.visible[1:]
    error = np.linalg.norm(pixels - clip.truth, axis=2)[1:][both]
    return {
        "delta_avg": scores.delta_avg,
        "OA": scores.accuracy,
        "AJ": scores.average_jaccard,
        "found_again": found.found / found.events if found.events else float("nan"),
        "silent": silent / total,
        "median_px": float(np.median(error)) if len(error) else float("nan"),
        "p95_px": float(np.percentile(error, 95)) if len(error) else float("nan"),
        "ms": percentiles_ms(seconds)["p50"],
    }


def clips(folder: Path, video_frames: int) -> Iterator[Clip]:
    there = [name for name in PHOTOS if (folder / name).is_file()]
    for index, name in enumerate(there):
        yield moving_photo(folder / name, folder / there[index - 1], index)
    if (folder / VIDEO).is_file():
        yield still_video(folder / VIDEO, video_frames)


def sheet_of(clip: Clip, results: list[Keypoints]) -> np.ndarray | None:
    sheet, trails = ContactSheet(6), Trails()
    for index, (frame, keypoints) in enumerate(zip(clip.frames, results, strict=True)):
        trails.push(keypoints)
        picture = draw(frame.color, keypoints, trails, ids=True)
        off = np.linalg.norm(keypoints.pixels - clip.truth[index], axis=1)
        for i in np.flatnonzero(keypoints.visible & (off > 4)):
            ends = [tuple(int(x) for x in np.round(p)) for p in (keypoints.pixels[i], clip.truth[index, i])]
            cv2.line(picture, *ends, (255, 0, 255), 2, cv2.LINE_AA)
        wrong = int((keypoints.visible & (off > 4)).sum())
        label = f"{clip.name} {index}: {int(keypoints.visible.sum())} flagged, {clip.visible[index].sum()} seen"
        sheet.add(index, picture, f"{label}, {wrong} over 4 px off")
    return sheet.picture()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the pictures")
    parser.add_argument("--tracker", nargs="+", default=["lucas_kanade", "hybrid"])
    parser.add_argument("--video-frames", type=int, default=300)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if not any((options.folder / name).is_file() for name in PHOTOS):
        print(f"skipped: no pictures in {options.folder}; apt-get install opencv-doc, or give --folder")
        return 0
    console, folder, table = make_console(), new_run_folder("real-tracks"), Table(title="trackers on real pictures")
    rows: list[dict[str, object]] = []
    for clip in clips(options.folder, options.video_frames):
        for name in options.tracker:
            try:
                results, seconds = follow(TRACKERS.create(name), clip)
            except KeypointError as error:
                console.print(f"{name} on {clip.name}: {error}")
                continue
            rows.append({"clip": clip.name, "tracker": name, **figures(clip, results, seconds)})
            sheet = sheet_of(clip, results)
            cv2.imwrite(str(folder / f"{clip.name}-{name}.png"), sheet[..., ::-1])
            console.print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()))
    for key in rows[0] if rows else ():
        table.add_column(key, justify="left" if key in ("clip", "tracker") else "right")
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()))
    console.print(table)
    write_summary(folder, mode="in_process", clips=rows)
    console.print(f"{folder}/summary.json and pictures; magenta: over 4 px off")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

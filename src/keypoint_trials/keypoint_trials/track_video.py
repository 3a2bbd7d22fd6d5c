"""Tracks picked points through any video, and shows what became of them: `make track VIDEO=clip.mp4 POINTS=auto`.

    python -m keypoint_trials.track_video --video clip.mp4 --points "320,240 400,250" --tracker lucas_kanade

The video may also be a folder of pictures, or a bag of the recorder. Into the run's folder go `overlay.mp4`,
`tracks.csv`, `sheet.png` and `summary.json`. Frames that the tracker cannot use (blank ones) are skipped with all points
occluded, and counted. Memory does not grow with the length of the video.
"""

from __future__ import annotations

import argparse
import itertools
import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from keypoint_core.errors import InputError, KeypointError, TrackingError
from keypoint_core.frame_health import FrameMonitor
from keypoint_core.overlay import Trails, draw
from keypoint_core.protocols import Tracker
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.tracking import TRACKERS
from keypoint_core.types import SECOND, Frame, Keypoints, KeypointStatus
from keypoint_trials.console import make_console
from keypoint_trials.picked_points import PickedPoints, pick, with_ruler
from keypoint_trials.picture_source import RATE, PictureSource
from keypoint_trials.video import VideoWriter
from keypoint_trials.video_report import ContactSheet, TrackFigures, TrackFile

_JUMP = 1 / 16  # of the image's width: a longer way between two frames is drawn without a line
_LEGIBLE = 640  # [px] width that small videos are brought to for the overlay, by a whole factor
_EVERY = 100  # frames between two lines that say how far it got


@dataclass
class TrackRun:
    """What was tracked, and what went wrong on the way.

    Attributes:
        figures: per point.
        sheet: of pictures.
        wall, processor: what each frame after the first took the tracker [s].
        skipped: reason -> first frame and number of frames that were skipped for it.
        repeats: pictures that were equal to the one before.
        ended: why the video could not be read to its end; empty if it could.
    """

    figures: TrackFigures
    sheet: ContactSheet = field(default_factory=ContactSheet)
    wall: array[float] = field(default_factory=lambda: array("d"))
    processor: array[float] = field(default_factory=lambda: array("d"))
    skipped: dict[str, tuple[int, int]] = field(default_factory=dict)
    repeats: int = 0
    ended: str = ""


def track_points(tracker: Tracker, frames: Iterator[Frame], first: Frame, points: PickedPoints, run: TrackRun) -> Any:
    """Yields each frame with its keypoints, the first one included.

    Args:
        tracker: a fresh one.
        frames: those after the first.
        first: the frame that the points were picked on.
        points: to follow.
        run: is filled with figures on the way.

    Raises:
        TrackingError: the tracker cannot begin on the first frame.
    """
    monitor = FrameMonitor()
    monitor.examine(first)
    keypoints = tracker.start(first, points.pixels, points.ids)
    run.figures.add(keypoints)
    yield first, keypoints
    for index in itertools.count(1):
        try:
            frame = next(frames)
        except StopIteration:
            return
        except InputError as error:
            run.ended = str(error)
            return
        health = monitor.examine(frame)
        run.repeats += health.repeats > 0
        keypoints = _next(tracker, frame, keypoints, health.complaint if health.blank else "", run, index)
        run.figures.add(keypoints)
        yield frame, keypoints


def _next(tracker: Tracker, frame: Frame, before: Keypoints, blank: str, run: TrackRun, index: int) -> Keypoints:
    """Keypoints of the next frame; where it is blank or the tracker refuses it, those before, all occluded."""
    begun = time.perf_counter(), time.process_time()
    reason = blank
    if not blank:
        try:
            keypoints = tracker.track(frame)
            run.wall.append(time.perf_counter() - begun[0])
            run.processor.append(time.process_time() - begun[1])
            return keypoints
        except TrackingError as error:
            reason = str(error)
    start, number = run.skipped.get(reason, (index, 0))
    run.skipped[reason] = (start, number + 1)
    hidden = np.where(before.visible, np.uint8(KeypointStatus.OCCLUDED), before.status)
    return replace(
        before,
        stamp=frame.stamp,
        status=hidden.astype(np.uint8),
        confidence=np.zeros_like(before.confidence),
        points=np.full_like(before.points, np.nan),
    )


def first_frame(source: PictureSource, skip: int) -> tuple[Frame, Iterator[Frame]]:
    """The frame to begin on, and those after it.

    Raises:
        InputError: there is none, or it is blank.
    """
    frames = itertools.islice(iter(source), skip, None)
    frame = next(frames, None)
    if frame is None:
        raise InputError(f"{source.path} has no frame {skip}; begin earlier (START)")
    monitor = FrameMonitor()
    health = monitor.examine(frame)
    if health.blank:
        later = (index for index, other in enumerate(frames, skip + 1) if not monitor.examine(other).blank)
        found = next(later, None)
        hint = "and so are all after it" if found is None else f"the first one after it that is not is START={found}"
        raise InputError(f"frame {skip}: {health.complaint} {hint}")
    return frame, frames


def enlarged(image: NDArray[np.uint8], keypoints: Keypoints) -> tuple[NDArray[np.uint8], Keypoints]:
    """A small picture with its keypoints as many times as large as marks and words need to leave it visible."""
    times = max(1, round(_LEGIBLE / image.shape[1]))
    if times == 1:
        return image, keypoints
    large = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8), replace(
        keypoints, pixels=keypoints.pixels * times + np.float32((times - 1) / 2)
    )


def write_results(
    folder: Path,
    frames: Iterator[tuple[Frame, Keypoints]],
    run: TrackRun,
    options: argparse.Namespace,
    console: Console,
) -> None:
    """Writes video, tracks and sheet while the frames come."""
    with ExitStack() as stack:
        file = stack.enter_context(TrackFile(folder / "tracks.csv"))
        writer: VideoWriter | None = None
        trails = Trails(options.trail)
        for index, (frame, keypoints) in enumerate(frames):
            image, marks = enlarged(frame.color, keypoints)
            if writer is None:
                height, width = image.shape[:2]
                begin = frame.stamp
                trails = Trails(options.trail, jump=width * _JUMP)
                writer = stack.enter_context(VideoWriter(folder / "overlay.mp4", (width, height)))
            trails.push(marks)
            picture = draw(image, marks, trails, ids=True)
            seconds = (frame.stamp - begin) / SECOND
            writer.write(picture, seconds)
            file.write(options.start + index, keypoints)
            visible = f"{int(keypoints.visible.sum())} of {len(keypoints)} visible"
            run.sheet.add(index, picture, f"frame {options.start + index}, {seconds:.2f} s, {visible}")
            if index and index % _EVERY == 0:
                console.print(f"  frame {options.start + index}: {visible}")
    sheet = run.sheet.picture()
    if sheet is not None:
        cv2.imwrite(str(folder / "sheet.png"), sheet[..., ::-1])


def tell(console: Console, run: TrackRun, source: PictureSource, frame: Frame, folder: Path, tracker: str) -> None:
    """Prints the figures."""
    size = f"{frame.intrinsics.width}x{frame.intrinsics.height}"
    console.print(run.figures.table(f"{source.path.name}: {run.figures.frames} frames of {size}, {tracker}"))
    if source.calibration is None:
        console.print(f"no calibration known: took a focal length of {frame.intrinsics.fx:.0f} px")
    if len(run.wall) > 0:
        wall, own = percentiles_ms(run.wall), percentiles_ms(run.processor)
        console.print(
            f"{tracker}: p50 {wall['p50']:.1f} ms, p95 {wall['p95']:.1f} ms per frame "
            f"(processor time {own['p50']:.1f} and {own['p95']:.1f} ms; the first frame left out)"
        )
    for reason, (start, number) in run.skipped.items():
        console.print(f"[yellow]{number} frames skipped, the first is {start}:[/] {reason}")
    if run.repeats:
        console.print(f"[yellow]{run.repeats} frames are equal to the one before[/]")
    if run.ended:
        console.print(f"[red]the video could not be read to its end:[/] {run.ended}")
    console.print(f"{folder}/overlay.mp4, tracks.csv, sheet.png, summary.json")


def summarise(folder: Path, run: TrackRun, options: argparse.Namespace) -> None:
    """Writes `summary.json`."""
    write_summary(
        folder,
        method=options.tracker,
        latency_ms={"wall": percentiles_ms(run.wall), "processor": percentiles_ms(run.processor)},
        frames=run.figures.frames,
        points=run.figures.rows(),
        skipped={reason: {"first": first, "frames": number} for reason, (first, number) in run.skipped.items()},
        repeats=run.repeats,
        ended=run.ended,
    )


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True, help="a video, a folder of pictures, or a recorded bag")
    parser.add_argument("--points", default="", help='"u,v u,v", a .csv or .yaml file, auto, auto:16, or click')
    parser.add_argument("--box", default="", help='"left,top,width,height": where automatic points are to lie [px]')
    parser.add_argument("--tracker", default="hybrid", help=f"one of {', '.join(TRACKERS)}")
    parser.add_argument("--out", type=Path, help="folder of the results; made if need be")
    parser.add_argument("--start", type=int, default=0, help="frame that the points were picked on")
    parser.add_argument("--frames", type=int, default=0, help="how many frames to track; 0 for all")
    parser.add_argument("--rate", type=float, default=RATE, help="pictures per second of a folder")
    parser.add_argument("--trail", type=int, default=20, help="length of the trails [frames]")
    options = parser.parse_args()
    if not options.video.name:
        parser.error("give a video, a folder of pictures or a bag: VIDEO=clip.mp4")
    if options.start < 0 or options.frames < 0 or options.trail < 1:
        parser.error("--start and --frames must not be negative, --trail must be positive")
    return options


def track_video(options: argparse.Namespace, console: Console) -> int:
    """Tracks, writes and prints; 1 where the video could not be read to its end.

    Raises:
        KeypointError: the video, the points or the tracker cannot be used at all.
    """
    tracker = TRACKERS.create(options.tracker)
    source = PictureSource(options.video, options.rate)
    first, frames = first_frame(source, options.start)
    folder = options.out or new_run_folder("track")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        points = pick(options.points, first.color, options.box)
    except InputError:
        path = folder / "points.png"
        cv2.imwrite(str(path), with_ruler(first.color)[..., ::-1])
        console.print(f"the picture to pick points on, with its coordinates: {path}")
        raise
    run = TrackRun(TrackFigures(points.ids))
    if options.frames:
        frames = itertools.islice(frames, options.frames - 1)
    write_results(folder, track_points(tracker, frames, first, points, run), run, options, console)
    summarise(folder, run, options)
    tell(console, run, source, first, folder, options.tracker)
    return int(bool(run.ended))


def main() -> int:
    """Runs the command."""
    options, console = parse(), make_console()
    cv2.setNumThreads(1)
    try:
        return track_video(options, console)
    except KeypointError as error:
        console.print(f"[red]error:[/] {error}", soft_wrap=True)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

"""Carries points of one photograph over into another: `make locate REFERENCE=a.png IMAGE=b.png POINTS="320,240 ..."`.

    python -m keypoint_trials.locate --reference a.png --depth a_depth.png --points auto --image b.png

The reference is a picture with points on it, or the folder of a checkpoint, which has both and depth. Back ends that
reason in 3D need the reference's depth: give it (`--depth`), or say that the reference shows something flat, seen about
head on (`--flat`). `locate.png` shows both pictures with a line for each accepted point, `summary.json` the figures.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from keypoint_core.checkpoint import load_checkpoint
from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CorrespondenceError, InputError, KeypointError
from keypoint_core.frame_health import FrameMonitor
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.types import Float32, Frame, Intrinsics
from keypoint_trials.console import make_console
from keypoint_trials.locate_picture import Located, side_by_side, table_of
from keypoint_trials.picked_points import pick, with_ruler
from keypoint_trials.picture_source import SUFFIXES, nominal_intrinsics, read_picture

FLAT_DEPTH = 1.0  # [m] of a flat reference; any value gives the same pixels
_NO_DEPTH = ". Here: give the reference's depth (DEPTH=file), or say that it shows something flat (FLAT=1)"


def make_reference(options: argparse.Namespace, console: Console, folder: Path) -> Reference:
    """The reference that the options name.

    Raises:
        InputError: a file cannot be read, or the points do not fit; a picture to pick them on is written.
        CheckpointError: the checkpoint is damaged.
    """
    if options.reference.suffix.lower() not in SUFFIXES:
        return load_checkpoint(options.reference).reference()
    color = read_picture(options.reference)
    height, width = color.shape[:2]
    try:
        points = pick(options.points, color, options.box)
    except InputError:
        path = folder / "points.png"
        cv2.imwrite(str(path), with_ruler(color)[..., ::-1])
        console.print(f"the picture to pick points on, with its coordinates: {path}")
        raise
    depth = read_depth(options.depth, color.shape) if options.depth else None
    if options.flat:
        depth = np.full((height, width), FLAT_DEPTH, np.float32)
    return Reference(color, depth, _intrinsics(width, height, options.focal), points.ids, points.pixels)


def read_depth(path: Path, shape: tuple[int, ...]) -> Float32:
    """Depth [H, W] float32 [m], NaN where invalid, from a 16-bit picture [mm, 0 invalid] or a .npy file [m].

    Raises:
        InputError: it is neither, or not of the picture's size.
    """
    try:
        values = np.load(path) if path.suffix == ".npy" else cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as depth: {error}") from error
    if values is None or values.ndim != 2 or (path.suffix != ".npy" and values.dtype != np.uint16):
        raise InputError(f"{path}: expected depth as a 16-bit picture [mm] or a .npy array [H, W] [m]")
    if values.shape != shape[:2]:
        raise InputError(f"{path} has {values.shape[1]}x{values.shape[0]} pixels, its picture {shape[1]}x{shape[0]}")
    metres = values.astype(np.float32) * np.float32(1e-3 if values.dtype == np.uint16 else 1.0)
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(np.nan)).astype(np.float32)


def live_frame(options: argparse.Namespace, reference: Reference) -> Frame:
    """The picture to look in, as a frame; its camera is the reference's if the sizes agree.

    Raises:
        InputError: it cannot be read, or is blank.
    """
    color = read_picture(options.image)
    height, width = color.shape[:2]
    known = reference.intrinsics
    same = (known.width, known.height) == (width, height)
    depth = read_depth(options.image_depth, color.shape) if options.image_depth else None
    frame = Frame(0, color, depth, known if same else _intrinsics(width, height, options.focal))
    health = FrameMonitor().examine(frame)
    if health.blank:
        raise InputError(f"{options.image}: {health.complaint}")
    return frame


def locate(name: str, reference: Reference, frame: Frame) -> Located:
    """Runs a back end.

    Raises:
        InputError: it cannot work with this reference; the message says what it needs.
        UnknownNameError, MissingDependencyError: there is no such back end here.
    """
    try:
        backend = CORRESPONDENCES.create(name, reference)
    except InputError as error:
        raise InputError(f"{error}{_NO_DEPTH if reference.depth is None else ''}") from error
    begin = time.process_time()
    try:
        keypoints = backend.locate(frame)
    except CorrespondenceError as error:
        return Located(None, str(error), time.process_time() - begin)
    return Located(keypoints, "", time.process_time() - begin)


def _intrinsics(width: int, height: int, focal: float) -> Intrinsics:
    nominal = nominal_intrinsics(width, height)
    return replace(nominal, fx=focal, fy=focal) if focal > 0 else nominal


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a picture, or the folder of a checkpoint")
    parser.add_argument("--image", type=Path, required=True, help="the picture to look in")
    parser.add_argument("--points", default="", help='"u,v u,v", a .csv or .yaml file, auto, auto:16, or click')
    parser.add_argument("--box", default="", help='"left,top,width,height": where automatic points are to lie [px]')
    parser.add_argument("--correspondence", default="descriptors", help=f"one of {', '.join(CORRESPONDENCES)}")
    parser.add_argument("--depth", type=Path, help="of the reference: 16-bit picture [mm] or .npy [m]")
    parser.add_argument("--image-depth", type=Path, help="of the picture to look in, likewise")
    parser.add_argument("--flat", action="store_true", help="the reference shows something flat, seen about head on")
    parser.add_argument("--focal", type=float, default=0.0, help="focal length [px]; default: the picture's width")
    parser.add_argument("--out", type=Path, help="folder of the results; made if need be")
    options = parser.parse_args()
    if not options.reference.name or not options.image.name:
        parser.error("give both pictures: REFERENCE=a.png IMAGE=b.png")
    if options.flat and options.depth:
        parser.error("--flat and --depth exclude each other")
    return options


def run(options: argparse.Namespace, console: Console) -> int:
    """Locates, writes and prints; 1 where the back end refused.

    Raises:
        KeypointError: something given cannot be used.
    """
    folder = options.out or new_run_folder("locate")
    folder.mkdir(parents=True, exist_ok=True)
    reference = make_reference(options, console, folder)
    frame = live_frame(options, reference)
    located = locate(options.correspondence, reference, frame)
    title = f"{options.correspondence}, {options.reference.name} to {options.image.name}"
    cv2.imwrite(str(folder / "locate.png"), side_by_side(reference, frame, located, title)[..., ::-1])
    keypoints = located.keypoints
    write_summary(
        folder,
        method=options.correspondence,
        refusal=located.refusal,
        processor_seconds=round(located.seconds, 4),
        ids=reference.ids.tolist(),
        reference=reference.pixels.round(3).tolist(),
        accepted=[] if keypoints is None else keypoints.visible.tolist(),
        located=[] if keypoints is None else keypoints.pixels.round(3).tolist(),
        confidence=[] if keypoints is None else keypoints.confidence.round(4).tolist(),
    )
    if keypoints is None:
        console.print(f"[red]refused:[/] {located.refusal}", soft_wrap=True)
    else:
        console.print(table_of(reference, keypoints, title))
    console.print(f"{located.seconds:.2f} s of processor time; {folder}/locate.png, summary.json")
    return int(keypoints is None)


def main() -> int:
    """Runs the command."""
    options, console = parse(), make_console()
    cv2.setNumThreads(1)
    try:
        return run(options, console)
    except KeypointError as error:
        console.print(f"[red]error:[/] {error}", soft_wrap=True)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

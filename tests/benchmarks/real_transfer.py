"""Correspondences on real pictures with known truth: two photographs of a painted wall, a plant from two places, others moved.

The pictures are those of Debian's package opencv-doc (or any folder given); without them there is nothing to measure,
and the command says so. The wall (graf1, graf3) comes with the homography its authors measured, the plant (aloeL, aloeR)
with the disparity of every pixel. Further photographs are moved by a random homography, and lit otherwise, with noise.
A point counts as wrong when it was accepted more than 5 px off.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CorrespondenceError, KeypointError
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.types import Frame, Keypoints
from keypoint_trials.console import make_console
from keypoint_trials.locate_picture import Located, side_by_side
from keypoint_trials.picture_source import nominal_intrinsics, read_picture

FOLDER = Path("/usr/share/doc/opencv-doc/examples/data")
PHOTOS = ("home.jpg", "fruits.jpg", "leuvenA.jpg", "board.jpg", "stuff.jpg", "baboon.jpg", "messi5.jpg", "building.jpg")
WRONG = 5.0  # [px]
POINTS = 16
WIDTH = 640  # [px] that every picture is brought to
BASELINE = 0.16  # [m] between the two places of the plant's camera; its unit is all that hangs on it


@dataclass(frozen=True)
class Pair:
    """A reference, a picture to look in, and where its points truly are [N, 2]; NaN for hidden and outside."""

    name: str
    reference: Reference
    frame: Frame
    truth: np.ndarray


def brought(image: np.ndarray, width: int = WIDTH) -> np.ndarray:
    height = round(image.shape[0] * width / image.shape[1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def flat_pair(name: str, first: np.ndarray, second: np.ndarray, homography: np.ndarray, mask=None) -> Pair:
    """Of something flat: its depth is the same everywhere."""
    height, width = first.shape[:2]
    mask = np.ones((height, width), np.uint8) if mask is None else mask
    pixels = spread_corners(first, mask, POINTS)
    truth = cv2.perspectiveTransform(pixels[None].astype(np.float64), homography)[0]
    limit = [second.shape[1] - 1, second.shape[0] - 1]
    truth[~((truth >= 0) & (truth <= limit)).all(axis=1)] = np.nan
    depth = np.ones((height, width), np.float32)
    ids = np.arange(POINTS, dtype=np.int32)
    reference = Reference(first, depth, nominal_intrinsics(width, height), ids, pixels)
    camera = nominal_intrinsics(second.shape[1], second.shape[0])
    return Pair(name, reference, Frame(0, second, None, camera), truth)


def wall(folder: Path) -> Pair:
    """graf1 and graf3; the car in front of the wall is left out."""
    first, second = read_picture(folder / "graf1.png"), read_picture(folder / "graf3.png")
    file = cv2.FileStorage(str(folder / "H1to3p.xml"), cv2.FILE_STORAGE_READ)
    homography = file.getNode("H13").mat()
    file.release()
    scale = WIDTH / first.shape[1]
    zoom = np.diag([scale, scale, 1.0])
    small = brought(first), brought(second)
    mask = np.zeros(small[0].shape[:2], np.uint8)
    mask[20:370, 20:520] = 1
    return flat_pair("graf1-graf3", *small, zoom @ homography @ np.linalg.inv(zoom), mask)


def moved_photo(path: Path, seed: int) -> Pair:
    """A photograph from elsewhere: turned by up to 30 degrees, 0.7 to 1.4 times as large, tilted, lit otherwise."""
    rng = np.random.default_rng(seed)
    image = brought(read_picture(path))
    height, width = image.shape[:2]
    turn, size = rng.uniform(-0.52, 0.52), np.exp(rng.uniform(np.log(0.7), np.log(1.4)))
    c, s = size * np.cos(turn), size * np.sin(turn)
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    back = np.array([[1, 0, width / 2 + rng.uniform(-60, 60)], [0, 1, height / 2 + rng.uniform(-40, 40)], [0, 0, 1]])
    tilt = rng.uniform(-6e-4, 6e-4, 2)
    homography = back @ np.array([[c, -s, 0], [s, c, 0], [*tilt, 1]]) @ centre
    warped = cv2.warpPerspective(image, homography, (width, height), borderValue=(90, 90, 90))
    lit = warped * rng.uniform(0.5, 1.4) * rng.uniform(0.85, 1.15, 3) + rng.normal(0, 3, warped.shape)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 5 : -height // 5, width // 5 : -width // 5] = 1
    return flat_pair(path.stem, image, np.clip(lit, 0, 255).astype(np.uint8), homography, mask)


def plant(folder: Path) -> Pair:
    """aloeL and aloeR; depth follows from the disparity, and what the right camera does not see has no truth."""
    left, right = read_picture(folder / "aloeL.jpg"), read_picture(folder / "aloeR.jpg")
    disparity = cv2.imread(str(folder / "aloeGT.png"), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    scale = WIDTH / left.shape[1]
    small, other = brought(left), brought(right)
    near = cv2.resize(disparity, small.shape[1::-1], interpolation=cv2.INTER_NEAREST) * scale
    height, width = small.shape[:2]
    camera = nominal_intrinsics(width, height)
    with np.errstate(divide="ignore"):
        depth = np.where(near > 0, camera.fx * BASELINE / near, np.nan).astype(np.float32)
    even = cv2.dilate(near, np.ones((9, 9))) - cv2.erode(near, np.ones((9, 9))) < 2
    pixels = spread_corners(small, (even & (near > 0)).astype(np.uint8), POINTS)
    column, row = pixels.round().astype(int).T
    truth = pixels.astype(np.float64) - np.stack([near[row, column], np.zeros(POINTS)], axis=1)
    for i in range(POINTS):  # hidden where something nearer falls on the same column of the right picture
        along = np.arange(width) - near[row[i]]
        covering = (np.abs(along - truth[i, 0]) < 3) & (near[row[i]] > near[row[i], column[i]] + 2)
        if covering.any() or truth[i, 0] < 0:
            truth[i] = np.nan
    reference = Reference(small, depth, camera, np.arange(POINTS, dtype=np.int32), pixels)
    return Pair("aloeL-aloeR", reference, Frame(0, other, None, camera), truth)


def pairs(folder: Path, per_photo: int) -> Iterator[Pair]:
    if (folder / "graf1.png").is_file():
        yield wall(folder)
    if (folder / "aloeGT.png").is_file():
        yield plant(folder)
    for index, name in enumerate(PHOTOS):
        for turn in range(per_photo if (folder / name).is_file() else 0):
            pair = moved_photo(folder / name, 100 * index + turn)
            yield dataclasses.replace(pair, name=f"{pair.name}-{turn}")


def located_in(name: str, pair: Pair) -> Located:
    backend = CORRESPONDENCES.create(name, pair.reference)
    begin = time.process_time()
    try:
        keypoints: Keypoints | None = backend.locate(pair.frame)
        refusal = ""
    except CorrespondenceError as error:
        keypoints, refusal = None, str(error)
    return Located(keypoints, refusal, time.process_time() - begin)


def figures(pair: Pair, located: Located) -> dict[str, object]:
    known = np.isfinite(pair.truth).all(axis=1)
    if located.keypoints is None:
        return {"visible": int(known.sum()), "accepted": 0, "of_hidden": 0, "wrong": 0, "errors": []}
    accepted = located.keypoints.visible
    error = np.linalg.norm(located.keypoints.pixels - pair.truth, axis=1)[accepted & known]
    return {
        "visible": int(known.sum()),
        "accepted": int((accepted & known).sum()),
        "of_hidden": int((accepted & ~known).sum()),
        "wrong": int((error > WRONG).sum()),
        "errors": error.round(3).tolist(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the pictures")
    parser.add_argument("--correspondence", nargs="+", default=["sift_pnp", "descriptors"])
    parser.add_argument("--per-photo", type=int, default=3, help="random motions of every photograph")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    chosen = list(pairs(options.folder, options.per_photo))
    if not chosen:
        print(f"skipped: no pictures in {options.folder}; apt-get install opencv-doc, or give --folder")
        return 0
    console, folder = make_console(), new_run_folder("real-transfer")
    table = Table(title="correspondences on real pictures")
    names = ("pair", "backend", "visible", "accepted", "accepted though hidden", "over 5 px", "median px", "s")
    for column in names:
        table.add_column(column, justify="left" if column in ("pair", "backend") else "right")
    rows: list[dict[str, object]] = []
    for name in options.correspondence:
        for pair in chosen:
            try:
                located = located_in(name, pair)
            except KeypointError as error:
                console.print(f"{name} on {pair.name}: {error}")
                continue
            row = {"pair": pair.name, "backend": name, **figures(pair, located), "seconds": round(located.seconds, 3)}
            rows.append(row)
            picture = side_by_side(pair.reference, pair.frame, located, f"{name}, {pair.name}")
            cv2.imwrite(str(folder / f"{pair.name}-{name}.png"), picture[..., ::-1])
            median = f"{np.median(row['errors']):.2f}" if row["errors"] else "refused" if located.refusal else "-"
            cells = (row["visible"], row["accepted"], row["of_hidden"], row["wrong"], median, f"{located.seconds:.2f}")
            table.add_row(pair.name, name, *map(str, cells))
    console.print(table)
    for name in options.correspondence:
        own = [row for row in rows if row["backend"] == name]
        errors = np.concatenate([row["errors"] for row in own]) if own else np.empty(0)
        if len(errors):
            visible = sum(row["visible"] for row in own)
            console.print(
                f"{name}: accepted {len(errors)} of {visible} visible, mean {errors.mean():.2f} px, "
                f"p95 {np.percentile(errors, 95):.2f} px, {(errors > WRONG).mean():.1%} over {WRONG:g} px"
            )
    write_summary(folder, mode="in_process", pairs=rows)
    console.print(f"{folder}/summary.json and pictures")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

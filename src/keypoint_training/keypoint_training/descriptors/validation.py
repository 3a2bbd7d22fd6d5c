"""How well features find the points of a reference view again, in scenes that nobody trained on.

    python -m keypoint_training.descriptors.validation --baselines

Per task: points of the reference view, looked for by their global mode in a crop of every held-out picture, as a
correspondence or a tracker would. Beside the descriptors stand two that need no training: upright RootSIFT (Lowe, 2004;
Arandjelovic and Zisserman, 2012) and plain grey patches, both on the same grid of cells.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.errors import KeypointError
from keypoint_core.features import FEATURES
from keypoint_core.features.feature_map import FeatureMap
from keypoint_core.protocols import FeatureExtractor
from keypoint_core.types import Float32, Float64
from keypoint_sim.robots import ROBOTS
from keypoint_sim.tasks import TASKS
from keypoint_sim.world import World
from keypoint_training.descriptors.scenes import PICTURES, Scene, draw_scene, read_scene, write_scene
from keypoint_training.rng import Stream, generator

FIRST_SEED = 5000  # of held-out scenes
SCENES = 6  # per task, with two pictures each
POINTS = 24  # per task
CROP = (320, 240)  # [px]
CONDITION = "light"


@dataclass(frozen=True)
class Trial:
    """A task's reference view and the held-out pictures.

    Attributes:
        task: name.
        reference: [H, W, 3] uint8, with points at pixels [P, 2].
        scenes: where the same P points are.
    """

    task: str
    reference: NDArray[np.uint8]
    pixels: Float32
    scenes: list[Scene]


def draw_trials(cache: Path, scenes: int, show: Callable[[str, int, int], None]) -> list[Trial]:
    """Reads the held-out pictures from a folder; draws those that it lacks."""
    trials = []
    robots = sorted(ROBOTS)
    for task in TASKS:
        folder = cache / "validation" / task
        names = [f"{robots[i % len(robots)]}-{FIRST_SEED + i}" for i in range(scenes)]
        for robot in robots:
            _draw_missing(folder, task, robot, [name for name in names if name.startswith(robot)], show)
        reference = read_scene(folder / "reference")
        shots = [read_scene(folder / name) for name in names]
        trials.append(Trial(task, np.asarray(reference.color[0]), reference.pixels[0], shots))
    return trials


def _draw_missing(folder: Path, task: str, robot: str, names: list[str], show: Callable[[str, int, int], None]) -> None:
    missing = [name for name in names if not (folder / f"{name}.npz").is_file()]
    if not missing and (folder / "reference.npz").is_file():
        return
    world = World(task, robot)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "reference.npz").is_file():
        picture = world.reference().frame.color
        pixels = spread_corners(picture, _mask(world), POINTS)
        write_scene(folder / "reference", picture[None], pixels[None], np.ones((1, POINTS), bool))
    points = world.attach(read_scene(folder / "reference").pixels[0].astype(np.float64))
    for done, name in enumerate(missing):
        write_scene(folder / name, *draw_scene(world, points, int(name.rpartition("-")[2]), CONDITION))
        show(f"held-out pictures of {task}, {robot}", done + 1, len(missing))
    world.close()


def _mask(world: World) -> NDArray[np.bool_]:
    """[H, W] where the reference view shows the task's objects."""
    k = world.camera.intrinsics
    v, u = np.mgrid[0 : k.height, 0 : k.width]
    bodies = np.array(world.attach(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)).bodies)
    return np.isin(bodies, world.task.bodies).reshape(k.height, k.width)


def measure(extractor: FeatureExtractor, trials: list[Trial]) -> dict[str, Any]:
    """Per task and in all: shares of visible points found within 4 and 8 px, median error [px], points."""
    errors = {trial.task: find_again(extractor, trial) for trial in trials}
    figures = {task: _figures(found) for task, found in errors.items()}
    return {"all": _figures(np.concatenate(list(errors.values()))), **figures}


def find_again(extractor: FeatureExtractor, trial: Trial) -> Float64:
    """Errors [px] of all visible points in all pictures of a trial."""
    origin = _origin(trial.pixels, trial.reference, np.zeros(2))
    descriptors = _extract(extractor, trial.reference, origin).sample(trial.pixels)
    errors = []
    for number, scene in enumerate(trial.scenes):
        rng = generator(number, Stream.DESCRIPTORS, 4)
        for picture, pixels, visible in zip(scene.color, scene.pixels, scene.visible, strict=True):
            if not visible.any():
                continue
            origin = _origin(pixels[visible], picture, rng.uniform(-40, 40, 2))
            inside = visible & ((pixels >= origin) & (pixels <= np.add(origin, CROP) - 1)).all(axis=1)
            found, _ = _extract(extractor, np.asarray(picture), origin).mode(descriptors[inside])
            errors.append(np.linalg.norm(found - pixels[inside], axis=1).astype(np.float64))
    return np.concatenate(errors) if errors else np.empty(0)


def _origin(pixels: Float32, picture: NDArray[np.uint8], shift: Float64) -> tuple[int, int]:
    """Top-left pixel (u, v) of a crop about the points."""
    limit = np.subtract(picture.shape[1::-1], CROP)
    left, top = np.clip(np.median(pixels, axis=0) + shift - np.divide(CROP, 2), 0, limit).astype(int)
    return int(left), int(top)


def _extract(extractor: FeatureExtractor, picture: NDArray[np.uint8], origin: tuple[int, int]) -> FeatureMap:
    left, top = origin
    crop = np.ascontiguousarray(picture[top : top + CROP[1], left : left + CROP[0]])
    return extractor.extract(crop).moved(origin)


def _figures(errors: Float64) -> dict[str, float | int]:
    if len(errors) == 0:
        return {"points": 0}
    return {
        "within_4_px": round(float((errors <= 4).mean()), 4),
        "within_8_px": round(float((errors <= 8).mean()), 4),
        "median_px": round(float(np.median(errors)), 2),
        "points": len(errors),
    }


class UprightSift:
    """RootSIFT without orientation, one per 4 x 4 pixels."""

    SIZE = 8.0  # diameter of the keypoint; the descriptor looks at six times as much [px]

    def __init__(self) -> None:
        self._sift = cv2.SIFT_create()

    def extract(self, image: NDArray[np.uint8]) -> FeatureMap:
        """Features of an image [H, W, 3] uint8."""
        rows, columns = image.shape[0] // 4, image.shape[1] // 4
        grid = [cv2.KeyPoint(4 * u + 1.5, 4 * v + 1.5, self.SIZE, 0.0) for v in range(rows) for u in range(columns)]
        _, values = self._sift.compute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), grid)
        values = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6))
        return FeatureMap(values.reshape(rows, columns, 128).astype(np.float32), 4.0, (1.5, 1.5))


class Patches:
    """Grey patches without their mean: their cosine is the normalised cross-correlation."""

    SIDE = 16  # [px]

    def extract(self, image: NDArray[np.uint8]) -> FeatureMap:
        """Features of an image [H, W, 3] uint8."""
        before, after = (self.SIDE - 4) // 2, (self.SIDE - 4 + 1) // 2
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        padded = cv2.copyMakeBorder(gray, before, after, before, after, cv2.BORDER_REPLICATE)
        cut = np.lib.stride_tricks.sliding_window_view(padded, (self.SIDE, self.SIDE))[::4, ::4]
        values = cut.reshape(*cut.shape[:2], -1)
        return FeatureMap(np.ascontiguousarray(values - values.mean(axis=2, keepdims=True)), 4.0, (1.5, 1.5))


def figures_table(results: dict[str, dict[str, Any]]) -> Table:
    """For people: one row per task and kind of feature."""
    table = Table("features", "task", "within 4 px", "within 8 px", "median [px]", "points")
    for name, figures in results.items():
        for task, row in figures.items():
            values = [
                f"{row.get(key, float('nan')):g}" for key in ("within_4_px", "within_8_px", "median_px", "points")
            ]
            table.add_row(name, task.replace("_", " "), *values)
    return table


def main() -> int:
    """Returns 0, or 2 on errors that a user can act on."""
    parser = argparse.ArgumentParser(description="Finds points of the reference view in held-out pictures.")
    parser.add_argument("--cache", type=Path, default=PICTURES, help="folder of the pictures")
    parser.add_argument("--scenes", type=int, default=SCENES, help="per task")
    parser.add_argument("--features", nargs="+", default=["descriptors"], help="names in the registry")
    parser.add_argument("--baselines", action="store_true", help="RootSIFT and patches too")
    options, console = parser.parse_args(), Console()
    try:
        trials = draw_trials(options.cache, options.scenes, lambda *_: None)
        results = {name: measure(FEATURES.create(name), trials) for name in options.features}
    except KeypointError as error:
        console.print(f"[red]error[/red] {error}", highlight=False)
        return 2
    if options.baselines:
        results |= {"upright_sift": measure(UprightSift(), trials), "patches": measure(Patches(), trials)}
    console.print(figures_table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

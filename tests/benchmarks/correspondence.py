"""How well a correspondence finds the reference's keypoints in simulated scenes.

    python tests/benchmarks/correspondence.py --n 100 --seed 0

Every scene has another pose, textures and light than the reference. Hard scenes come on top, so that there are misses
to tell from hits: part of the object covered, overexposed, nearly dark, or blurred by motion. Truth comes from the
simulation. A hit is a keypoint located less than 5 px from it; keypoints whose truth lies outside the image are left
out. Scores of refused scenes count too.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.stats import rankdata

from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.sift_pnp import SiftPnpSettings
from keypoint_core.errors import CorrespondenceError
from keypoint_core.geometry.camera import inside
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms
from keypoint_core.types import Frame, Keypoints

HIT = 5.0  # [px]
KEYPOINTS = 12
Rng = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """One scene with its truth and what was located.

    Attributes:
        name: "plain" or what made it hard.
        frame: the live one.
        truth: [N, 2] pixels.
        visible: [N] bool, in the image and not covered.
        found: what was located; None when no pose was found at all.
        seconds: that locating took.
    """

    name: str
    frame: Frame
    truth: np.ndarray
    visible: np.ndarray
    found: Keypoints | None
    seconds: float

    @property
    def errors(self) -> np.ndarray:
        """[N] px; infinite where nothing was located."""
        if self.found is None:
            return np.full(len(self.truth), np.inf)
        return np.linalg.norm(self.found.pixels - self.truth, axis=1)


def cover(frame: Frame, truth: np.ndarray, rng: Rng) -> Frame:
    """A sheet in front of 30-80 % of the object's width."""
    low, high = truth.min(axis=0) - 12, truth.max(axis=0) + 12
    width = (high[0] - low[0]) * rng.uniform(0.3, 0.8)
    left = low[0] if rng.random() < 0.5 else high[0] - width
    top, bottom = max(0, int(low[1])), max(0, int(high[1]))
    area = (slice(top, bottom), slice(max(0, int(left)), max(0, int(left + width))))
    color, depth = frame.color.copy(), frame.depth.copy()
    color[area] = rng.integers(40, 220, 3)
    depth[area] = np.nanmedian(depth[area]) - 0.15 if depth[area].size else 0.0
    return dataclasses.replace(frame, color=color, depth=depth)


def expose(gain: float) -> Callable[[Frame, np.ndarray, Rng], Frame]:
    """More or less light, with the sensor's noise of 2 levels."""

    def changed(frame: Frame, truth: np.ndarray, rng: Rng) -> Frame:
        values = frame.color * gain + rng.normal(0, 2, frame.color.shape)
        return dataclasses.replace(frame, color=np.clip(values, 0, 255).astype(np.uint8))

    return changed


def smear(frame: Frame, truth: np.ndarray, rng: Rng) -> Frame:
    """Motion blur of 9 px in a random direction."""
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    end = np.round(4 + 4 * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    cv2.line(kernel, (8 - end[0], 8 - end[1]), end.tolist(), 1.0)
    return dataclasses.replace(frame, color=cv2.filter2D(frame.color, -1, kernel / kernel.sum()))


HARD: dict[str, Callable[[Frame, np.ndarray, Rng], Frame]] = {
    "covered": cover,
    "glare": expose(3.0),
    "dark": expose(0.15),
    "blurred": smear,
}


def object_mask(world) -> np.ndarray:
    """[H, W] bool: the task's object in the reference view."""
    height, width = world.camera.intrinsics.height, world.camera.intrinsics.width
    v, u = np.mgrid[0:height, 0:width]
    bodies = world.attach(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)).bodies
    return np.isin(np.array(bodies), world.task.bodies).reshape(height, width)


def make_reference(world) -> Reference:
    """The simulation's reference view with spread corners of the object."""
    frame = world.reference().frame
    pixels = spread_corners(frame.color, object_mask(world), KEYPOINTS)
    return Reference(frame.color, frame.depth, frame.intrinsics, np.arange(KEYPOINTS, dtype=np.int32), pixels)


def run(world, backend, reference: Reference, arguments: argparse.Namespace) -> list[Scene]:
    """Locates the keypoints in every scene."""
    points = world.attach(reference.pixels.astype(np.float64))
    total = arguments.n + round(arguments.n * arguments.hard)
    scenes = []
    for i in range(total):
        seed = arguments.seed + i
        world.reset(seed, arguments.condition)
        frame, (truth, visible, _) = world.capture(), world.tracks(points)
        name = "plain" if i < arguments.n else list(HARD)[i % len(HARD)]
        if name in HARD:
            before = frame
            frame = HARD[name](frame, truth, np.random.default_rng(np.random.SeedSequence([seed, 99])))
            visible = visible & ~changed_depth(before, frame, truth)
        scenes.append(locate(backend, name, frame, truth, visible))
        if (i + 1) % 10 == 0:
            print(f"  scene {i + 1}/{total}", flush=True)
    return scenes


def changed_depth(before: Frame, after: Frame, pixels: np.ndarray) -> np.ndarray:
    """[N] bool: whether something was put before these pixels."""
    limit = [before.intrinsics.width - 1, before.intrinsics.height - 1]
    column, row = np.clip(np.round(pixels), 0, limit).astype(int).T
    return ~np.isclose(before.depth[row, column], after.depth[row, column], equal_nan=True)


def locate(backend, name: str, frame: Frame, truth: np.ndarray, visible: np.ndarray) -> Scene:
    start = time.perf_counter()
    try:
        found = backend.locate(frame)
    except CorrespondenceError:
        found = None
    return Scene(name, frame, truth, visible, found, time.perf_counter() - start)


def roc_auc(score: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve by ranks (Mann and Whitney, 1947); None without both classes."""
    p, n = int(positive.sum()), int((~positive).sum())
    if p == 0 or n == 0:
        return None
    return float((rankdata(score)[positive].sum() - p * (p + 1) / 2) / (p * n))


def figures(scenes: list[Scene], needed: int) -> dict[str, object]:
    """What is stated about a group of scenes."""
    intrinsics = scenes[0].frame.intrinsics
    shown = np.concatenate([inside(s.truth, intrinsics) for s in scenes])
    errors = np.concatenate([s.errors for s in scenes])[shown]
    visible = np.concatenate([s.visible for s in scenes])[shown]
    score = np.concatenate([np.zeros(len(s.truth)) if s.found is None else s.found.confidence for s in scenes])[shown]
    accepted = np.concatenate([started(s, needed) for s in scenes])[shown]
    hit, known = errors < HIT, np.isfinite(errors)
    return {
        "scenes": len(scenes),
        "refused": sum(not started(s, needed).any() for s in scenes),
        "keypoints": int(shown.sum()),
        "median_px": finite(np.median(errors)),
        "p95_px": finite(np.percentile(errors, 95, method="lower")),
        "within_5_px": round(float(hit.mean()), 4),
        "accepted": round(float(accepted.mean()), 4),
        "accepted_of_visible": round(float(accepted[visible].mean()), 4),
        "wrong_of_accepted": round(float((~hit)[accepted].mean()), 4) if accepted.any() else None,
        "misses_scored": int((~hit & known).sum()),
        "auc_hit": roc_auc(score[known], hit[known]),
        "auc_usable": roc_auc(score[known], (hit & visible)[known]),
    }


def finite(value: float) -> float | None:
    """Rounded; None for infinity, which JSON does not know."""
    return round(float(value), 3) if np.isfinite(value) else None


def started(scene: Scene, needed: int) -> np.ndarray:
    """[N] bool: accepted keypoints of a scene that would not be refused."""
    if scene.found is None or scene.found.visible.sum() < needed:
        return np.zeros(len(scene.truth), dtype=bool)
    return scene.found.visible


def contact_sheet(reference: Reference, scenes: list[Scene], needed: int, tiles: int = 11) -> np.ndarray:
    """The reference, the worst scenes that were located, one that was not, and others up to the best."""

    def badness(scene: Scene) -> float:
        return float(np.median(scene.errors[inside(scene.truth, scene.frame.intrinsics)]))

    order = sorted((s for s in scenes if s.found is not None), key=badness, reverse=True)
    nothing = [s for s in scenes if s.found is None][:1]
    rest = order[tiles - 6 :]
    chosen = order[: tiles - 6] + nothing + [rest[i] for i in np.linspace(0, len(rest) - 1, 5).astype(int) if rest]
    cells = [cell(reference.color, reference.pixels, None, f"reference, {len(reference.ids)} keypoints")]
    for scene in chosen:
        verdict = "refused" if not started(scene, needed).any() else f"{started(scene, needed).sum()} accepted"
        label = f"{scene.name}, {verdict}, " + (f"median {badness(scene):.1f} px" if scene.found else "no pose")
        cells.append(cell(scene.frame.color, scene.truth, scene, label))
    cells += [np.full_like(cells[0], 24)] * (-len(cells) % 4)
    rows = [np.hstack(cells[i : i + 4]) for i in range(0, len(cells), 4)]
    key = np.full((40, rows[0].shape[1], 3), 24, np.uint8)
    text = "white ring: truth   green: accepted   red: located, not accepted   line: error"
    cv2.putText(key, text, (14, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (230, 234, 240), 1, cv2.LINE_AA)
    return np.vstack([*rows, key])


def cell(color: np.ndarray, truth: np.ndarray, scene: Scene | None, label: str) -> np.ndarray:
    """A 400 x 330 picture of the 160 x 120 pixels around the keypoints."""
    scale, size = 2.5, (160, 120)
    height, width = color.shape[:2]
    left, top = np.clip(np.median(truth, axis=0) - [80, 60], 0, [width - size[0], height - size[1]]).astype(int)
    view = cv2.resize(
        color[top : top + 120, left : left + 160], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
    )
    offset = np.array([left, top]) - (0.5 - 0.5 / scale)

    def place(pixel: np.ndarray) -> tuple[int, int]:
        u, v = np.clip((pixel - offset) * scale, -2000, 2000)
        return int(round(u * 16)), int(round(v * 16))

    for i, pixel in enumerate(truth):
        cv2.circle(view, place(pixel), 7 * 16, (24, 24, 24), 3, cv2.LINE_AA, 4)
        cv2.circle(view, place(pixel), 7 * 16, (255, 255, 255), 1, cv2.LINE_AA, 4)
        if scene is not None and scene.found is not None:
            shade = (64, 224, 128) if scene.found.visible[i] else (244, 72, 72)
            cv2.line(view, place(pixel), place(scene.found.pixels[i]), shade, 1, cv2.LINE_AA, 4)
            cv2.circle(view, place(scene.found.pixels[i]), 3 * 16 + 8, shade, -1, cv2.LINE_AA, 4)
    framed = cv2.copyMakeBorder(view, 4, 26, 4, 4, cv2.BORDER_CONSTANT, value=(24, 24, 24))
    cv2.putText(
        framed, label, (8, framed.shape[0] - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 234, 240), 1, cv2.LINE_AA
    )
    return framed


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Benchmark of a correspondence on simulated scenes.")
    parser.add_argument("--n", type=int, default=100, help="plain scenes")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene")
    parser.add_argument("--task", default="clock_button")
    parser.add_argument("--condition", default="light", help="of the simulation")
    parser.add_argument("--hard", type=float, default=0.4, help="hard scenes on top, as a share of n")
    parser.add_argument("--backend", default="sift_pnp", help="name in the registry")
    arguments = parser.parse_args()
    if arguments.n < 1 or arguments.hard < 0:
        parser.error("--n must be positive and --hard not negative")
    return arguments


def main() -> None:
    arguments = parse()
    os.environ.setdefault("MUJOCO_GL", "osmesa")
    from keypoint_sim.world import World  # after MUJOCO_GL is set

    cv2.setNumThreads(1)
    world = World(arguments.task)
    reference = make_reference(world)
    needed = SiftPnpSettings().min_located
    # Refusals are counted here, so that the scores of refused scenes are seen too.
    options = {"settings": SiftPnpSettings(min_located=0)} if arguments.backend == "sift_pnp" else {}
    scenes = run(world, CORRESPONDENCES.create(arguments.backend, reference, **options), reference, arguments)
    world.close()
    groups = {name: [s for s in scenes if s.name == name] for name in ("plain", *HARD)}
    groups = {"all": scenes, **{name: members for name, members in groups.items() if members}}
    results = {name: figures(members, needed) for name, members in groups.items()}
    for name, result in results.items():
        print(
            f"{name:8} " + "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in result.items())
        )
    timing = percentiles_ms([s.seconds for s in scenes])
    folder = new_run_folder("correspondence")
    sheet = contact_sheet(reference, scenes, needed)
    cv2.imwrite(str(folder / "correspondence.png"), sheet[..., ::-1])
    write_summary(
        folder,
        seed=arguments.seed,
        task=arguments.task,
        robot="hebi_chopsticks",
        method=arguments.backend,
        condition=arguments.condition,
        mode="in_process",
        latency_ms={"correspondence": timing},
        hard_scenes=sum(s.name != "plain" for s in scenes),
        keypoints=KEYPOINTS,
        results=results,
    )
    print(f"locate: {timing} ms; {folder / 'correspondence.png'}")


if __name__ == "__main__":
    main()

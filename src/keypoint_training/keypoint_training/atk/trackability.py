"""How well each candidate is found and held when deployed, measured on rendered episodes of the expert.

A mask that never sees a real tracker's failures keeps points that slide along textureless sticks; one that never sees a
real correspondence's keeps points of the table, which is another one tomorrow. What is measured here goes into the track
noise point by point, so that training itself drops them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keypoint_core.errors import CorrespondenceError
from keypoint_core.protocols import Correspondence, Tracker
from keypoint_core.types import Float32, Float64, Frame, KeypointStatus
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.truth import SurfacePoints
from keypoint_sim.world import World
from keypoint_training.tracks import Traits

CONDITION = "light"  # the hardest of the paper's: other textures, things and light
FEWEST = 10  # frames in which a point has to be in sight to be judged
WORST = 100.0  # errors count up to this [px]


@dataclass
class Tally:
    """Sums over frames, per point.

    Attributes:
        sight: frames in which the point could be seen since the start.
        believed: of these, frames in which the tracker said so.
        squares: of the error in those [px^2].
        shown: first frames in which the point was in sight.
        located: of these, frames in which the correspondence found it.
    """

    sight: Float64
    believed: Float64
    squares: Float64
    shown: Float64
    located: Float64
    started: NDArray[np.bool_] = field(init=False)

    @classmethod
    def empty(cls, points: int) -> Tally:
        """Of no frames."""
        return cls(*(np.zeros(points) for _ in range(5)))

    def start(self, visible: NDArray[np.bool_], located: NDArray[np.bool_]) -> None:
        """A new episode: which points are in sight [N], and which the correspondence finds [N]."""
        self.started = visible.copy()
        self.shown += visible
        self.located += visible & located

    def add(self, truth: Float64, visible: NDArray[np.bool_], found: Float32, believed: NDArray[np.bool_]) -> None:
        """One frame: exact pixels [N, 2] and whether they can be seen [N], the tracker's, and what it says of them."""
        seen = visible & self.started
        error = np.minimum(np.linalg.norm(found - truth, axis=1), WORST)
        self.sight += seen
        self.believed += seen & believed
        self.squares += np.where(seen & believed, error**2, 0.0)

    def traits(self, bodies: tuple[str, ...]) -> Traits:
        """For the track noise; points hardly ever in sight, believed or located count as lost."""
        judged = (self.sight >= FEWEST) & (self.believed > 0)
        error = np.sqrt(self.squares / np.maximum(self.believed, 1))
        held = self.believed / np.maximum(self.sight, 1) * self.located / np.maximum(self.shown, 1)
        lost = np.where(judged, 1 - held, 1.0)
        return Traits(bodies, error, lost)


def save_traits(path: Path, traits: Traits) -> None:
    """Writes .npz; the file appears whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, bodies=np.array(traits.bodies), error=_given(traits.error), lost=_given(traits.lost))
    part.replace(path)


def load_traits(path: Path) -> Traits:
    """Reads what `save_traits` wrote."""
    with np.load(path, allow_pickle=False) as data:
        error, lost = (data[name] if len(data[name]) else None for name in ("error", "lost"))
        return Traits(tuple(data["bodies"].tolist()), error, lost)


def _given(values: Float64 | None) -> Float64:
    return np.empty(0) if values is None else values


def measure_trackability(
    world: World,
    points: SurfacePoints,
    correspondence: Correspondence,
    tracker: Tracker,
    scenes: list[int],
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Traits:
    """Lets the expert act in rendered scenes, the correspondence find all candidates and the tracker follow them.

    The tracker starts on their exact pixels, so that it is not judged by what the correspondence missed.

    Args:
        world: of the task.
        points: M candidates.
        correspondence: of the M candidates, as deployed.
        tracker: as deployed.
        scenes: seeds.
        progress: told how far it is.
    """
    tally = Tally.empty(len(points))
    for done, scene in enumerate(scenes, 1):
        _follow(world, points, correspondence, tracker, scene, tally)
        progress("trackability", done, len(scenes))
    return tally.traits(points.bodies)


def _follow(
    world: World, points: SurfacePoints, correspondence: Correspondence, tracker: Tracker, scene: int, tally: Tally
) -> None:
    """One episode."""
    world.reset(scene, CONDITION)
    expert, state = world.expert(), world.state()
    player = ChunkPlayer(state.position, state.gripper)
    pixels, visible, _ = world.tracks(points)
    size = (world.camera.intrinsics.width - 1, world.camera.intrinsics.height - 1)
    visible &= ((pixels >= 0) & (pixels <= size)).all(axis=1)
    frame = world.capture()
    tally.start(visible, _located(correspondence, frame, len(points)))
    shown = np.flatnonzero(visible)
    tracker.start(frame, pixels[shown].astype(np.float32), shown)
    while world.status().outcome == Outcome.RUNNING:
        if world.frame_due:
            if world.stamp:
                found = tracker.track(world.capture())
                truth, clear, _ = world.tracks(points)
                guess, believed = truth.astype(np.float32), np.zeros(len(points), dtype=bool)
                guess[found.ids], believed[found.ids] = found.pixels, found.visible
                tally.add(truth, clear, guess, believed)
            player.take(expert.act())
        world.step(player.command(world.stamp + world.timing.control_period, world.timing.control_period))


def _located(correspondence: Correspondence, frame: Frame, points: int) -> NDArray[np.bool_]:
    """Which of the candidates are found [M]; none where the scene is refused."""
    try:
        found = correspondence.locate(frame)
    except CorrespondenceError:
        return np.zeros(points, dtype=np.bool_)
    return found.status != KeypointStatus.LOST

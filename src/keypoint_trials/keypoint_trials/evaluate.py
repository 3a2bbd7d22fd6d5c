"""Evaluates a checkpoint on rendered frames, in one process per core: `make evaluate TASK=clock_button`.

    python -m keypoint_trials.evaluate --task clock_button --condition light --n 100 --seed 0

Correspondence, tracker, policy, safety gate and world are those of the ROS graph in lockstep, without the transport.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from keypoint_core.arms.description import DEFAULT_ROBOT, load_arm, robot_name
from keypoint_core.arms.parameters import ArmParameters, make_controller
from keypoint_core.camera_monitor.monitor import MODES, CameraMonitor
from keypoint_core.checkpoint import Checkpoint, checkpoint_of_robot, load_checkpoint, models_folder, require_trained
from keypoint_core.errors import KeypointError
from keypoint_core.geometry.view import training_view
from keypoint_core.parameters import read_parameters
from keypoint_core.pipeline import Pipeline
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.statistics import percentiles_ms, wilson_interval
from keypoint_sim.disturbances import DisturbanceSettings, parse_condition
from keypoint_sim.disturbances.settings import add_folder_options
from keypoint_sim.episode import Episode, run_episode
from keypoint_sim.settings import Timing
from keypoint_sim.tasks.base import Outcome
from keypoint_sim.world import World
from keypoint_trials.config import config_folder
from keypoint_trials.console import make_console
from keypoint_trials.controls import PicturePipeline
from keypoint_trials.methods import PICTURE, make_perception, method_named
from keypoint_trials.parallel import Workers, add_worker_options, in_order, quiet_threads

SCENES = 10_000  # per seed; scenes of evaluation lie below a million, those of training above


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate.

    Attributes:
        task, method: name the checkpoint `models/<task>/<method>`; that of another robot than the default ends in its
            name. The controls of `methods` deploy another method's checkpoint.
        condition: disturbances.
        robot: name of the arm and of its file in config/robots.
        correspondence, tracker: back ends.
        latency: imposed, in frames.
        frame_jitter: longest time that an exposure comes late [s].
        frame_drop: probability that a frame is lost.
        textures_dir, objects_dir: folders of pictures and of objects for the disturbances; empty for none.
        reproject: whether the calibrated pose of the camera is known, so that keypoints are moved into the view of the
            training.
        camera_monitor: a mode of the camera monitor.
        training_seed: of the checkpoint; those of other seeds than 0 end in it.
    """

    task: str
    method: str
    condition: str
    robot: str
    correspondence: str
    tracker: str
    latency: int
    frame_jitter: float = 0.0
    frame_drop: float = 0.0
    textures_dir: str = ""
    objects_dir: str = ""
    reproject: bool = True
    camera_monitor: str = "watch"
    training_seed: int = 0

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint."""
        name = f"{self.task}/{method_named(self.method).checkpoint}"
        return checkpoint_of_robot(name, self.robot, self.training_seed)


@dataclass(frozen=True)
class EpisodeResult:
    """One line of episodes.json; pose is x [m], y [m], yaw [rad], seconds is the computing time per frame."""

    seed: int
    success: bool
    reason: str
    elapsed: float
    pose: tuple[float, float, float]
    located: int
    visible: int
    total: int
    frames: int
    seconds: float


class Evaluator:
    """A world and a pipeline, made once per process."""

    def __init__(self, request: EvaluationRequest) -> None:
        quiet_threads()
        name = request.checkpoint
        require_trained(name, request.task, request.robot, models_folder())
        checkpoint = load_checkpoint(name)
        arm = load_arm(request.robot)
        checkpoint.require_joints(arm.joint_names)
        self.request = request
        timing = Timing(frame_jitter=request.frame_jitter, frame_drop=request.frame_drop)
        disturbances = DisturbanceSettings(textures_dir=request.textures_dir, objects_dir=request.objects_dir)
        self._world = World(request.task, request.robot, timing, disturbances=disturbances)
        checkpoint.require_camera(self._world.camera.intrinsics)
        checkpoint.require_rate(self._world.timing.camera_rate)
        self._pipeline = self._make_pipeline(checkpoint)
        parameters = read_parameters(ArmParameters, config_folder() / "robots" / f"{request.robot}.yaml", "arm")
        self._controller = make_controller(arm, parameters)

    def _make_pipeline(self, checkpoint: Checkpoint) -> Pipeline | PicturePipeline:
        """Perception and policy of the method."""
        request, sight = self.request, method_named(self.request.method).sight
        if sight == PICTURE:
            return PicturePipeline(checkpoint.load_policy())
        reference = checkpoint.reference()
        return Pipeline(
            *make_perception(sight, request.correspondence, request.tracker, self._world, reference),
            checkpoint.load_policy(),
            training_view(checkpoint),
            CameraMonitor(request.camera_monitor),
        )

    def episode(self, seed: int) -> Episode:
        """Runs the scene of one seed."""
        request = self.request
        world, pipeline, controller = self._world, self._pipeline, self._controller
        return run_episode(
            world, pipeline, controller, seed, request.condition, request.latency, calibrated=request.reproject
        )

    def run(self, seed: int) -> EpisodeResult:
        """Runs the scene of one seed and sums it up."""
        began = time.perf_counter()
        episode = self.episode(seed)
        frames = max(1, len(episode.keypoints))
        last = episode.keypoints[-1] if episode.keypoints else None
        return EpisodeResult(
            seed=seed,
            success=episode.status.outcome == Outcome.SUCCESS,
            reason=episode.status.reason,
            elapsed=episode.status.elapsed,
            pose=episode.scene.pose,
            located=episode.located,
            visible=int(last.visible.sum()) if last else 0,
            total=len(last) if last else 0,
            frames=len(episode.keypoints),
            seconds=(time.perf_counter() - began) / frames,
        )

    def close(self) -> None:
        """Frees the renderer."""
        self._world.close()


_evaluator: Evaluator | None = None


def evaluator_of(request: EvaluationRequest) -> Evaluator:
    """The evaluator of a request; only the newest one is kept."""
    global _evaluator
    if _evaluator is None or _evaluator.request != request:
        if _evaluator is not None:
            _evaluator.close()
        _evaluator = Evaluator(request)
    return _evaluator


def run_scene(job: tuple[EvaluationRequest, int]) -> EpisodeResult:
    """One episode, in whatever process."""
    request, seed = job
    return evaluator_of(request).run(seed)


def scenes(seed: int, n: int) -> list[int]:
    """Seeds of n scenes that no training used."""
    return [seed * SCENES + i for i in range(n)]


def report(request: EvaluationRequest, results: list[EpisodeResult], folder: Path, seed: int, console: Console) -> None:
    """Prints the score and writes summary.json and episodes.json."""
    successes, n = sum(result.success for result in results), len(results)
    low, high = wilson_interval(successes, n)
    failures = Counter(result.reason.split(":")[0] for result in results if not result.success)
    elapsed = sorted(result.elapsed for result in results if result.success)
    (folder / "episodes.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    write_summary(
        folder,
        seed=seed,
        task=request.task,
        robot=request.robot,
        method=request.method,
        condition=request.condition,
        mode="in_process",
        trials=n,
        successes=successes,
        latency_ms={"frame": percentiles_ms([result.seconds for result in results])},
        failures=dict(failures),
        correspondence=request.correspondence,
        tracker=request.tracker,
        reproject=request.reproject,
        camera_monitor=request.camera_monitor,
        imposed_latency_frames=request.latency,
        frame_jitter=request.frame_jitter,
        frame_drop=request.frame_drop,
        median_elapsed_s=elapsed[len(elapsed) // 2] if elapsed else None,
    )
    console.print(
        f"[bold]{request.task}/{request.method}[/] on {request.robot}, condition {request.condition}, {n} unseen scenes: "
        f"[bold]{successes}/{n} = {successes / n:.3f}[/], 95 % interval {low:.3f} .. {high:.3f} (Wilson)"
    )
    for reason, count in failures.most_common():
        console.print(f"  {count} x {reason}")
    console.print(f"  {folder}/summary.json")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Evaluates a checkpoint on rendered frames.")
    parser.add_argument("--task", default="clock_button")
    parser.add_argument("--method", default="atk", help="checkpoint, or a control of ATK's")
    parser.add_argument("--condition", default="light", help="rp, rb, ro, light, or names joined by +")
    parser.add_argument("--training-seed", type=int, default=0, help="of the checkpoint")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--correspondence", default="descriptors")
    parser.add_argument("--tracker", default="hybrid")
    parser.add_argument("--latency", type=int, default=0, help="imposed latency in frames")
    parser.add_argument("--frame-jitter", type=float, default=0.0, help="longest delay of an exposure [s]")
    parser.add_argument("--frame-drop", type=float, default=0.0, help="probability that a frame is lost")
    parser.add_argument(
        "--reproject",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the camera is calibrated, so that keypoints are moved into the view of the training",
    )
    parser.add_argument("--camera-monitor", choices=MODES, default="watch", help="what is done about a moved camera")
    parser.add_argument("--n", type=int, default=100, help="scenes")
    parser.add_argument("--seed", type=int, default=0, help="chooses the scenes")
    add_worker_options(parser)
    add_folder_options(parser)
    args = parser.parse_args()
    request = EvaluationRequest(
        args.task,
        args.method,
        args.condition,
        args.robot,
        args.correspondence,
        args.tracker,
        args.latency,
        args.frame_jitter,
        args.frame_drop,
        args.textures_dir,
        args.objects_dir,
        args.reproject,
        args.camera_monitor,
        args.training_seed,
    )
    jobs = [(request, seed) for seed in scenes(args.seed, args.n)]
    console = make_console()
    try:
        parse_condition(args.condition)
        Evaluator(request).close()  # what is wrong with the request shows here, before any process is started
        results = list(
            track(in_order(run_scene, jobs, Workers(args.workers, args.ray)), "scenes", total=args.n, console=console)
        )
    except KeypointError as error:
        sys.exit(str(error))
    folder = new_run_folder(f"evaluate-{args.task}")
    report(request, results, folder, args.seed, console)


if __name__ == "__main__":
    main()

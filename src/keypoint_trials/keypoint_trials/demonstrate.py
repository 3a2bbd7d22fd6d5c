"""Records demonstrations in simulation, with the scripted expert in the place of a person.

    python -m keypoint_trials.demonstrate --task clock_button --n 40

Each becomes a bag like those that the recorder makes of a real arm. `keypoint_training.recorded.train` learns from both. Now
and then the arm is pushed off its way, so that the demonstrator shows how to get back (Laskey et al., CoRL 2017); what he
wants is recorded, not the push.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

from keypoint_core.arms.description import DEFAULT_ROBOT, load_arm, robot_name
from keypoint_core.errors import KeypointError
from keypoint_core.runs import new_run_folder, write_summary
from keypoint_core.types import SECOND, ActionChunk
from keypoint_sim.disturbances import parse_condition
from keypoint_sim.experts import ChunkPlayer
from keypoint_sim.tasks.base import Outcome, TaskStatus
from keypoint_sim.world import World
from keypoint_trials.console import make_console
from keypoint_trials.definitions import make_typestore
from keypoint_trials.messages import MessageMaker
from keypoint_trials.recording import Recorder, RecorderParameters
from keypoint_trials.topics import RECORDED

SCENES = 600_000  # scenes of demonstrations begin here; evaluation and training use others
ACT, JUDGE = 5, 6  # of TrialState
REST, PUSH = (0.3, 1.5), (0.1, 0.4)  # how long the arm is left alone, and pushed [s]
COMMANDER = "expert"
OUTCOMES = {Outcome.SUCCESS: 1, Outcome.FAILURE: 2}  # of TaskStatus


class Pushes:
    """Offsets on joint targets that come and go.

    Args:
        sigma: of an offset [rad].
        joints: D.
        seed: of the scene.
    """

    def __init__(self, sigma: float, joints: int, seed: int) -> None:
        self._rng, self._sigma, self._joints = np.random.default_rng(seed), sigma, joints
        self._offset, self._pushed, self._until = np.zeros(joints), False, self._rng.uniform(*REST)

    def applied_to(self, chunk: ActionChunk) -> ActionChunk:
        """The chunk as it is carried out."""
        if chunk.stamp >= self._until * SECOND:
            self._pushed = not self._pushed
            self._until = chunk.stamp / SECOND + self._rng.uniform(*(PUSH if self._pushed else REST))
            self._offset = self._rng.normal(0.0, self._sigma, self._joints) if self._pushed else np.zeros(self._joints)
        return replace(chunk, positions=chunk.positions + self._offset)


class Demonstrator:
    """A world whose expert acts while everything is recorded.

    Args:
        task, robot: names.
        folder: of the bags.
        push: standard deviation of pushes on the joints [rad].
    """

    def __init__(self, task: str, robot: str, folder: Path, push: float = 0.0) -> None:
        self._push = push
        store = make_typestore(topic.type for topic in RECORDED)
        topics = {"/" + topic.name.lstrip("/"): topic for topic in RECORDED}
        self._recorder = Recorder(topics, store, RecorderParameters(str(folder)))
        self._messages, self.world = MessageMaker(store), World(task, robot)
        arm = load_arm(robot)
        self._joints, self._gripper = arm.joint_names, arm.gripper.name if arm.gripper else ""

    def record(self, name: str, seed: int, condition: str) -> TaskStatus:
        """One demonstration as the bag `name`."""
        world, make = self.world, self._messages
        world.reset(seed, condition)
        expert, state = world.expert(), world.state()
        player, tick = ChunkPlayer(state.position, state.gripper), world.timing.control_period
        pushes = Pushes(self._push, len(self._joints), seed)
        self._note("/camera/color/camera_info", make.camera_info(0, world.camera.intrinsics))
        self._note("/trial/state", make.trial_state(0, name, ACT))
        while world.status().outcome == Outcome.RUNNING:
            self._note("/joint_states", make.robot_state(world.state(), self._joints, self._gripper))
            if world.frame_due:
                color, depth = make.frame(world.capture())
                self._note("/camera/color/image_raw", color)
                if depth is not None:
                    self._note("/camera/depth_registered/image_raw", depth)
                chunk = expert.act()
                self._note("/policy/action", make.action(chunk, COMMANDER, self._joints, self._gripper))
                player.take(pushes.applied_to(chunk))
            world.step(player.command(world.stamp + tick, tick))
        status, stamp = world.status(), world.stamp
        self._note("/joint_states", make.robot_state(world.state(), self._joints, self._gripper))
        outcome = OUTCOMES[status.outcome]
        self._note("/task/status", make.task_status(stamp, seed, outcome, status.reason, status.elapsed))
        self._note("/trial/state", make.trial_state(stamp, name, JUDGE, status.elapsed))
        self._recorder.close()
        return status

    def close(self) -> None:
        """Frees the world."""
        self.world.close()

    def _note(self, topic: str, data: bytes) -> None:
        self._recorder.handle(topic, self.world.stamp, data)
        if self._recorder.status.error:
            raise KeypointError(self._recorder.status.error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Records demonstrations of the scripted expert in simulation.")
    parser.add_argument("--task", default="clock_button")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--condition", default="rp", help="rp, rb, ro, light, or names joined by +")
    parser.add_argument("--n", type=int, default=40, help="demonstrations")
    parser.add_argument("--seed", type=int, default=0, help="chooses the scenes")
    parser.add_argument("--push", type=float, default=0.012, help="on the joints, standard deviation [rad]; 0 for none")
    parser.add_argument("--folder", type=Path, default=None, help="of the bags (default: a new run)")
    options, console = parser.parse_args(arguments), make_console()
    try:
        parse_condition(options.condition)
        folder = options.folder or new_run_folder(f"demonstrations-{options.task}")
        demonstrator = Demonstrator(options.task, options.robot, folder, options.push)
        numbers = track(range(options.n), "demonstrations", console=console)
        first = SCENES + 1000 * options.seed
        done = [demonstrator.record(f"{i:03d}", first + i, options.condition) for i in numbers]
        demonstrator.close()
    except KeypointError as error:
        sys.exit(str(error))
    successes = sum(status.outcome == Outcome.SUCCESS for status in done)
    scene = {"seed": options.seed, "task": options.task, "robot": options.robot, "condition": options.condition}
    write_summary(folder, **scene, method="expert", mode="in_process", trials=options.n, successes=successes)
    console.print(f"{successes} of {options.n} succeed: {folder}")


if __name__ == "__main__":
    main()

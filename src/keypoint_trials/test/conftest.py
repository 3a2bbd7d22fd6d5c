import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from keypoint_core.types import Intrinsics
from keypoint_trials.definitions import make_typestore
from keypoint_trials.messages import MessageMaker
from keypoint_trials.recording import Recorder, RecorderParameters
from keypoint_trials.topics import RECORDED

DEFINITIONS = Path(__file__).parents[2] / "keypoint_interfaces" / "msg"
SECOND = 1_000_000_000
BEGIN = 1_800_000_000 * SECOND
FRAME = "camera_color_optical_frame"
JOINTS = [f"J{index}" for index in range(1, 7)]


@pytest.fixture(scope="session", autouse=True)
def interface_definitions(tmp_path_factory):
    """Message definitions from the sources where the workspace is not built."""
    prefix = tmp_path_factory.mktemp("prefix")
    share = prefix / "share" / "keypoint_interfaces"
    share.mkdir(parents=True)
    (share / "msg").symlink_to(DEFINITIONS)
    before = os.environ.get("AMENT_PREFIX_PATH", "")
    os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join(filter(None, [before, str(prefix)]))
    yield
    os.environ["AMENT_PREFIX_PATH"] = before


@pytest.fixture(scope="session")
def store(interface_definitions):
    return make_typestore(topic.type for topic in RECORDED)


class Messages(MessageMaker):
    """Makes serialised messages as the graph publishes them; `stamp` is simulated time [ns]."""

    def __init__(self, store, size=(160, 120), count=5):
        super().__init__(store)
        self.size, self.count = size, count

    def pixels(self, index):
        """Keypoints [N, 2] that wander to the right."""
        width, height = self.size
        along = np.arange(self.count) / self.count
        return np.stack([width * (0.2 + 0.5 * along) + 0.6 * index, height * (0.3 + 0.4 * along**2)], axis=1)

    def picture(self, index):
        """Image [H, W, 3] uint8 RGB: reddish, with a disc at each keypoint."""
        width, height = self.size
        shade = np.linspace(90, 200, width)[None, :, None] * np.array([1.0, 0.8, 0.7])
        picture = np.broadcast_to(shade, (height, width, 3)).astype(np.uint8).copy()
        for u, v in self.pixels(index):
            cv2.circle(picture, (round(u), round(v)), width // 40, (40, 60, 90), -1, cv2.LINE_AA)
        return picture

    def color(self, index, stamp):
        return self.image(stamp, self.picture(index), "rgb8", FRAME)

    def depth(self, index, stamp):
        return self.image(stamp, self.depth_values(index), "32FC1", FRAME)

    def depth_values(self, index):
        depth = np.full(self.size[::-1], 0.9 + 0.001 * index, np.float32)
        depth[:10, :10] = np.nan
        return depth

    def camera_info(self, stamp):
        width, height = self.size
        return super().camera_info(stamp, Intrinsics(width, height, 200.0, 201.0, width / 2, height / 2))

    def keypoints(self, index, stamp, status=None):
        pixels = self.pixels(index).astype(np.float32)
        status = np.zeros(self.count, np.uint8) if status is None else np.asarray(status, np.uint8)
        message = self.make(
            "keypoint_interfaces/msg/Keypoints",
            header=self.header(stamp),
            image_width=self.size[0],
            image_height=self.size[1],
            ids=np.arange(self.count, dtype=np.int32),
            u=pixels[:, 0].copy(),
            v=pixels[:, 1].copy(),
            confidence=np.full(self.count, 0.9, np.float32),
            status=status,
            x=np.zeros(self.count, np.float32),
            y=np.zeros(self.count, np.float32),
            z=np.full(self.count, 0.9, np.float32),
            camera_pose=np.eye(4).ravel(),
        )
        return self.pack(message)

    def action(self, stamp, horizon=8):
        def point(row):
            duration = round((row + 1) * SECOND / 15)
            since = self.make("builtin_interfaces/msg/Duration", sec=0, nanosec=duration % SECOND)
            positions = np.append(np.full(6, 0.1 * row), -0.175)
            empty = np.zeros(0)
            return self.make(
                "trajectory_msgs/msg/JointTrajectoryPoint",
                positions=positions,
                velocities=empty,
                accelerations=empty,
                effort=empty,
                time_from_start=since,
            )

        names = [*JOINTS, "chopsticks"]
        header = self.header(stamp, "policy")
        points = [point(row) for row in range(horizon)]
        return self.pack(
            self.make("trajectory_msgs/msg/JointTrajectory", header=header, joint_names=names, points=points)
        )

    def joint_state(self, stamp, value):
        return super().joint_state(stamp, [*JOINTS, "chopsticks"], np.full(7, value), np.zeros(7))

    def arm_state(self, stamp, mode=1, reasons=(), message="", observation=0):
        joints = np.zeros(6)
        return self.pack(
            self.make(
                "keypoint_interfaces/msg/ArmState",
                header=self.header(stamp),
                mode=mode,
                reasons=np.array(reasons, np.uint8),
                message=message,
                commander="policy",
                at_home=False,
                joint_names=JOINTS,
                position=joints,
                velocity=joints,
                commanded_position=joints,
                applied_position=joints,
                applied_velocity=joints,
                gripper_position=-0.175,
                gripper_applied=-0.175,
                observation=self.time(observation),
            )
        )

    def trial_state(self, stamp, trial, phase, elapsed=0.0):
        return self.pack(
            self.make(
                "keypoint_interfaces/msg/TrialState",
                header=self.header(stamp),
                trial=trial,
                phase=phase,
                elapsed=elapsed,
                keypoints_visible=self.count,
                keypoints_total=self.count,
                message="",
            )
        )

    def timing(self, stamp, stage, received, finished, compute):
        return self.pack(
            self.make(
                "keypoint_interfaces/msg/StageTiming",
                header=self.header(stamp),
                stage=stage,
                received=self.time(received),
                finished=self.time(finished),
                compute=compute,
            )
        )

    def frame_timings(self, stamp, now):
        """Stages that compute 5, 2, 1 and 0.1 ms with 1 ms of transport between; applied 11.1 ms after exposure."""
        at = now
        for stage, compute in (("camera", 5_000_000), ("tracker", 2_000_000), ("policy", 1_000_000), ("arm", 100_000)):
            yield self.timing(stamp, stage, at, at + compute, compute / SECOND)
            at += compute + 1_000_000

    def trial(self, trial="trial-00", frames=30):
        """Topic, time of reception and message of a whole trial at 15 frames per second."""
        yield "/camera/color/camera_info", BEGIN, self.camera_info(0)
        yield "/camera/color/image_raw", BEGIN, self.color(0, 0)  # before the trial
        for offset, phase in enumerate((1, 2, 3, 4)):
            yield "/trial/state", BEGIN + offset, self.trial_state(0, trial, phase)
        for index in range(frames):
            stamp = index * SECOND // 15
            now = BEGIN + SECOND + stamp
            yield "/trial/state", now, self.trial_state(stamp, trial, 5, stamp / SECOND)
            yield "/camera/color/image_raw", now, self.color(index, stamp)
            yield "/camera/depth_registered/image_raw", now, self.depth(index, stamp)
            status = [0, 0, 0, 1 if index > frames // 2 else 0, 2 if index > frames // 3 else 0]
            yield "/perception/keypoints", now, self.keypoints(index, stamp, status)
            yield "/policy/action", now, self.action(stamp)
            yield "/joint_states", now, self.joint_state(stamp, 0.01 * index)
            slowed = index % 7 == 3
            yield "/arm/state", now, self.arm_state(stamp, 1, [6] if slowed else [], observation=stamp)
            for timing in self.frame_timings(stamp, now):
                yield "/timing", now, timing
        end = BEGIN + SECOND + frames * SECOND // 15
        yield "/trial/state", end, self.trial_state(frames * SECOND // 15, trial, 6, frames / 15)
        yield "/trial/state", end + 1, self.trial_state(frames * SECOND // 15, "", 0)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def messages(store):
    return Messages(store)


@pytest.fixture(scope="session")
def make_recorder(store):
    """A recorder of all topics in the root namespace."""

    def make(folder, clock=None, **options):
        topics = {"/" + topic.name.lstrip("/"): topic for topic in RECORDED}
        parameters = RecorderParameters(str(folder), **{"min_free": 0, **options})
        return Recorder(topics, store, parameters, clock or Clock())

    return make


@pytest.fixture(scope="session")
def record_trial(make_recorder, messages):
    """Records one synthetic trial and returns its bag."""

    def record(folder, trial="trial-00", frames=30):
        recorder = make_recorder(folder)
        for name, stamp, data in messages.trial(trial, frames):
            recorder.handle(name, stamp, data)
        recorder.close()
        return folder / trial

    return record

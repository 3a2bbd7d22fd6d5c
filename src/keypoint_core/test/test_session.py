"""A track keeps all keypoints in their order, and the pipeline puts its parts together in the right order."""

from dataclasses import replace

import numpy as np
import pytest

from keypoint_core.errors import TrackingError
from keypoint_core.pipeline import Pipeline
from keypoint_core.tracking.session import TrackingSession
from keypoint_core.types import ActionChunk, Frame, Intrinsics, Keypoints, KeypointStatus, Observation, RobotState

IDS = np.array([7, 3, 11, 5], dtype=np.int32)
VISIBLE, LOST = KeypointStatus.VISIBLE, KeypointStatus.LOST


def frame(stamp: int) -> Frame:
    return Frame(stamp, np.zeros((8, 8, 3), np.uint8), None, Intrinsics(8, 8, 8.0, 8.0, 3.5, 3.5))


def keypoints(stamp: int, ids: np.ndarray = IDS, status: tuple[int, ...] = (0, 0, 0, 0), offset: float = 0.0):
    n = len(ids)
    pixels = np.stack([ids + offset, ids + offset], axis=1).astype(np.float32)
    state = np.array(status[:n], np.uint8)
    return Keypoints(stamp, ids, pixels, np.full(n, 0.5, np.float32), state, np.full((n, 3), 1, np.float32))


class FakeTracker:
    """Moves what it was started on by one pixel a frame, and hands it back in reversed order when asked to."""

    def __init__(self, backwards: bool = False) -> None:
        self.calls: list[str] = []
        self._ids, self._offset, self._backwards = IDS, 0.0, backwards

    def start(self, frame: Frame, pixels: np.ndarray, ids: np.ndarray) -> Keypoints:
        self.calls.append("start")
        assert len(pixels) == len(ids)
        self._ids, self._offset = ids[::-1] if self._backwards else ids, 0.0
        return keypoints(frame.stamp, self._ids)

    def track(self, frame: Frame) -> Keypoints:
        self.calls.append("track")
        self._offset += 1
        return keypoints(frame.stamp, self._ids, offset=self._offset)

    def reset(self) -> None:
        self.calls.append("reset")


@pytest.mark.parametrize("backwards", [False, True])
def test_lost_keypoints_stay_lost_in_their_place(backwards: bool) -> None:
    session = TrackingSession(FakeTracker(backwards))
    started = session.start(frame(1), keypoints(1, status=(VISIBLE, LOST, VISIBLE, LOST)))
    tracked = session.track(frame(2))
    for result, offset in ((started, 0), (tracked, 1)):
        assert result.ids.tolist() == IDS.tolist()
        assert result.status.tolist() == [VISIBLE, LOST, VISIBLE, LOST]
        assert result.pixels[:, 0].tolist() == [7 + offset, 3, 11 + offset, 5]
        assert result.confidence.tolist() == [0.5, 0, 0.5, 0]
        assert np.isnan(result.points[1]).all() and np.isfinite(result.points[0]).all()
    assert (started.stamp, tracked.stamp) == (1, 2)


def test_the_located_keypoints_are_left_as_they_were() -> None:
    session, located = TrackingSession(FakeTracker()), keypoints(1, status=(VISIBLE, LOST, VISIBLE, LOST))
    session.start(frame(1), located)
    session.track(frame(2))
    assert located.pixels[:, 0].tolist() == IDS.tolist() and located.confidence.tolist() == [0.5] * 4


def test_another_frame_is_refused_with_both_stamps() -> None:
    with pytest.raises(TrackingError, match=r"frame 1.*frame 2"):
        TrackingSession(FakeTracker()).start(frame(2), keypoints(1))


def test_without_any_located_keypoint_there_is_nothing_to_track() -> None:
    session = TrackingSession(FakeTracker())
    with pytest.raises(TrackingError, match="nothing to track"):
        session.start(frame(1), keypoints(1, status=(LOST,) * 4))
    assert not session.active


def test_tracking_needs_a_start() -> None:
    session = TrackingSession(FakeTracker())
    with pytest.raises(TrackingError, match="start first"):
        session.track(frame(1))
    session.start(frame(1), keypoints(1))
    assert session.active
    session.reset()
    assert not session.active
    with pytest.raises(TrackingError, match="start first"):
        session.track(frame(2))


def test_the_pipeline_locates_once_then_tracks_and_acts() -> None:
    calls: list[str] = []

    class Parts:
        def locate(self, frame: Frame) -> Keypoints:
            calls.append("locate")
            return keypoints(frame.stamp)

        def reset(self) -> None:
            calls.append("policy reset")

        def act(self, observation: Observation) -> ActionChunk:
            calls.append("act")
            return ActionChunk(observation.keypoints.stamp, 0.1, observation.state.position[None], np.zeros(1))

    tracker, parts = FakeTracker(), Parts()
    pipeline = Pipeline(parts, tracker, parts)
    started = pipeline.start(frame(1))
    tracked = pipeline.track(frame(2))
    chunk = pipeline.act(tracked, RobotState(2, np.ones(6), np.zeros(6), np.zeros(6)))
    assert calls == ["policy reset", "locate", "act"] and tracker.calls == ["reset", "start", "track"]
    assert (started.stamp, tracked.stamp, chunk.stamp) == (1, 2, 2)
    assert np.array_equal(chunk.positions, np.ones((1, 6)))
    assert replace(tracked, stamp=1).ids.tolist() == IDS.tolist()


class FakeMonitor:
    """Follows a camera that moves by one metre a frame."""

    report = "moved"

    def __init__(self) -> None:
        self.camera_pose: np.ndarray | None = None

    def calibrate(self, pose: np.ndarray | None) -> None:
        self.camera_pose = pose

    def start(self, frame: Frame) -> None:
        assert self.camera_pose is not None

    def update(self, frame: Frame) -> None:
        self.camera_pose = self.camera_pose + np.eye(4, k=3)


@pytest.mark.parametrize("status", [(VISIBLE,) * 4, (VISIBLE, LOST, VISIBLE, LOST)], ids=["all", "some"])
def test_every_frame_has_the_pose_of_its_camera(status: tuple[int, ...]) -> None:
    session = TrackingSession(FakeTracker(), FakeMonitor())
    session.calibrate(np.eye(4))
    poses = [session.start(frame(1), keypoints(1, status=status)).camera_pose]
    poses += [session.track(frame(stamp)).camera_pose for stamp in (2, 3)]
    assert [pose[0, 3] for pose in poses] == [0, 1, 2] and session.camera_report == "moved"


def test_without_a_monitor_the_calibration_holds() -> None:
    session = TrackingSession(FakeTracker())
    assert session.start(frame(1), keypoints(1)).camera_pose is None
    session.calibrate(np.eye(4))
    np.testing.assert_array_equal(session.track(frame(2)).camera_pose, np.eye(4))
    assert session.camera_report == ""


def test_the_policy_sees_the_training_view_and_the_track_stays_as_it_is() -> None:
    calls: list[str] = []

    class View:
        def reset(self) -> None:
            calls.append("view reset")

        def apply(self, keypoints: Keypoints) -> Keypoints:
            return replace(keypoints, pixels=keypoints.pixels + 100)

    class Parts:
        def locate(self, frame: Frame) -> Keypoints:
            return keypoints(frame.stamp)

        def reset(self) -> None:
            calls.append("policy reset")

        def act(self, observation: Observation) -> ActionChunk:
            calls.append(f"act on {observation.keypoints.pixels[0, 0]:.0f}")
            return ActionChunk(observation.keypoints.stamp, 0.1, observation.state.position[None], np.zeros(1))

    pipeline = Pipeline(Parts(), FakeTracker(), Parts(), View())
    started = pipeline.start(frame(1), np.eye(4))
    pipeline.act(started, RobotState(1, np.ones(6), np.zeros(6), np.zeros(6)))
    assert calls == ["policy reset", "view reset", "act on 107"] and started.pixels[0, 0] == 7
    np.testing.assert_array_equal(started.camera_pose, np.eye(4))
    assert pipeline.start(frame(2)).camera_pose is None, "the calibration of another start does not hold for ever"

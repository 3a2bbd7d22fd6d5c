"""Tracks keypoints in every camera frame, from the moment it is given their pixels."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import cv2
from geometry_msgs.msg import PoseStamped
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from keypoint_interfaces.msg import StageTiming
from keypoint_interfaces.srv import StartTracking
from std_srvs.srv import Trigger

from keypoint_core.camera_monitor.monitor import MODES, CameraMonitor
from keypoint_core.errors import InputError, TrackingError
from keypoint_core.frame_health import FrameMonitor
from keypoint_core.geometry.pose import Pose
from keypoint_core.parameters import parameter
from keypoint_core.tracking import TRACKERS
from keypoint_core.tracking.session import TrackingSession
from keypoint_core.tracking.tracks import checked_pixels
from keypoint_core.types import Frame, Keypoints
from keypoint_ros.conversions import from_keypoints, from_pose, to_keypoints
from keypoint_ros.frames import FrameSubscriber, ReceivedFrame
from keypoint_ros.node import KeypointNode, run
from keypoint_ros.qos import LATCHED, PUBLISH_STREAM
from keypoint_ros.timing import TimingPublisher
from keypoint_ros.worker import LatestWorker


@dataclass(frozen=True)
class TrackerParameters:
    """Parameters of the tracker node."""

    backend: str = parameter("hybrid", "how keypoints are tracked: a name of keypoint_core.tracking")
    ring: int = parameter(
        90,
        "frames kept, so that a track can start on the frame that was located, which takes a while; 2 MB each at 640x480",
        unit="frames",
        minimum=1,
        maximum=300,
    )
    depth: bool = parameter(True, "wait for registered depth and lift keypoints to 3D")
    camera_pose: tuple[float, ...] = parameter(
        (0.0,) * 7,
        "calibrated camera: its colour optical frame in the arm's base frame, x y z [m] and quaternion x y z w; all 0: "
        "what comes on camera/pose, if anything",
    )
    camera_monitor: str = parameter(
        "watch",
        "a camera that is moved during a trial: off, watch (say so) or follow (also go on from its new pose)",
        choices=MODES,
    )


@dataclass(frozen=True)
class _Start:
    """Keypoints to start on, their frame, and the frames since; the camera's calibration, if it is a new one."""

    keypoints: Keypoints
    frames: tuple[ReceivedFrame, ...]
    calibration: Pose | None


class TrackerNode(KeypointNode):
    """Topic perception/keypoints, services ~/start and ~/reset; listens to camera/pose as well as to the camera."""

    Parameters = TrackerParameters

    def __init__(self) -> None:
        super().__init__("tracker")
        self._session: TrackingSession | None = None
        self._worker: LatestWorker[ReceivedFrame | _Start] | None = None
        self._ring: OrderedDict[int, ReceivedFrame] = OrderedDict()
        self._wanted = False
        self._begun = -1  # stamp of the frame that was started on last [ns]
        self._newest = -1  # stamp of the frame tracked last [ns]
        self._message: KeypointsMsg | None = None
        self._calibration: Pose | None = None  # since the last start
        self._health = FrameMonitor()
        self._complaint = ""  # about the frame tracked last
        self._said = ""  # what the diagnostics say, when not all is well
        self._publisher = self.create_publisher(KeypointsMsg, "perception/keypoints", PUBLISH_STREAM)
        self._timing = TimingPublisher(self, StageTiming.TRACKER)
        depth, lockstep = self.parameters.depth, self.lockstep
        self._camera = FrameSubscriber(self, self._on_frame, self.report, depth, lockstep, self._on_repeat)
        self.create_subscription(PoseStamped, "camera/pose", self._on_camera_pose, LATCHED)
        self.create_service(StartTracking, "~/start", self._start)
        self.create_service(Trigger, "~/reset", self._reset)

    def configure(self) -> None:
        """Loads the tracker."""
        cv2.setNumThreads(1)
        p = self.parameters
        self._session = TrackingSession(TRACKERS.create(p.backend), CameraMonitor(p.camera_monitor))
        if len(p.camera_pose) != 7:
            raise InputError(f"parameter 'camera_pose' needs x y z and a quaternion x y z w, got {p.camera_pose}")
        if any(p.camera_pose):
            self._calibration = Pose(p.camera_pose[:3], p.camera_pose[3:])

    def activate(self) -> None:
        """Starts the worker."""
        capacity = self.parameters.ring if self.lockstep else 2  # a start must not push out the newest frame
        self._worker = LatestWorker(
            "tracker", self._work, self.failed, lambda: self.diagnostics.count("frames dropped"), capacity
        )

    def deactivate(self) -> None:
        """Ends the worker."""
        self._wanted = False
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _on_frame(self, received: ReceivedFrame) -> None:
        self.diagnostics.tick("frames")
        self._ring[received.stamp] = received
        while len(self._ring) > self.parameters.ring:
            self._ring.popitem(last=False)
        if self._wanted and self._worker is not None:
            self._worker.submit(received)

    def _on_camera_pose(self, message: PoseStamped) -> None:
        """A calibration counts from the next start on."""
        try:
            self._calibration = from_pose(message)
        except InputError as error:
            self.report(f"camera/pose: {error}")

    def _on_repeat(self, stamp: int) -> None:
        """Lockstep sends a frame again when nothing came of it: whoever missed our answer gets it again."""
        if self._wanted and self._message is not None and stamp == self._newest:
            self._publisher.publish(self._message)

    def _start(self, request: StartTracking.Request, response: StartTracking.Response) -> StartTracking.Response:
        if not self.active or self._worker is None:
            response.error_code, response.error_msg = StartTracking.Response.NOT_ACTIVE, "the tracker is not active"
            return response
        try:
            keypoints = from_keypoints(request.keypoints)
        except InputError as error:
            response.error_code, response.error_msg = StartTracking.Response.BAD_REQUEST, str(error)
            return response
        if self._wanted and keypoints.stamp == self._begun:
            return response  # asked again because the answer took long
        if keypoints.stamp not in self._ring:
            response.error_code = StartTracking.Response.NO_FRAME
            response.error_msg = f"the frame {keypoints.stamp} is not among the {len(self._ring)} frames kept"
            return response
        size = self._ring[keypoints.stamp].intrinsics
        try:
            checked_pixels(keypoints.pixels[keypoints.visible], (size.height, size.width))
        except TrackingError as error:
            response.error_code, response.error_msg = StartTracking.Response.BAD_REQUEST, str(error)
            return response
        self._wanted, self._begun = True, keypoints.stamp
        frames = tuple(received for stamp, received in self._ring.items() if stamp >= keypoints.stamp)
        calibration, self._calibration = self._calibration, None
        self._worker.submit(_Start(keypoints, frames, calibration))
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._wanted, self._message = False, None
        response.success = True
        return response

    def _work(self, item: ReceivedFrame | _Start) -> None:
        if self._session is None or not self._wanted:
            return
        if isinstance(item, _Start):
            self._begin(item)
        elif self._session.active and item.stamp > self._newest:
            self._track(item)

    def _begin(self, start: _Start) -> None:
        """Starts on the frame they were located in and catches up over the frames since."""
        if self._session is None:
            return
        self._session.reset()
        self._health.reset()
        if start.calibration is not None:
            self._session.calibrate(start.calibration.matrix)
        began = time.perf_counter()
        first = start.frames[0]
        self._publish(self._session.start(first.frame, start.keypoints), first, began)
        for received in start.frames[1:]:
            self._track(received)

    def report(self, message: str) -> None:
        """An error, such as a frame that cannot be used; the next keypoints end it."""
        super().report(message)
        self._said = message

    def _track(self, received: ReceivedFrame) -> None:
        if self._session is not None:
            began = time.perf_counter()
            self._complaint = self._health.examine(received.frame).complaint
            self._publish(self._session.track(received.frame), received, began)

    def _publish(self, keypoints: Keypoints, received: ReceivedFrame, began: float) -> None:
        compute = time.perf_counter() - began
        frame: Frame = received.frame
        self._newest = frame.stamp
        size = (frame.intrinsics.width, frame.intrinsics.height)
        self._message = to_keypoints(keypoints, frame.frame_id, size)
        self._publisher.publish(self._message)
        self._timing.publish(frame.stamp, received.received, compute)
        self.diagnostics.tick("keypoints")
        self._tell()

    def _tell(self) -> None:
        """What is wrong with the picture or the camera's pose stays in the diagnostics as long as it is so."""
        moved = self._session.camera_report if self._session is not None else ""
        words = "; ".join(filter(None, (self._complaint, moved)))
        if words:
            self.diagnostics.warn(words)
        elif self._said:
            self.diagnostics.ok()
        if words and not self._said:
            self.get_logger().warning(words)
        self._said = words


def main() -> None:
    """Runs the node."""
    run(TrackerNode)

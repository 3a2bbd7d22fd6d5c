"""What the recorder records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One recorded topic.

    Attributes:
        name: relative to the namespace of the graph; with a leading slash it is the same in every namespace.
        type: ROS type, "package/msg/Name".
        kept: the newest message is kept and opens every bag, since it may have been published long before.
        latched: the publisher offers transient local durability.
        reliable: the publisher offers reliable delivery.
        jpeg: a colour image that is recorded as sensor_msgs/CompressedImage on `<name>/compressed`.
        depth: a depth image that is recorded in whole millimetres where nothing is lost by that.
    """

    name: str
    type: str
    kept: bool = False
    latched: bool = False
    reliable: bool = True
    jpeg: bool = False
    depth: bool = False

    @property
    def recorded_name(self) -> str:
        """Name in the bag, relative as `name`."""
        return f"{self.name}/compressed" if self.jpeg else self.name

    @property
    def recorded_type(self) -> str:
        """Type in the bag."""
        return "sensor_msgs/msg/CompressedImage" if self.jpeg else self.type


TRIAL_STATE = Topic("trial/state", "keypoint_interfaces/msg/TrialState", kept=True, latched=True)

RECORDED = (
    Topic("camera/color/image_raw", "sensor_msgs/msg/Image", jpeg=True),
    Topic("camera/color/camera_info", "sensor_msgs/msg/CameraInfo", kept=True, latched=True),
    Topic("camera/depth_registered/image_raw", "sensor_msgs/msg/Image", depth=True),
    Topic("camera/depth_registered/camera_info", "sensor_msgs/msg/CameraInfo", kept=True, latched=True),
    Topic("perception/keypoints", "keypoint_interfaces/msg/Keypoints"),
    Topic("policy/action", "trajectory_msgs/msg/JointTrajectory"),
    Topic("joint_states", "sensor_msgs/msg/JointState"),
    Topic("arm/state", "keypoint_interfaces/msg/ArmState"),
    TRIAL_STATE,
    Topic("task/status", "keypoint_interfaces/msg/TaskStatus"),
    Topic("timing", "keypoint_interfaces/msg/StageTiming"),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray"),
    Topic("/clock", "rosgraph_msgs/msg/Clock", reliable=False),
)

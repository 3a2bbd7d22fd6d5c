"""Following keypoints from frame to frame."""

from keypoint_core.registry import Registry

TRACKERS = Registry("tracker", {"lucas_kanade": "keypoint_core.tracking.lucas_kanade:LucasKanade"})

"""Following keypoints from frame to frame."""

from keypoint_core.registry import Registry

TRACKERS = Registry(
    "tracker",
    {
        "lucas_kanade": "keypoint_core.tracking.lucas_kanade:LucasKanade",
        "hybrid": "keypoint_core.tracking.hybrid:HybridTracker",
        "descriptors": "keypoint_core.tracking.descriptor_tracker:DescriptorTracker",
        "cotracker": "keypoint_core.tracking.cotracker:CoTracker",
        "bootstapir": "keypoint_core.tracking.bootstapir:BootsTapir",
        "tapnext": "keypoint_core.tracking.tapnext:TapNext",
    },
)

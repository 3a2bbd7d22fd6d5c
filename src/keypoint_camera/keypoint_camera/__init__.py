"""The camera node and its back ends, found by name.

A back end is a `keypoint_core.protocols.Camera` made from its own `Parameters` and the `View` that it is to show.
"""

from keypoint_core.registry import Registry

CAMERAS = Registry(
    "camera",
    {
        "azure_kinect": "keypoint_camera.azure_kinect:AzureKinect",
        "replay": "keypoint_camera.replay:Replay",
    },
)

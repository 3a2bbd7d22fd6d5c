"""From keypoints and joint positions to action chunks."""

from keypoint_core.registry import Registry

POLICIES = Registry(
    "policy",
    {
        "keypoint_mlp": "keypoint_core.policies.keypoint_mlp:KeypointMlpPolicy",
        "image_mlp": "keypoint_core.policies.image_mlp:ImageMlpPolicy",
    },
)

"""Where are the reference keypoints in this frame?"""

from keypoint_core.registry import Registry

CORRESPONDENCES = Registry(
    "correspondence",
    {
        "descriptors": "keypoint_core.correspondence.feature_backends:DescriptorCorrespondence",
        "dift": "keypoint_core.correspondence.feature_backends:DiftCorrespondence",
        "dinov2": "keypoint_core.correspondence.feature_backends:DinoV2Correspondence",
        "sift_pnp": "keypoint_core.correspondence.sift_pnp:SiftPnp",
    },
)

"""Where are the reference keypoints in this frame?"""

from keypoint_core.registry import Registry

CORRESPONDENCES = Registry("correspondence", {"sift_pnp": "keypoint_core.correspondence.sift_pnp:SiftPnp"})

"""What does the picture show here? Dense features: one descriptor per cell of a grid over the image."""

from keypoint_core.registry import Registry

FEATURES = Registry(
    "feature extractor",
    {
        "descriptors": "keypoint_core.features.descriptors:DenseDescriptors",
        "dift": "keypoint_core.features.dift:Dift",
        "dinov2": "keypoint_core.features.dinov2:DinoV2",
    },
)

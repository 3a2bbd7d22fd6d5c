"""Correspondences by dense features: own descriptors joined with SIFT, DIFT, DINOv2."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.correspondence.feature_matcher import FeatureMatcher, FeatureMatcherSettings
from keypoint_core.correspondence.hypotheses import HypothesisSettings
from keypoint_core.correspondence.matches import JoinedMatcher, Matcher
from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.rigid_bodies import BodySettings, RigidBodies, require_depth
from keypoint_core.correspondence.sift_matcher import SiftMatcher, SiftSettings
from keypoint_core.features import FEATURES
from keypoint_core.protocols import FeatureExtractor


@dataclass(frozen=True)
class FeatureSettings(BodySettings):
    """Of the stages.

    Attributes:
        features: how features are matched.
        sift: of the SIFT matches that are added; None adds none.
    """

    features: FeatureMatcherSettings = field(default_factory=FeatureMatcherSettings)
    sift: SiftSettings | None = None


# A cell of a foundation model covers 7 to 16 px, and its match is off by some share of that.
_COARSE = HypothesisSettings(threshold=8.0, fine_threshold=5.0, pixel_sigma=3.0)


class FeatureCorrespondence(RigidBodies):
    """Locates keypoints by dense features and rigid poses.

    Args:
        reference: with depth.
        settings: see there.
        extractor: of the features; None takes the back end's own with its defaults.

    Raises:
        MissingDependencyError: the back end's package or weights are missing.
        CheckpointError: the weights are damaged.
    """

    name: str
    defaults = FeatureSettings()

    def __init__(
        self,
        reference: Reference,
        settings: FeatureSettings | None = None,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        require_depth(reference)
        settings = settings or self.defaults
        extractor = extractor or FEATURES.create(self.name)
        matcher: Matcher = FeatureMatcher(reference, extractor, settings.features)
        if settings.sift is not None:
            matcher = JoinedMatcher([SiftMatcher(reference, settings.sift), matcher])
        super().__init__(reference, matcher, settings)


class DescriptorCorrespondence(FeatureCorrespondence):
    """By the project's own descriptors and SIFT together."""

    name = "descriptors"
    defaults = FeatureSettings(sift=SiftSettings(channels=("gray",)))


class DiftCorrespondence(FeatureCorrespondence):
    """By features of a diffusion model."""

    name = "dift"
    defaults = FeatureSettings(hypotheses=_COARSE)


class DinoV2Correspondence(FeatureCorrespondence):
    """By DINOv2's patch tokens."""

    name = "dinov2"
    defaults = FeatureSettings(hypotheses=_COARSE)

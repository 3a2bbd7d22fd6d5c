"""Correspondence by SIFT matches."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypoint_core.correspondence.reference import Reference
from keypoint_core.correspondence.rigid_bodies import BodySettings, RigidBodies, require_depth
from keypoint_core.correspondence.sift_matcher import SiftMatcher, SiftSettings


@dataclass(frozen=True)
class SiftPnpSettings(BodySettings):
    """Of the stages.

    Attributes:
        sift: how features are matched.
    """

    sift: SiftSettings = field(default_factory=SiftSettings)


class SiftPnp(RigidBodies):
    """Locates keypoints by SIFT and rigid poses.

    Args:
        reference: with depth.
        settings: see there.
    """

    defaults = SiftPnpSettings()

    def __init__(self, reference: Reference, settings: SiftPnpSettings | None = None) -> None:
        require_depth(reference)
        settings = settings or self.defaults
        super().__init__(reference, SiftMatcher(reference, settings.sift), settings)

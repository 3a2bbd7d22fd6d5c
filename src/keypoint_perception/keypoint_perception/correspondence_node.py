"""Locates a checkpoint's keypoints in the camera image, when asked."""

from __future__ import annotations

from dataclasses import dataclass

from keypoint_interfaces.srv import Locate

from keypoint_core.checkpoint import Checkpoint, load_checkpoint
from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.errors import CheckpointError, CorrespondenceError
from keypoint_core.parameters import parameter
from keypoint_core.protocols import Correspondence
from keypoint_core.types import Frame
from keypoint_ros.conversions import from_stamp, to_keypoints
from keypoint_ros.frames import FrameSubscriber, ReceivedFrame
from keypoint_ros.node import KeypointNode, run


@dataclass(frozen=True)
class CorrespondenceParameters:
    """Parameters of the correspondence node."""

    checkpoint: str = parameter("", "folder of the checkpoint, absolute or relative to the models folder")
    backend: str = parameter("descriptors", "how keypoints are located: a name of keypoint_core.correspondence")


class CorrespondenceNode(KeypointNode):
    """Service ~/locate."""

    Parameters = CorrespondenceParameters

    def __init__(self) -> None:
        super().__init__("correspondence")
        self._checkpoint: Checkpoint | None = None
        self._correspondence: Correspondence | None = None
        self._newest: ReceivedFrame | None = None
        self._answered: tuple[int, Locate.Response] | None = None  # the last stamp asked for, and what was found
        self._camera = FrameSubscriber(self, self._on_frame, self.report, depth=True, lockstep=self.lockstep)
        self.create_service(Locate, "~/locate", self._locate)

    def configure(self) -> None:
        """Loads the reference view."""
        self._answered = None
        self._checkpoint = load_checkpoint(self.parameters.checkpoint)
        self._correspondence = CORRESPONDENCES.create(self.parameters.backend, self._checkpoint.reference())

    def _on_frame(self, received: ReceivedFrame) -> None:
        self.diagnostics.tick("frames")
        self._newest = received

    def _locate(self, request: Locate.Request, response: Locate.Response) -> Locate.Response:
        if not self.active or self._correspondence is None or self._checkpoint is None:
            response.error_code, response.error_msg = (
                Locate.Response.NOT_ACTIVE,
                "the correspondence node is not active",
            )
            return response
        since = from_stamp(request.stamp)
        if since and self._answered is not None and self._answered[0] == since:
            return self._answered[1]  # asked again because the answer took long
        if self._newest is None or self._newest.stamp < since:
            response.error_code = Locate.Response.NO_FRAME
            response.error_msg = "no frame since the stamp asked for; is the camera running, with depth?"
            return response
        self._answered = since, self._located(self._newest.frame, response)
        return response

    def _located(self, frame: Frame, response: Locate.Response) -> Locate.Response:
        assert self._checkpoint is not None and self._correspondence is not None
        try:
            self._checkpoint.require_camera(frame.intrinsics)
            located = self._correspondence.locate(frame)
        except (CorrespondenceError, CheckpointError) as error:
            response.error_code, response.error_msg = Locate.Response.REFUSED, str(error)
            self.diagnostics.warn(str(error))
            return response
        size = (frame.intrinsics.width, frame.intrinsics.height)
        response.keypoints = to_keypoints(located, frame.frame_id, size)
        self.diagnostics.ok(f"located {int(located.visible.sum())} of {len(located)}")
        return response


def main() -> None:
    """Runs the node."""
    run(CorrespondenceNode)

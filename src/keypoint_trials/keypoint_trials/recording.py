"""What the recorder does, without ROS: serialised messages in, one bag per trial out.

A `Recorder` opens and closes bags as the trial state says. Message stamps stay untouched. The log time of a message is
when it was received, by the system clock, in every mode: simulated stamps may stand still, the order of arrival does
not. Messages kept from before a bag get the log time of the message that opened it.

Colour is recorded as JPEG. Depth stays a plain image without loss: in millimetres (16UC1) where that gives back the very
same values, as from cameras that measure whole millimetres, else as it was published. The bag's chunks are compressed by
ZSTD, which takes a quarter of the time of PNG for a file a fifth larger.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from keypoint_core.errors import InputError
from keypoint_core.parameters import parameter
from keypoint_trials.bag import BagError, BagWriter, reliable
from keypoint_trials.images import encode_jpeg, in_millimetres, pixels_of
from keypoint_trials.topics import TRIAL_STATE, Topic

SUBSCRIPTION_DEPTH = 30  # messages
IDLE = 0  # TrialState.PHASE_IDLE
FLUSH_EVERY = 0.25  # [s] at most this and a chunk under way is lost by a kill
GRACE = 0.3  # [s] a bag stays open after its trial for what is still under way


@dataclass(frozen=True)
class RecorderParameters:
    """Parameters of the recorder node."""

    folder: str = parameter("", "bags become <folder>/<trial>; empty: runs/<time>-recording")
    always: bool = parameter(False, "one bag <folder>/recording from start to end instead of one per trial")
    jpeg_quality: int = parameter(90, "of recorded colour images", minimum=1, maximum=100)
    min_free: int = parameter(200, "a bag is closed when the disk has less", unit="MB", minimum=0, maximum=10**9)
    queue: int = parameter(
        256, "messages waiting to be written; beyond, they are dropped", unit="MB", minimum=1, maximum=10**5
    )


@dataclass(frozen=True)
class RecorderStatus:
    """How recording goes.

    Attributes:
        bag: folder of the open bag; empty without one.
        error: why nothing is recorded; empty when all is well.
        bags: finished so far.
        messages: written so far.
        missed: messages of trials that could not be written.
        dropped: messages that the full queue refused.
        queued: bytes in the queue.
    """

    bag: str = ""
    error: str = ""
    bags: int = 0
    messages: int = 0
    missed: int = 0
    dropped: int = 0
    queued: int = 0


class Recorder:
    """Follows the trial state and writes bags. One thread only.

    Args:
        topics: by the name they are received on, absolute.
        store: knows their types.
        parameters: see there; the folder is given.
        clock: steady clock [s], injected by tests.
    """

    def __init__(
        self,
        topics: dict[str, Topic],
        store: Typestore,
        parameters: RecorderParameters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.status = RecorderStatus()
        self._topics = topics
        self._store = store
        self._parameters = parameters
        self._clock = clock
        self._bag: BagWriter | None = None
        self._trial = ""
        self._kept: dict[str, bytes] = {}
        self._close_at: float | None = None
        self._flush_at = 0.0

    def handle(self, name: str, stamp: int, data: bytes) -> None:
        """Takes one serialised message with its time of reception [ns]."""
        topic = self._topics[name]
        if topic.kept:
            self._kept[name] = data
        opened = self._follow(topic, stamp, data)
        if self._bag is not None and not (opened and topic.kept):
            self._write(name, stamp, data)
        elif self.status.error and self._trial:
            self.status = replace(self.status, missed=self.status.missed + 1)

    def tick(self) -> None:
        """Flushes and closes when it is time; call it often, also without messages."""
        now = self._clock()
        if self._close_at is not None and now >= self._close_at:
            self._close()
        if self._bag is not None and now >= self._flush_at:
            self._flush_at = now + FLUSH_EVERY
            self._attempt(self._bag.flush)
            self._check_space()

    def close(self) -> None:
        """Ends the open bag."""
        self._close()

    def _follow(self, topic: Topic, stamp: int, data: bytes) -> bool:
        """Opens and closes bags; True when this message opened one."""
        if self._parameters.always:
            return not self._trial and self._open("recording", stamp)
        if topic.name != TRIAL_STATE.name:
            return False
        state: Any = self._store.deserialize_cdr(data, topic.type)
        if state.phase == IDLE:
            if self._trial and self._close_at is None:
                self._close_at = self._clock() + GRACE
            return False
        if state.trial == self._trial and self._close_at is None:
            return False
        self._close()
        return self._open(state.trial, stamp)

    def _open(self, trial: str, stamp: int) -> bool:
        """Opens the bag of a trial and begins it with what was kept."""
        self._trial = trial
        self.status = replace(self.status, error="")
        try:
            bag = BagWriter(free_folder(Path(self._parameters.folder), trial), self._store)
            for name, topic in self._topics.items():
                qos = [reliable(SUBSCRIPTION_DEPTH, topic.latched)]
                bag.add_topic(recorded_name(name, topic), topic.recorded_type, qos)
            bag.start()
        except (BagError, OSError) as error:
            self.status = replace(self.status, bag="", error=str(error))
            return False
        self._bag = bag
        self.status = replace(self.status, bag=str(bag.folder))
        for name, data in self._kept.items():
            self._write(name, stamp, data)
        return True

    def _write(self, name: str, stamp: int, data: bytes) -> None:
        topic, bag = self._topics[name], self._bag
        if bag is None:
            return
        try:
            encoded = self._encode(topic, data)
        except InputError as error:
            self.status = replace(self.status, error=str(error), missed=self.status.missed + 1)
            return
        if self._attempt(lambda: bag.write(recorded_name(name, topic), stamp, encoded)):
            self.status = replace(self.status, messages=self.status.messages + 1)

    def _encode(self, topic: Topic, data: bytes) -> bytes | memoryview:
        """The message as it is recorded; headers stay as they are."""
        if not (topic.jpeg or topic.depth):
            return data
        image: Any = self._store.deserialize_cdr(data, topic.type)
        if topic.jpeg:
            fields = {"format": f"{image.encoding}; jpeg compressed bgr8", "header": image.header}
            fields["data"] = encode_jpeg(image, self._parameters.jpeg_quality)
            return self._store.serialize_cdr(self._store.types[topic.recorded_type](**fields), topic.recorded_type)
        depth = in_millimetres(pixels_of(image, np.float32, 1)[..., 0]) if image.encoding == "32FC1" else None
        if depth is None:
            return data
        image = replace(image, encoding="16UC1", step=2 * image.width, data=depth.view(np.uint8).reshape(-1))
        return self._store.serialize_cdr(image, topic.type)

    def _attempt(self, action: Callable[[], None]) -> bool:
        """Runs a step of the open bag; where it fails the trial goes on unrecorded, with the error in the status."""
        try:
            action()
        except BagError as error:
            self._bag = None
            self.status = replace(self.status, bag="", error=str(error))
            return False
        return True

    def _check_space(self) -> None:
        """Closes the bag while the disk still has room for its index."""
        if self._bag is None:
            return
        folder, trial, need = self._bag.folder, self._trial, self._parameters.min_free * 10**6
        free = shutil.disk_usage(folder).free
        if free < need:
            self._close()
            self._trial = trial
            error = f"{folder} was closed early: {free // 10**6} MB free, {need // 10**6} MB needed; make room"
            self.status = replace(self.status, error=error)

    def _close(self) -> None:
        bag, self._bag = self._bag, None
        self._trial, self._close_at = "", None
        if bag is not None and self._attempt(bag.close):
            self.status = replace(self.status, bag="", bags=self.status.bags + 1)


def recorded_name(name: str, topic: Topic) -> str:
    """Absolute name in the bag of a topic received as `name`."""
    return f"{name}/compressed" if topic.jpeg else name


def free_folder(folder: Path, trial: str) -> Path:
    """`<folder>/<trial>`, with a count behind it where that exists; characters unfit for a folder become "_"."""
    stem = "".join(letter if letter.isalnum() or letter in "-_.+" else "_" for letter in trial).strip(".") or "trial"
    path, count = folder / stem, 1
    while path.exists():
        path, count = folder / f"{stem}-{count}", count + 1
    return path

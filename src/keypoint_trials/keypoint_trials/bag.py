"""Writes rosbag2 directories (metadata.yaml and one MCAP file) from serialised messages.

rosbags does the format. What is added here is what a crash needs: metadata is written at the start, and `flush` bounds
what a killed process loses. rosbags (pinned) ends a chunk only when it holds 1 MiB, so `flush` ends it by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys.store import Typestore

from keypoint_core.errors import KeypointError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MCAP_MAGIC = b"\x89MCAP0\r\n"
UNFINISHED = {"state": "recording"}
ZERO = QosTime(0, 0)
ZSTD_LEVEL = 2  # the best ratio for its time on depth images


class BagError(KeypointError):
    """A bag cannot be written or read."""


def reliable(depth: int, latched: bool) -> Qos:
    """QoS of a topic as a bag states it, so that `ros2 bag play` offers the same."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        ZERO,
        ZERO,
        QosLiveliness.AUTOMATIC,
        ZERO,
        False,
    )


class BagWriter:
    """One bag being written. Compressed by ZSTD in chunks, which every MCAP tool reads.

    Args:
        folder: of the bag; must not exist, its parents are made.
        store: knows the types that are recorded.

    Raises:
        BagError: the folder exists or cannot be made.
    """

    def __init__(self, folder: Path, store: Typestore) -> None:
        self.folder = folder
        self.messages = 0
        self._store = store
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
            self._writer.storage.compressor = lambda data: zstd.compress(data, ZSTD_LEVEL)
        except (OSError, WriterError) as error:
            raise BagError(f"cannot write a bag to {folder}: {error}; choose another folder") from error

    def add_topic(self, name: str, msgtype: str, qos: Sequence[Qos] = ()) -> None:
        """Announces a topic; all topics are announced before the first message."""
        self._connections[name] = self._writer.add_connection(
            name, msgtype, typestore=self._store, offered_qos_profiles=qos
        )

    def start(self) -> None:
        """Writes what is known to disk, so that the bag is recognisable from now on. Raises BagError."""
        try:
            (self.folder / "metadata.yaml").write_text(yaml.safe_dump(self._early_metadata()))
        except OSError as error:
            self.abort()
            raise BagError(f"cannot write to {self.folder}: {error}") from error
        self.flush()

    def write(self, topic: str, stamp: int, data: bytes | memoryview) -> None:
        """Writes one CDR message with its log time [ns]. Raises BagError; the bag is then cut off there."""
        self._guard(lambda: self._writer.write(self._connections[topic], stamp, data))
        self.messages += 1

    def flush(self) -> None:
        """Hands everything written so far to the operating system, where a killed process cannot lose it."""
        self._guard(self._flush)

    def close(self) -> None:
        """Writes index and metadata."""
        self._guard(self._writer.close)

    def abort(self) -> None:
        """Gives the bag up as it is; `recover` restores it."""
        with suppress(OSError, ValueError):  # the file may refuse its last bytes once more
            self._writer.abort()

    def _flush(self) -> None:
        storage = self._writer.storage
        if storage.chunk.bio.tell():
            storage.close_chunk()
        storage.bio.flush()

    def _guard(self, action: Any) -> None:
        """Runs a step that touches the disk and gives the bag up where it fails."""
        try:
            action()
        except OSError as error:
            self.abort()
            raise BagError(f"the bag {self.folder} is cut off: {error}; `recover` restores what was written") from error

    def _early_metadata(self) -> dict[str, Any]:
        topics = [
            {
                "topic_metadata": {
                    "name": connection.topic,
                    "type": connection.msgtype,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [],
                    "type_description_hash": connection.digest,
                },
                "message_count": 0,
            }
            for connection in self._connections.values()
        ]
        file = f"{self.folder.name}.mcap"
        time = {"starting_time": {"nanoseconds_since_epoch": 0}, "duration": {"nanoseconds": 0}, "message_count": 0}
        information = {
            "version": 9,
            "storage_identifier": "mcap",
            "relative_file_paths": [file],
            **time,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": file, **time}],
            "custom_data": UNFINISHED,
            "ros_distro": "rosbags",
        }
        return {"rosbag2_bagfile_information": information}


def bag_file(folder: Path) -> Path:
    """Returns the MCAP file of a bag directory.

    Raises:
        BagError: there is none, or more than one.
    """
    files = sorted(folder.glob("*.mcap"))
    if len(files) != 1:
        raise BagError(f"{folder} should hold one .mcap file, found {len(files)}")
    return files[0]


def is_finished(folder: Path) -> bool:
    """True for a bag that was closed properly: its file ends as MCAP files do and its metadata is final."""
    try:
        metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
        with bag_file(folder).open("rb") as file:
            file.seek(-len(MCAP_MAGIC), 2)
            whole = file.read() == MCAP_MAGIC
    except (OSError, BagError, yaml.YAMLError):
        return False
    information = (metadata or {}).get("rosbag2_bagfile_information", {})
    return whole and information.get("custom_data") != UNFINISHED


def find_bags(folder: Path) -> list[Path]:
    """All bag directories at or below a folder, in order of name."""
    return sorted({path.parent for path in folder.rglob("*.mcap")})

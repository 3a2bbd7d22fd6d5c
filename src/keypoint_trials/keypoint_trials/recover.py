"""Restores bags that a crash cut off: `recover FOLDER...` takes bags, or run folders with bags in them.

An MCAP file is a row of records, and its index comes last. A file that was cut off has no index, so readers that need
one refuse it. Here its records are read one by one up to the damage and written anew, with index and metadata. The
damaged file is kept as `<name>.mcap.damaged`. (Format: mcap.dev/spec.)
"""

from __future__ import annotations

import argparse
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lz4.frame import decompress as lz4_decompress
from rich.console import Console
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from keypoint_trials.bag import MCAP_MAGIC, BagError, bag_file, find_bags, is_finished

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


class DamageError(Exception):
    """The bytes from here on are not whole records."""


@dataclass(frozen=True)
class Recovery:
    """What became of one bag.

    Attributes:
        folder: the bag.
        messages: restored.
        duration: of what was restored [s].
        lost: bytes at the end that held no whole record.
        complete: nothing was to be done.
    """

    folder: Path
    messages: int = 0
    duration: float = 0.0
    lost: int = 0
    complete: bool = False


def records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields opcode and content of each whole record, those inside chunks too.

    Raises:
        DamageError: a record is cut off or makes no sense.
    """
    while head := file.read(9):
        if len(head) < 9 or head[0] == 0:
            raise DamageError
        opcode, size = struct.unpack("<BQ", head)
        content = file.read(size) if size < 1 << 32 else b""
        if len(content) < size:
            raise DamageError
        if opcode == DATA_END:
            return
        if opcode == CHUNK:
            yield from records(BytesIO(_unpack_chunk(content)))
        yield opcode, content


def _unpack_chunk(content: bytes) -> bytes:
    size, checksum = struct.unpack_from("<QI", content, 16)
    compression, at = _string(content, 28)
    packed = content[at + 8 :]
    try:
        if compression == "zstd":
            data = zstd.decompress(packed)
        else:
            data = lz4_decompress(packed) if compression == "lz4" else packed
    except (zstd.ZstdError, RuntimeError) as error:
        raise DamageError from error
    if len(data) != size or (checksum and zlib.crc32(data) != checksum):
        raise DamageError
    return data


def _string(content: bytes, at: int) -> tuple[str, int]:
    """A length-prefixed string at an offset, and the offset behind it."""
    (size,) = struct.unpack_from("<I", content, at)
    return content[at + 4 : at + 4 + size].decode(), at + 4 + size


class _Copy:
    """Writes records of a damaged bag to a new one."""

    def __init__(self, writer: Writer) -> None:
        self.messages, self.first, self.last = 0, 0, 0
        self._writer = writer
        self._schemas: dict[int, tuple[str, str]] = {}
        self._channels: dict[int, Connection] = {}

    def take(self, opcode: int, content: bytes) -> None:
        """Takes one record; kinds that the new bag makes itself are passed over."""
        if opcode == SCHEMA:
            name, at = _string(content, 2)
            _, at = _string(content, at)
            self._schemas[struct.unpack_from("<H", content)[0]] = (name, _string(content, at)[0])
        elif opcode == CHANNEL:
            self._add_channel(content)
        elif opcode == MESSAGE:
            channel, _, stamp, _ = struct.unpack_from("<HIQQ", content)
            self._writer.write(self._channels[channel], stamp, content[22:])
            self.first = min(self.first, stamp) if self.messages else stamp
            self.last = max(self.last, stamp)
            self.messages += 1

    def _add_channel(self, content: bytes) -> None:
        number, schema = struct.unpack_from("<HH", content)
        if number in self._channels:
            return
        topic, at = _string(content, 4)
        _, at = _string(content, at)
        name, text = self._schemas[schema]
        self._channels[number] = self._writer.add_connection(
            topic, name, msgdef=text, rihs01=_type_hash(name, text), offered_qos_profiles=parse_qos(_qos(content, at))
        )


def _qos(content: bytes, at: int) -> str:
    """The entry `offered_qos_profiles` of a channel's metadata; empty without."""
    end = at + 4 + struct.unpack_from("<I", content, at)[0]
    at += 4
    while at < end:
        key, at = _string(content, at)
        value, at = _string(content, at)
        if key == "offered_qos_profiles":
            return value
    return ""


def _type_hash(name: str, text: str) -> str:
    """Type hash of a message definition, which an MCAP file does not hold."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, name))
    return store.hash_rihs01(name)


def recover(folder: Path) -> Recovery:
    """Restores one bag in its place.

    Args:
        folder: of the bag.

    Raises:
        BagError: there is no MCAP file, or it does not even begin as one.
    """
    if is_finished(folder):
        return Recovery(folder, complete=True)
    damaged = bag_file(folder)
    with tempfile.TemporaryDirectory(prefix=".recover-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / folder.name
        recovery = _rewrite(folder, damaged, fresh)
        damaged.rename(damaged.with_name(damaged.name + ".damaged"))
        for path in fresh.iterdir():
            shutil.move(path, folder / path.name)
    return recovery


def _rewrite(folder: Path, damaged: Path, fresh: Path) -> Recovery:
    writer = Writer(fresh, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with damaged.open("rb") as file, writer:
        if file.read(len(MCAP_MAGIC)) != MCAP_MAGIC:
            raise BagError(f"{damaged} does not begin as an MCAP file; nothing can be restored from it")
        copy, whole = _Copy(writer), file.tell()
        try:
            for opcode, content in records(file):
                copy.take(opcode, content)
                whole = file.tell()
        except (DamageError, struct.error, UnicodeDecodeError, KeyError):  # what broken records run into
            lost = damaged.stat().st_size - whole
        else:
            lost = 0
    return Recovery(folder, copy.messages, (copy.last - copy.first) * 1e-9, lost)


def main() -> None:
    """Restores the bags named on the command line."""
    parser = argparse.ArgumentParser(prog="recover", description="Restores bags that a crash cut off.")
    parser.add_argument("folders", nargs="+", type=Path, help="bags, or folders with bags in them")
    arguments = parser.parse_args()
    console, failed = Console(highlight=False), False
    for folder in arguments.folders:
        bags = find_bags(folder)
        if not bags:
            console.print(f"[red]{folder}: no bag here; a bag is a folder with an .mcap file")
            failed = True
        for bag in bags:
            failed |= not _recover_and_tell(bag, console)
    sys.exit(1 if failed else 0)


def _recover_and_tell(bag: Path, console: Console) -> bool:
    try:
        result = recover(bag)
    except (BagError, OSError) as error:
        console.print(f"[red]{bag}: {error}")
        return False
    if result.complete:
        console.print(f"{bag}: whole, nothing to do")
    else:
        console.print(
            f"[green]{bag}: {result.messages} messages over {result.duration:.1f} s restored; "
            f"{result.lost} bytes at the end were cut off (the damaged file is kept as *.mcap.damaged)"
        )
    return True


if __name__ == "__main__":
    main()

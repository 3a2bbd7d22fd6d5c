"""Message definitions for bags: those of ROS come with rosbags, all others are read where they are installed.

An ament package installs its `.msg` files under `<prefix>/share/<package>/msg`; AMENT_PREFIX_PATH lists the prefixes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from keypoint_core.errors import KeypointError


class DefinitionError(KeypointError):
    """A message definition is not installed."""


def find_definition(msgtype: str) -> Path:
    """Returns the installed `.msg` file of "package/msg/Name".

    Raises:
        DefinitionError: it is in no prefix of AMENT_PREFIX_PATH.
    """
    package, _, name = msgtype.split("/")
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    for prefix in prefixes:
        path = prefix / "share" / package / "msg" / f"{name}.msg"
        if path.is_file():
            return path
    raise DefinitionError(
        f"no definition of {msgtype} below {[str(prefix) for prefix in prefixes]}; source the workspace's install/setup"
    )


def make_typestore(msgtypes: Iterable[str]) -> Typestore:
    """Returns a type store that knows ROS's own messages and all of these, with everything they refer to.

    Args:
        msgtypes: "package/msg/Name".

    Raises:
        DefinitionError: one of them is not installed.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    found = {}
    wanted = [msgtype for msgtype in msgtypes if msgtype not in store.fielddefs]
    while wanted:
        msgtype = wanted.pop()
        if msgtype in found or msgtype in store.fielddefs:
            continue
        parsed = get_types_from_msg(find_definition(msgtype).read_text("utf8"), msgtype)
        found.update(parsed)
        wanted += [name for fields in parsed.values() for name in _references(fields[1])]
    store.register(found)
    return store


def _references(fields: Iterable[tuple[str, tuple[int, object]]]) -> list[str]:
    """Names of the message types among fields, also inside arrays, as in "std_msgs/msg/Header"."""
    names: list[str] = []
    for _, (_, detail) in fields:
        while isinstance(detail, tuple) and isinstance(detail[0], tuple):
            detail = detail[0][1]
        if isinstance(detail, str) and detail.count("/") == 2:
            names.append(detail)
    return names

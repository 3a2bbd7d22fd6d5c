"""Back ends by name, imported only when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from keypoint_core.errors import MissingDependencyError, UnknownNameError


class Registry:
    """Names of one kind of back end -> "module:Class", loaded lazily.

    A back end is added by one file and one line; the heavy packages it imports are not touched before it is asked for.

    Args:
        kind: what the entries are, for error messages ("tracker").
        entries: name -> "module:attribute".
    """

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def add(self, name: str, target: str) -> None:
        """Registers `target` ("module:attribute") under `name`; the same name again replaces it."""
        self._entries[name] = target

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def load(self, name: str) -> Any:
        """Returns the class (or function) of that name.

        Raises:
            UnknownNameError: no such name; the message lists the known ones.
            MissingDependencyError: the back end's package is not installed.
        """
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, list(self._entries))
        module, _, attribute = self._entries[name].partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"{self.kind} '{name}' needs the Python package '{error.name}', which is not installed"
            ) from error

    def create(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Loads the back end of that name and calls it."""
        return self.load(name)(*args, **kwargs)

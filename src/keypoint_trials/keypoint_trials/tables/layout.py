"""Which methods and conditions each table shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keypoint_trials.tables.published import CONDITIONS

NUDGED = {f"{name}+nudge": f"{title}, pushed" for name, title in CONDITIONS.items()}


@dataclass(frozen=True)
class Layout:
    """One table: a row per method, per task a column for each condition.

    Attributes:
        number: of the paper's table; 0 for one that the paper does not have.
        title: of the table.
        methods: names, in the order of the rows.
        conditions: name -> heading.
    """

    number: int
    title: str
    methods: tuple[str, ...]
    conditions: dict[str, str]

    @property
    def heading(self) -> str:
        """Title with the paper's number."""
        return f"Table {self.number}: {self.title}" if self.number else self.title

    @property
    def name(self) -> str:
        """For files."""
        return f"table_{self.number}" if self.number else "nudged"


LAYOUTS = (
    Layout(2, "what the policy sees, in simulation", ("rgb", "depth", "point_cloud", "atk"), CONDITIONS),
    Layout(
        4, "how the keypoints are chosen, in simulation", ("full_set", "random_select", "heuristic", "atk"), CONDITIONS
    ),
    Layout(
        0,
        "The object is pushed during the approach: what tracking is worth",
        ("atk", "frozen_first_frame", "exact_tracks"),
        NUDGED,
    ),
)


def known_methods() -> list[str]:
    """Rows of all tables, each once."""
    return list(dict.fromkeys(name for layout in LAYOUTS for name in layout.methods))


def known_conditions() -> list[str]:
    """Columns of all tables, each once."""
    return list(dict.fromkeys(name for layout in LAYOUTS for name in layout.conditions))


def layouts(methods: Sequence[str], conditions: Sequence[str]) -> list[Layout]:
    """The tables with the rows and columns that were asked for; those without any are left out."""
    chosen = []
    for layout in LAYOUTS:
        rows = tuple(name for name in layout.methods if name in methods)
        columns = {name: title for name, title in layout.conditions.items() if name in conditions}
        if rows and columns:
            chosen.append(Layout(layout.number, layout.title, rows, columns))
    return chosen

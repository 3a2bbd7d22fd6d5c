"""Where on a picture the points are: as text, from a file, chosen by themselves, or clicked."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from keypoint_core.correspondence.candidates import spread_corners
from keypoint_core.errors import InputError
from keypoint_core.types import Float32

HOW = (
    'as "320,240 400,250" (column,row), as a .csv or .yaml file, "auto" or "auto:16" for corners of the first picture '
    '(in a box: --box "left,top,width,height"), or "click"'
)
DEFAULT_AUTO = 12
_RULER_WIDTH = 1280  # [px] that small pictures are enlarged to, roughly
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class PickedPoints:
    """N points of a picture.

    Attributes:
        ids: [N] int32.
        pixels: [N, 2] float32 (u, v), inside the picture.
    """

    ids: NDArray[np.int32]
    pixels: Float32


def pick(given: str, picture: Image, box: str = "") -> PickedPoints:
    """Points as a user gives them.

    Args:
        given: see `HOW`.
        picture: [H, W, 3] uint8 RGB that they lie on.
        box: "left,top,width,height" [px] that automatic ones are to lie in; empty for all of the picture.

    Raises:
        InputError: nothing was given, it cannot be read, a point lies outside (which, and the picture's size), an id
            comes twice, or there are not enough corners.
    """
    given = given.strip()
    if not given:
        raise InputError(f"no points were given; give them {HOW}")
    if re.fullmatch(r"auto(:\d+)?", given):
        number = int(given.partition(":")[2] or DEFAULT_AUTO)
        return _checked(None, spread_corners(picture, _mask(box, picture), number).tolist(), picture)
    if given == "click":
        return _checked(None, click(picture), picture)
    if Path(given).suffix.lower() in (".csv", ".yaml", ".yml", ".txt"):
        return _checked(*_read(Path(given)), picture)
    return _checked(None, [_pair(word) for word in re.split(r"[\s;]+", given) if word], picture)


def click(picture: Image) -> list[list[float]]:
    """Opens a window with the picture, to click points into; the right button takes one back, Enter ends.

    Raises:
        InputError: there is no display, or nothing was clicked.
    """
    import matplotlib
    from matplotlib import pyplot

    if matplotlib.get_backend().lower() == "agg" or not _interactive(matplotlib.get_backend()):
        raise InputError(
            f"there is no window to click in (no display, or Python without tkinter); give the points {HOW}"
        )
    figure, axes = pyplot.subplots(layout="constrained")
    axes.imshow(picture)
    axes.set_title("left button: a point; right: take one back; Enter: done")
    clicked = pyplot.ginput(n=-1, timeout=0, mouse_add=1, mouse_pop=3, mouse_stop=2)
    pyplot.close(figure)
    if not clicked:
        raise InputError(f"no point was clicked; give them {HOW}")
    return [[float(u), float(v)] for u, v in clicked]


def with_ruler(picture: Image) -> Image:
    """The picture with its coordinates along a grid, to read points off; a small one is enlarged."""
    height, width = picture.shape[:2]
    times = max(1, round(_RULER_WIDTH / width))
    drawn = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
    step = next((step for step in (10, 20, 50, 100, 200, 500) if max(width, height) / step <= 16), 1000)
    size = max(0.45, drawn.shape[1] / 2000)
    for u in range(0, width, step):
        column = u * times + times // 2
        drawn[:, column] = drawn[:, column] // 2 + 100
        _label(drawn, str(u), (column + 3, round(28 * size)), size)
    for v in range(0, height, step):
        row = v * times + times // 2
        drawn[row] = drawn[row] // 2 + 100
        _label(drawn, str(v), (3, row - 3), size)
    return drawn


def _interactive(backend: str) -> bool:
    from matplotlib.backends import BackendFilter, backend_registry

    return backend.lower() in {name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)}


def _label(image: Image, text: str, origin: tuple[int, int], size: float) -> None:
    for color, thick in (((16, 18, 24), 3), ((255, 240, 160), 1)):
        cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, size, color, thick, cv2.LINE_AA)


def _pair(word: str) -> list[float]:
    """Text such as "320,240" as two numbers."""
    try:
        u, v = (float(part) for part in word.split(","))
    except ValueError as error:
        raise InputError(f"'{word}' is no point; give points {HOW}") from error
    return [u, v]


def _mask(box: str, picture: Image) -> NDArray[np.uint8]:
    """[H, W] 1 inside the box."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    if not box:
        mask[:] = 1
        return mask
    try:
        left, top, width, height = (round(float(part)) for part in box.split(","))
    except ValueError as error:
        raise InputError(f'a box is "left,top,width,height" [px], got "{box}"') from error
    if left < 0 or top < 0:
        raise InputError(f'the box "{box}" begins outside the picture')
    mask[top : top + height, left : left + width] = 1
    if width < 1 or height < 1 or not mask.any():
        raise InputError(f'the box "{box}" holds nothing of the {mask.shape[1]}x{mask.shape[0]} picture')
    return mask


def _read(path: Path) -> tuple[list[Any] | None, list[Any]]:
    """Ids (None where the file has none) and points of a file."""
    if not path.is_file():
        raise InputError(f"there is no file {path} with points")
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(path)
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row and not row[0].lstrip().startswith("#")]
    names = ["id", "u", "v"] if rows and len(rows[0]) == 3 else ["u", "v"]
    if rows and not _is_number(rows[0][0]):
        names = [name.strip().lower() for name in rows.pop(0)]
    if not {"u", "v"} <= set(names) or any(len(row) != len(names) for row in rows):
        raise InputError(f"{path}: expected rows of u,v or id,u,v, with or without a line that names the columns")
    table = [dict(zip(names, row, strict=True)) for row in rows]
    return [row["id"] for row in table] if "id" in names else None, [[row["u"], row["v"]] for row in table]


def _from_yaml(path: Path) -> tuple[list[Any] | None, list[Any]]:
    """`[[u, v], ...]` or `{id: [u, v], ...}`, at the top or under `points`."""
    try:
        data = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if isinstance(data, dict) and "points" in data:
        data = data["points"]
    if isinstance(data, dict):
        return list(data), list(data.values())
    if isinstance(data, list):
        return None, data
    raise InputError(f"{path}: expected a list of [u, v], or id: [u, v], got {type(data).__name__}")


def _checked(ids: list[Any] | None, points: list[Any], picture: Image) -> PickedPoints:
    """Points as arrays, all of them inside the picture."""
    try:
        pixels = np.array(points, dtype=np.float32).reshape(len(points), 2)
        numbers = np.arange(len(points)) if ids is None else np.array([int(number) for number in ids])
    except (ValueError, TypeError) as error:
        raise InputError(
            f"points must be pairs of numbers (and ids whole numbers): {error}; give them {HOW}"
        ) from error
    if len(pixels) == 0:
        raise InputError(f"no points were given; give them {HOW}")
    if len(np.unique(numbers)) != len(numbers):
        raise InputError(f"every point needs an id of its own, got {numbers.tolist()}")
    height, width = picture.shape[:2]
    outside = ~((pixels >= 0) & (pixels <= [width - 1, height - 1])).all(axis=1)  # true for NaN
    if outside.any():
        named = ", ".join(f"{n} ({u:g}, {v:g})" for n, (u, v) in zip(numbers[outside], pixels[outside], strict=True))
        raise InputError(
            f"outside the {width}x{height} picture (column 0 to {width - 1}, row 0 to {height - 1}): point {named}"
        )
    return PickedPoints(numbers.astype(np.int32), pixels)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

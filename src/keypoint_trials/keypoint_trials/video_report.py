"""What became of tracked points: a file with every place, figures per point, and a sheet of pictures."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from keypoint_core.types import SECOND, Keypoints, KeypointStatus

COLUMNS = ("frame", "time", "id", "u", "v", "confidence", "status")
STATUS_NAMES = {status: status.name.lower() for status in KeypointStatus}
TILES = 12
_TILE_WIDTH = 640  # [px]
Image = NDArray[np.uint8]


class TrackFile:
    """Tracks as CSV: frame, time [s], id, u, v [px], confidence, status (visible, occluded, lost, out_of_view).

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def __enter__(self) -> TrackFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, frame: int, keypoints: Keypoints) -> None:
        """Adds the keypoints of a frame."""
        time = f"{keypoints.stamp / SECOND:.6f}"
        for number, (u, v), confidence, status in zip(
            keypoints.ids.tolist(),
            keypoints.pixels.tolist(),
            keypoints.confidence.tolist(),
            keypoints.status.tolist(),
            strict=True,
        ):
            name = STATUS_NAMES[KeypointStatus(status)]
            self._writer.writerow((frame, time, number, f"{u:.3f}", f"{v:.3f}", f"{confidence:.4f}", name))


class TrackFigures:
    """Counts, frame by frame, how each of N points fares; the number of frames costs no memory.

    Args:
        ids: [N].
    """

    def __init__(self, ids: NDArray[np.int32]) -> None:
        n = len(ids)
        self.ids = ids.copy()
        self.frames = 0
        self._seen, self._gap, self._longest, self._gaps = (np.zeros(n, np.int64) for _ in range(4))
        self._confidence = np.zeros(n)
        self._status = np.zeros(n, np.uint8)

    def add(self, keypoints: Keypoints) -> None:
        """Counts a frame's keypoints, which come in the order of the ids."""
        visible = keypoints.visible
        self.frames += 1
        self._gaps += ~visible & (self._gap == 0)
        self._gap = np.where(visible, 0, self._gap + 1)
        self._longest = np.maximum(self._longest, self._gap)
        self._seen += visible
        self._confidence += np.where(visible, keypoints.confidence, 0.0)
        self._status = keypoints.status.copy()

    def rows(self) -> list[dict[str, float | int | str | None]]:
        """Per point: share of frames visible, gaps, the longest one [frames], mean confidence while visible, end."""
        frames = max(1, self.frames)
        return [
            {
                "id": int(self.ids[i]),
                "visible": round(float(self._seen[i] / frames), 4),
                "gaps": int(self._gaps[i]),
                "longest_gap": int(self._longest[i]),
                "confidence": round(float(self._confidence[i] / self._seen[i]), 4) if self._seen[i] else None,
                "end": STATUS_NAMES[KeypointStatus(int(self._status[i]))],
            }
            for i in range(len(self.ids))
        ]

    def table(self, title: str) -> Table:
        """The same for people."""
        table = Table(title=title)
        for name in ("point", "visible", "gaps", "longest gap", "mean confidence", "at the end"):
            table.add_column(name, justify="right" if name != "at the end" else "left")
        for row in self.rows():
            confidence = "-" if row["confidence"] is None else f"{row['confidence']:.2f}"
            cells = (
                row["id"],
                f"{row['visible']:.1%}",
                row["gaps"],
                f"{row['longest_gap']} frames",
                confidence,
                row["end"],
            )
            table.add_row(*(str(cell).replace("_", " ") for cell in cells))
        return table


class ContactSheet:
    """A few pictures spread over a stream of unknown length; keeps at most twice as many as it shows.

    Args:
        tiles: how many it shows.
    """

    def __init__(self, tiles: int = TILES) -> None:
        self._tiles, self._stride = tiles, 1
        self._kept: list[tuple[int, Image]] = []

    def add(self, index: int, picture: Image, label: str) -> None:
        """Offers the picture [H, W, 3] uint8 RGB of a frame; every so often one is kept."""
        if index % self._stride:
            return
        self._kept.append((index, _tile(picture, label)))
        if len(self._kept) > 2 * self._tiles:
            self._stride *= 2
            self._kept = [(i, tile) for i, tile in self._kept if i % self._stride == 0]

    def picture(self) -> Image | None:
        """The sheet [H, W, 3] uint8 RGB; None without pictures."""
        if not self._kept:
            return None
        number = min(self._tiles, len(self._kept))
        chosen = [self._kept[i][1] for i in np.unique(np.linspace(0, len(self._kept) - 1, number).round().astype(int))]
        columns = min(3, len(chosen))
        chosen += [np.full_like(chosen[0], 24)] * (-len(chosen) % columns)
        return np.vstack([np.hstack(chosen[i : i + columns]) for i in range(0, len(chosen), columns)])


def _tile(picture: Image, label: str) -> Image:
    scale = _TILE_WIDTH / picture.shape[1]
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile = cv2.resize(picture, (_TILE_WIDTH, max(1, round(picture.shape[0] * scale))), interpolation=kind)
    framed = cv2.copyMakeBorder(tile, 3, 24, 3, 3, cv2.BORDER_CONSTANT, value=(24, 24, 24))
    origin = (8, framed.shape[0] - 8)
    cv2.putText(framed, label, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 234, 240), 1, cv2.LINE_AA)
    return np.asarray(framed, dtype=np.uint8)

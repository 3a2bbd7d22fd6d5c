"""What is kept of a trial beside its bag, so that reports can be made again without the graph."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from keypoint_trials.bag import BagError

FILE = "trial.json"
OUTCOMES = ("success", "failure", "stopped", "canceled", "error")  # in the order of RunTrial.action


@dataclass(frozen=True)
class TrialRecord:
    """One trial as reports tell it.

    Attributes:
        trial: its name.
        outcome: one of OUTCOMES.
        folder: of its bag.
        pose: x [m], y [m], yaw [rad] of the task object in the world; empty where it is not known.
        error: in words; empty when all went well.
        elapsed: of the phase ACT [s].
        visible, total: keypoints in the last frame, and in all.
        mode: "lockstep" or "real_time".
        condition: of the scene.
        seed: of the scene; -1 for none.
    """

    trial: str
    outcome: str
    folder: Path
    pose: tuple[float, ...] = ()
    error: str = ""
    elapsed: float = 0.0
    visible: int = 0
    total: int = 0
    mode: str = ""
    condition: str = ""
    seed: int = -1

    @property
    def success(self) -> bool:
        """The judge saw the task done."""
        return self.outcome == "success"


def write_record(record: TrialRecord) -> None:
    """Writes `trial.json` into the folder of the trial's bag, which is made where nothing was recorded."""
    row = asdict(record)
    del row["folder"]
    record.folder.mkdir(parents=True, exist_ok=True)
    (record.folder / FILE).write_text(json.dumps(row, indent=2) + "\n")


def read_records(run: Path) -> list[TrialRecord]:
    """Reads the trials of a run folder, in order of their folders' names.

    Raises:
        BagError: there are none.
    """
    paths = sorted(run.glob(f"*/{FILE}"))
    if not paths:
        raise BagError(f"{run} holds no trials ({FILE} beside a bag); give the folder of a run, such as runs/latest")
    rows = [(path.parent, json.loads(path.read_text())) for path in paths]
    return [TrialRecord(**{**row, "pose": tuple(row["pose"]), "folder": folder}) for folder, row in rows]
